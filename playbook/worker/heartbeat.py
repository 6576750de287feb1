"""A thread that keeps the lease of one job, tells how the machine does, and learns whether to cancel or let go."""

import contextlib
import logging
import threading
import time
from types import TracebackType
from typing import Self

import httpx

from playbook.contracts.protocol import Telemetry
from playbook.worker.client import Client, JobKey, Refusal, SiteFailure
from playbook.worker.gpu import Sensors
from playbook.worker.run_folder import RunFolder

#: A cancel is noticed within this time, however long the lease is.
MOST_SECONDS_BETWEEN_BEATS = 2.0
#: Telemetry is for plots: more points would only fill the site's database.
SECONDS_BETWEEN_READINGS = 5.0

log = logging.getLogger(__name__)


class Heartbeat:
    """Beats while the `with` block runs. Touches the lease file at each answer, so that the trainer sees it too.

    While the site is away it goes on trying: nothing but a refusal ends the attempt.
    """

    def __init__(self, client: Client, key: JobKey, folder: RunFolder, *, lease_seconds: int) -> None:
        self._client = client
        self._key = key
        self._folder = folder
        self._interval_seconds = min(MOST_SECONDS_BETWEEN_BEATS, lease_seconds / 4)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat-{key.job_id}", daemon=True)
        self._sensors = Sensors()
        self._read_at = -SECONDS_BETWEEN_READINGS
        self.is_cancelled = False
        self.lost: str | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._thread.join()

    def _run(self) -> None:
        while self.lost is None and not self._done.is_set():
            self._beat()
            self._done.wait(self._interval_seconds)

    def _beat(self) -> None:
        try:
            answer = self._client.heartbeat(self._key, self._telemetry())
        except Refusal as refusal:
            if not self._done.is_set():  # after the end of the job a late beat is refused, as it should be
                self.lost = refusal.detail
        except (httpx.TransportError, SiteFailure) as error:
            log.debug("Heartbeat of job %s: %s", self._key.job_id, error)
        else:
            self.is_cancelled = self.is_cancelled or answer.cancel
            # No folder yet, or a full disk: the lease on the site is held all the same.
            with contextlib.suppress(OSError):
                self._folder.lease.touch()

    def _telemetry(self) -> Telemetry | None:
        """Return a reading when one is due."""
        if time.monotonic() - self._read_at < SECONDS_BETWEEN_READINGS:
            return None
        self._read_at = time.monotonic()
        return self._sensors.read()
