"""Appends events to `RUN_DIR/events.jsonl`, one line each, on disk before the next one is made. Imports no torch."""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from playbook.contracts.dataset import Split
from playbook.contracts.events import (
    CheckpointSaved,
    Configured,
    Ended,
    Event,
    Log,
    LogLevel,
    MetricPoint,
    Predicted,
    Preflight,
    Progress,
    Ready,
    Said,
    SampleRow,
    SplitTokens,
    StageFinished,
    StageStarted,
)
from playbook.contracts.states import EndReason, Stage

OnEvent = Callable[[Event], None]
#: What a lock answers where another process has it; anything else means that this file system knows no locks.
_HELD = (errno.EAGAIN, errno.EACCES)


class FolderInUseError(Exception):
    """Another trainer writes into the run folder."""


class Emitter:
    """Writes the events of one run. Each method appends one line, except `stage`, which brackets a block.

    `seconds_writing`: what that has cost so far; `begun`: the stage that began last.
    """

    def __init__(self, path: Path, *, on_event: OnEvent | None = None) -> None:
        """Open `path` for appending; half a line that a killed trainer left behind is cut off first.

        `on_event` is told each event after it is written, to show progress on a terminal.

        The worker forwards whole lines alone, so nothing that left this machine is taken back.

        Raises FolderInUseError: two trainers would mix their events and remove each other's checkpoints.
        """
        # Unbuffered: a line is with the operating system when the call returns, whatever happens to this process.
        self._file = path.open("ab", buffering=0)
        if path.is_file():  # a device is everybody's
            self._hold(path)
        self._on_event = on_event
        self.seconds_writing = 0.0
        self.begun: Stage | None = None
        _cut_half_line(path)

    def _hold(self, path: Path) -> None:
        try:
            # The system lets go of it when this process ends, however it does.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _HELD:
                return
            self._file.close()
            raise FolderInUseError(
                f"Another trainer works in {path.parent}. Wait until it has ended, or give this run a folder of its "
                "own."
            ) from error

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Emit the start, and the end with its seconds when the block did not raise."""
        start = time.monotonic()
        self.begun = stage
        self._append(StageStarted(at=_now(), stage=stage))
        yield
        self._append(StageFinished(at=_now(), stage=stage, seconds=time.monotonic() - start))

    def configured(self, event: Configured) -> None:
        self._append(event)

    def preflight(
        self, *, splits: dict[Split, SplitTokens], samples: tuple[SampleRow, ...], memory_bytes: dict[str, int]
    ) -> None:
        self._append(Preflight(at=_now(), splits=splits, samples=samples, memory_bytes=memory_bytes))

    def predicted(self, *, after_steps: int, seconds: float, seconds_per_step: float, peak_memory_bytes: int) -> None:
        self._append(
            Predicted(
                at=_now(),
                after_steps=after_steps,
                seconds=seconds,
                seconds_per_step=seconds_per_step,
                peak_memory_bytes=peak_memory_bytes,
            )
        )

    def progress(self, stage: Stage, *, done: int, total: int, unit: str, remaining_seconds: float | None) -> None:
        self._append(
            Progress(at=_now(), stage=stage, done=done, total=total, unit=unit, remaining_seconds=remaining_seconds)
        )

    def metric(self, step: int, values: dict[str, float]) -> None:
        self._append(MetricPoint(at=_now(), step=step, values=values))

    def log(self, message: str, *, level: LogLevel = LogLevel.INFO) -> None:
        self._append(Log(at=_now(), level=level, message=message))

    def warn(self, message: str) -> None:
        self.log(message, level=LogLevel.WARNING)

    def checkpoint_saved(self, step: int, name: str) -> None:
        self._append(CheckpointSaved(at=_now(), step=step, name=name))

    def ready(self, *, seconds: float) -> None:
        self._append(Ready(at=_now(), seconds=seconds))

    def said(self, piece: Said) -> None:
        self._append(piece)

    def ended(self, reason: EndReason, message: str) -> None:
        self._append(Ended(at=_now(), reason=reason, message=message))

    def _append(self, event: Event) -> None:
        start = time.perf_counter()
        self._write(event.model_dump_json().encode() + b"\n")
        self.seconds_writing += time.perf_counter() - start
        if self._on_event is not None:
            self._on_event(event)

    def _write(self, line: bytes) -> None:
        """Append a line whole or not at all. A disk that fills up takes a part of it, and says so only to the rest."""
        left, whole = memoryview(line), os.fstat(self._file.fileno()).st_size
        try:
            while left:
                left = left[self._file.write(left) or 0 :]
        except OSError:
            # What comes next, the reason of the end for one, must not be appended to half a line.
            with contextlib.suppress(OSError):
                os.ftruncate(self._file.fileno(), whole)
            raise


def _now() -> datetime:
    return datetime.now(UTC)


def _cut_half_line(path: Path) -> None:
    if not path.is_file():  # a device has no end to read to
        return
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(data.rfind(b"\n") + 1)
