"""The two ways a run is ended from outside: SIGTERM (somebody cancelled) and a lease that nobody renews any more.

The loops ask `check()` between steps and between rows, so none is cut in half and the last event is always written.
"""

import signal
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import TypeVar

from playbook.contracts.states import EndReason
from playbook.trainer.errors import RunError

T = TypeVar("T")


class Stop:
    """Remembers a signal and watches the age of the lease file."""

    def __init__(self, *, lease: Path, max_lease_age_seconds: float | None) -> None:
        self._lease = lease
        self._max_lease_age_seconds = max_lease_age_seconds
        self._started = time.time()
        self._signal: signal.Signals | None = None

    def listen(self) -> None:
        """Take over SIGTERM and SIGINT. Main thread only."""
        signal.signal(signal.SIGTERM, self._remember)
        signal.signal(signal.SIGINT, self._remember)

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._signal = signal.Signals(number)

    def check(self) -> None:
        """Raise RunError when the run has to end now."""
        if self._signal is not None:
            raise RunError(EndReason.CANCELLED_BY_USER, f"The run was stopped ({self._signal.name}).")
        if self._max_lease_age_seconds is None:
            return
        age = self._lease_age_seconds()
        if age > self._max_lease_age_seconds:
            raise RunError(
                EndReason.LEASE_LOST,
                f"{self._lease.name} was last renewed {age:.0f} s ago, over {self._max_lease_age_seconds:.0f} s. "
                "The worker is gone, so the run stops and frees the machine.",
            )

    def watched(self, items: Iterable[T]) -> Iterator[T]:
        """Yield the items; raise RunError before the next one when the run has to end."""
        for item in items:
            self.check()
            yield item

    def _lease_age_seconds(self) -> float:
        try:
            renewed = self._lease.stat().st_mtime
        except FileNotFoundError:
            # The worker may write it a moment after the start; a lease never written ages from the start.
            renewed = self._started
        return time.time() - renewed
