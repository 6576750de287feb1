"""Waiting for what another process or thread does: no longer than that takes, and as long as a busy machine needs."""

import subprocess
import time
from collections.abc import Callable
from typing import Any, TypeVar

#: Tells a hang from a machine that is busy with other things. No test waits so long when all is well.
DEADLINE_SECONDS = 180
_SECONDS_BETWEEN_LOOKS = 0.02

Found = TypeVar("Found")


def wait_for(find: Callable[[], Found | None], *, during: "subprocess.Popen[Any] | None" = None) -> Found:
    """Return what `find` returns as soon as it is true. Fails after the deadline, or when the process `during` ends."""
    until = time.monotonic() + DEADLINE_SECONDS
    while True:
        has_ended = during is not None and during.poll() is not None  # asked first: its last words count
        if found := find():
            return found
        assert not has_ended, f"{during} ended with {during and during.returncode} before what was waited for came"
        assert time.monotonic() < until, f"waited {DEADLINE_SECONDS} s in vain"
        time.sleep(_SECONDS_BETWEEN_LOOKS)
