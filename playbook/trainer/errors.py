"""Why a run ended: every exception becomes one reason of the closed list and a message that a person can act on.

Imported by every stage, so it must not import torch: it recognises torch's errors by name.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from playbook.contracts.states import EndReason

_NO_MEMORY = (
    "out of memory",
    "can't allocate memory",
    "not enough memory",
    "cannot allocate memory",
    # What cuBLAS and cuDNN say when their own workspace does not fit beside the tensors.
    "cublas_status_alloc_failed",
    "cudnn_status_alloc_failed",
    # What oneDNN says on a CPU when there is no room for a kernel or its scratch.
    "could not create a primitive",
    "could not create a memory object",
    # What C++ says when nothing in between translates it.
    "bad_alloc",
    # What Python says when there is no room for a stack.
    "can't start new thread",
)
#: A file may also grow over what the system lets one process write.
_NO_SPACE = ("no space left on device", "file too large", "disk quota exceeded")
#: What the system says where a file cannot be made, or something else lies in its place.
_NO_PLACE = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY)
#: What to change when memory runs out, by what was going on.
IN_TRAINING = (
    "Halve per_device_train_batch_size and double gradient_accumulation_steps, set gradient_checkpointing, or lower "
    "max_length."
)
IN_DATA = "Bring fewer or shorter rows, or use a worker with more memory."
IN_HANDING_OVER = "Training is over and its last checkpoint is kept: use a worker with more memory."
IN_MEASUREMENT = "Lower batch_size and max_new_tokens of the measurement, or use a worker with more memory."
IN_ANSWERING = "Shorten the prompt and what stands in it, or lower max_new_tokens."
IN_MERGE = "A merge holds the whole base model: use a worker with more memory."


class RunError(Exception):
    """The run cannot go on. `reason` is from the closed list; the message names the value and the fix."""

    def __init__(self, reason: EndReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message


def ending_of(error: BaseException, *, less_memory: str = IN_TRAINING) -> RunError:
    """Return the reason and message for any exception that reached the top of a run.

    `less_memory`: what a person can change when memory ran out.
    """
    if isinstance(error, RunError):
        return error
    text = str(error)
    if is_out_of_memory(error):
        return RunError(EndReason.OUT_OF_MEMORY, f"Memory ran out ({first_line(error)}). {less_memory}")
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    if full or any(phrase in text.lower() for phrase in _NO_SPACE):
        return RunError(EndReason.DISK_FULL, f"The disk is full ({text}). Free space on the worker and launch again.")
    if isinstance(error, OSError) and error.errno in _NO_PLACE:
        text = f"{text}. Give the run a folder of its own in which the trainer may write, and launch again"
    return RunError(EndReason.TRAINER_CRASHED, f"{type(error).__name__}: {text}. The traceback is in the log.")


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says, its name where it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether the system or the GPU had no memory left."""
    # torch raises OutOfMemoryError on a GPU, and a plain RuntimeError when the CPU allocator fails.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    text = str(error).lower()
    if isinstance(error, ImportError):
        # What the loader says when a library of torch or scipy finds no room; where a mount forbids it, it says so.
        return "failed to map segment" in text and "not permitted" not in text
    # That of safetensors is neither, and is not imported here.
    is_told = isinstance(error, RuntimeError | OSError) or type(error).__name__ == "SafetensorError"
    return is_told and any(phrase in text for phrase in _NO_MEMORY)


@contextmanager
def advising(less_memory: str) -> Iterator[None]:
    """Have memory that runs out within end the run with this advice, instead of that of the whole stage."""
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise ending_of(error, less_memory=less_memory) from error
        raise
