"""One run on this machine: where its files lie, and the note by which a restarted worker finds it again."""

import json
import os
import shutil
from pathlib import Path
from typing import Self

from pydantic import ValidationError

from playbook.contracts.model import Frozen
from playbook.worker.client import JobKey

#: Ended runs are kept for a look at their files, the newest few: checkpoints and adapters fill disks.
KEPT_RUNS = 5


class RunNote(Frozen):
    """What a restarted worker needs to take a run up again. Holds the job token, so only its owner may read it."""

    job_id: int
    attempt: int
    job_token: str
    lease_seconds: int
    trainer_pid: int
    trainer_started: float

    @property
    def key(self) -> JobKey:
        return JobKey(job_id=self.job_id, attempt=self.attempt, token=self.job_token)


class RunFolder:
    """`WORK_DIR/job-<id>-attempt-<number>`; the trainer is given this folder."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.spec = path / "spec.json"
        self.events = path / "events.jsonl"
        self.turns = path / "turns.jsonl"
        self.report = path / "report.json"
        self.adapter = path / "artifacts" / "adapter"
        self.model = path / "artifacts" / "model"
        self.merged = path / "artifacts" / "merged"
        self.checkpoints = path / "checkpoints"
        self.lease = path / "lease"
        self.log = path / "trainer.log"
        self._note = path / "worker.json"

    @classmethod
    def of_attempt(cls, work_dir: Path, *, job_id: int, attempt: int) -> Self:
        """Return the folder of an attempt; `make` makes it."""
        return cls(work_dir / f"job-{job_id}-attempt-{attempt}")

    def make(self) -> None:
        """Make the folder, empty. One left behind under its name is of another database: removed."""
        shutil.rmtree(self.path, ignore_errors=True)
        self.path.mkdir(parents=True)

    @property
    def kind(self) -> str:
        """What the trainer does here: "run", "playground" or "merge". Read from the spec, so that a restarted worker
        knows it too."""
        try:
            return str(json.loads(self.spec.read_bytes()).get("kind", "run"))
        except (OSError, ValueError):
            return "run"

    def remember(self, note: RunNote) -> None:
        """Write the note, whole or not at all."""
        temporary = self._note.with_suffix(".new")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(note.model_dump_json())
        temporary.replace(self._note)

    def forget(self) -> None:
        """Remove the note; the files stay until newer runs push them out."""
        if self._note.is_file():  # not of a folder that could not be made
            self._note.unlink()

    def note(self) -> RunNote | None:
        """Return the note, or None when the run has ended or the note cannot be read."""
        try:
            return RunNote.model_validate_json(self._note.read_bytes())
        except (OSError, ValidationError):
            return None

    def log_tail(self, *, limit_bytes: int = 4000) -> str:
        """Return the end of what the trainer printed, at most `limit_bytes` of it."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, self.log.stat().st_size - limit_bytes))
                return file.read().decode(errors="replace").strip()
        except FileNotFoundError:
            return ""


def unfinished_runs(work_dir: Path) -> list[tuple[RunFolder, RunNote]]:
    """Return the runs that an earlier worker process left behind."""
    folders = [RunFolder(path) for path in sorted(work_dir.glob("job-*"))]
    return [(folder, note) for folder in folders if (note := folder.note()) is not None]


def remove_old_runs(work_dir: Path) -> None:
    """Remove all but the newest `KEPT_RUNS` folders of ended runs."""
    ended = [path for path in work_dir.glob("job-*") if RunFolder(path).note() is None]
    for path in sorted(ended, key=lambda path: path.stat().st_mtime)[:-KEPT_RUNS]:
        shutil.rmtree(path, ignore_errors=True)
