"""Appends events to `RUN_DIR/events.jsonl`, one line each, on disk before the next one is made. Imports no torch."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from playbook.contracts.events import (
    CheckpointSaved,
    Configured,
    Ended,
    Event,
    Log,
    LogLevel,
    MetricPoint,
    Progress,
    StageFinished,
    StageStarted,
)
from playbook.contracts.states import EndReason, Stage


class Emitter:
    """Writes the events of one run. Each method appends one line, except `stage`, which brackets a block."""

    def __init__(self, path: Path) -> None:
        """Open `path` for appending; half a line that a killed trainer left behind is cut off first.

        The worker forwards whole lines alone, so nothing that left this machine is taken back.
        """
        # Unbuffered: a line is with the operating system when the call returns, whatever happens to this process.
        self._file = path.open("ab", buffering=0)
        _cut_half_line(path)

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Emit the start, and the end with its seconds when the block did not raise."""
        start = time.monotonic()
        self._append(StageStarted(at=_now(), stage=stage))
        yield
        self._append(StageFinished(at=_now(), stage=stage, seconds=time.monotonic() - start))

    def configured(self, event: Configured) -> None:
        self._append(event)

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

    def ended(self, reason: EndReason, message: str) -> None:
        self._append(Ended(at=_now(), reason=reason, message=message))

    def _append(self, event: Event) -> None:
        self._file.write(event.model_dump_json().encode() + b"\n")


def _now() -> datetime:
    return datetime.now(UTC)


def _cut_half_line(path: Path) -> None:
    if not path.is_file():  # a device has no end to read to
        return
    data = path.read_bytes()
    if data and not data.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(data.rfind(b"\n") + 1)
