"""What a signal tells the worker, and waiting for it or for anything else, without a lock.

A handler runs between two instructions of the main thread, which may hold the lock of a `threading.Event` just then, on
its way into or out of `wait`: `set` would wait for itself, and the worker would never end.
"""

import time
from collections.abc import Callable

_LOOK_UP_SECONDS = 0.1


class Told:
    """False until `set` is called, by a signal handler at any moment."""

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, seconds: float) -> None:
        """Return when it is set, at most a tenth of a second late, or after so many seconds."""
        wait(seconds, unless=self.is_set)


def wait(seconds: float, *, unless: Callable[[], bool]) -> bool:
    """Return True once `unless()` is true, at most a tenth of a second late, or False after so many seconds."""
    until = time.monotonic() + seconds
    while not unless():
        left = until - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(_LOOK_UP_SECONDS, left))
    return True
