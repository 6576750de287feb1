"""A thread that uploads the newest checkpoint, so that a slow line never holds up the events.

If another checkpoint is saved meanwhile, only the newest is uploaded next: the others are of no use any more.
"""

import logging
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from playbook.worker.artifacts import CHECKPOINT, NotPacked, pack, upload
from playbook.worker.client import Client, JobKey, Refusal, SiteFailure
from playbook.worker.retry import GaveUp
from playbook.worker.run_folder import RunFolder

log = logging.getLogger(__name__)


class CheckpointUploader:
    """Uploads while the `with` block runs. A failure is logged and leaves the job alone: the older one still serves."""

    def __init__(self, client: Client, key: JobKey, folder: RunFolder, *, give_up: Callable[[], bool]) -> None:
        self._client = client
        self._key = key
        self._folder = folder
        self._give_up = give_up
        self._newest: str | None = None
        self._changed = threading.Condition()
        self._done = False
        self._thread = threading.Thread(target=self._run, name=f"checkpoints-{key.job_id}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with self._changed:
            self._done = True
            self._changed.notify()
        self._thread.join()

    def offer(self, name: str) -> None:
        """Have `checkpoints/<name>` uploaded as soon as the one before is through."""
        with self._changed:
            self._newest = name
            self._changed.notify()

    def _run(self) -> None:
        while name := self._next():
            try:
                self._upload(name)
            except GaveUp:
                return
            except (Refusal, SiteFailure, NotPacked, OSError) as error:
                log.warning("Checkpoint %s of job %s was not uploaded: %s", name, self._key.job_id, error)

    def _next(self) -> str | None:
        with self._changed:
            self._changed.wait_for(lambda: self._done or self._newest is not None)
            name, self._newest = self._newest, None
            return None if self._done else name

    def _upload(self, name: str) -> None:
        archive = self._folder.path / CHECKPOINT
        try:
            pack(self._folder.checkpoints / name, archive, name=CHECKPOINT, prefix=name)
            upload(self._client, self._key, CHECKPOINT, archive, give_up=lambda: self._done or self._give_up())
            log.info("Job %s: checkpoint %s is on the site.", self._key.job_id, name)
        except FileNotFoundError:
            return  # a newer checkpoint has replaced it on disk while it was read; that one is offered next
        finally:
            # Also the half that a full disk had room for: the trainer writes there too.
            archive.unlink(missing_ok=True)
