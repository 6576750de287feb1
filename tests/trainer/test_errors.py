"""Every failure maps to one reason; the errors here are real ones, raised by the operating system and by torch."""

from pathlib import Path

import pytest
import torch

from playbook.contracts.states import EndReason
from playbook.trainer.errors import RunError, ending_of


@pytest.mark.parametrize(
    "text",
    [
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes.",
        "could not create a primitive",
        "std::bad_alloc",
        "can't start new thread",
    ],
)
def test_what_torch_and_its_libraries_say_without_memory_is_out_of_memory(text: str) -> None:
    assert ending_of(RuntimeError(text)).reason is EndReason.OUT_OF_MEMORY


def test_a_tensor_that_fits_no_memory_is_out_of_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**55)

    ending = ending_of(caught.value)

    assert ending.reason is EndReason.OUT_OF_MEMORY
    assert "Halve per_device_train_batch_size" in ending.message


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB")]
)
def test_memory_errors_are_out_of_memory(error: BaseException) -> None:
    assert ending_of(error).reason is EndReason.OUT_OF_MEMORY


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("libtorch_cpu.so: failed to map segment from shared object", EndReason.OUT_OF_MEMORY),
        ("x.so: failed to map segment from shared object: Operation not permitted", EndReason.TRAINER_CRASHED),
        ("No module named 'torch'", EndReason.TRAINER_CRASHED),
    ],
)
def test_a_library_that_finds_no_room_is_out_of_memory(text: str, reason: EndReason) -> None:
    assert ending_of(ImportError(text)).reason is reason


def test_a_full_device_is_disk_full() -> None:
    with pytest.raises(OSError, match="No space") as caught, Path("/dev/full").open("wb", buffering=0) as device:
        device.write(b"x")

    assert ending_of(caught.value).reason is EndReason.DISK_FULL


def test_a_run_error_keeps_its_reason_and_message() -> None:
    error = RunError(EndReason.ROW_TOO_LONG, "line 3")

    assert ending_of(error) is error


def test_something_else_in_the_place_of_a_folder_says_what_to_change(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("")
    with pytest.raises(OSError, match="Not a directory") as caught:
        (tmp_path / "checkpoints" / "step-000002").mkdir()

    ending = ending_of(caught.value)

    assert ending.reason is EndReason.TRAINER_CRASHED
    assert "checkpoints/step-000002'. Give the run a folder of its own in which the trainer may write" in ending.message


def test_anything_else_is_a_crash_that_names_the_error() -> None:
    ending = ending_of(KeyError("messages"))

    assert (ending.reason, ending.message) == (
        EndReason.TRAINER_CRASHED,
        "KeyError: 'messages'. The traceback is in the log.",
    )
