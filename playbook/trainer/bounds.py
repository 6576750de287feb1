"""Limits on code that is not ours: a chat template is a program that came with a base model. Imports no torch.

A template's sandbox keeps it from files and from long single loops, but loops within loops and texts that double again
and again end only with the machine. So it runs for so long and takes so much memory, then it is ended.
"""

import contextlib
import os
import resource
import signal
import threading
from collections.abc import Iterator
from functools import cache
from types import FrameType

from playbook.contracts.states import EndReason
from playbook.trainer.errors import RunError

#: Of the processor, not of the clock: a machine that is busy or asleep for a while must not end a sound template.
SECONDS = 5.0
#: Beyond what the process holds already.
MEMORY_BYTES = 1_000_000_000
#: Characters that a chat template may write of its own, and how often it may write each that it is given.
MOST_OF_ITS_OWN, _MOST_TIMES = 1_000_000, 10
#: Some code swallows what is raised within it, a destructor for one; then it is raised again.
_AGAIN_SECONDS = 0.5


class EndlessError(Exception):
    """The code within `bounded` took too long."""


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """End the block with EndlessError after `SECONDS` of the processor, with MemoryError beyond `MEMORY_BYTES`.

    The time is watched in the main thread alone, where Python runs signal handlers. One block at a time.
    """
    watched = threading.current_thread() is threading.main_thread()
    limits = resource.getrlimit(resource.RLIMIT_AS)
    most = _held_bytes() + MEMORY_BYTES
    if watched:
        before = signal.signal(signal.SIGVTALRM, _end)
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS, _AGAIN_SECONDS)
    try:
        if limits[0] == resource.RLIM_INFINITY or limits[0] > most:
            resource.setrlimit(resource.RLIMIT_AS, (most, limits[1]))
        yield
    finally:
        if watched:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            signal.signal(signal.SIGVTALRM, before)
        resource.setrlimit(resource.RLIMIT_AS, limits)


def require_proportion(made: int, given: int, *, where: str) -> None:
    """Raise RunError when a template makes far more text than it was given: to tokenise that takes all memory."""
    if made > MOST_OF_ITS_OWN + _MOST_TIMES * given:
        raise RunError(
            EndReason.BASE_MODEL_UNREADABLE,
            f"{where}: the base model's chat template makes {made:,} characters of a row of {given:,}. "
            "Correct its chat_template.jinja, or choose another base model.",
        )


def _held_bytes() -> int:
    """Return the address space of this process."""
    return int(os.pread(_statm(os.getpid()), 64, 0).split()[0]) * resource.getpagesize()


@cache
def _statm(process: int) -> int:
    # Kept open: to open it takes as long as to render a short row.
    return os.open(f"/proc/{process}/statm", os.O_RDONLY)


def _end(number: int, frame: FrameType | None) -> None:
    raise EndlessError
