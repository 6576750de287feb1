"""What a signal tells the worker, without a lock.

A handler runs between two instructions of the main thread, which may hold the lock of a `threading.Event` just then, on
its way into or out of `wait`: `set` would wait for itself, and the worker would never end.
"""

import time

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
        until = time.monotonic() + seconds
        while not self._is_set and (left := until - time.monotonic()) > 0:
            time.sleep(min(_LOOK_UP_SECONDS, left))
