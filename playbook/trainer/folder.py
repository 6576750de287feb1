"""Where things lie: a run folder, which worker and trainer fill, and the folder of base models."""

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from playbook.contracts.run_spec import InputFile


def default_models_dir() -> Path:
    """Return PLAYBOOK_MODELS_DIR, or `.data/models` below the project root."""
    configured = os.environ.get("PLAYBOOK_MODELS_DIR")
    return Path(configured) if configured else Path(__file__).resolve().parents[2] / ".data" / "models"


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True)
class RunFolder:
    root: Path

    @property
    def spec(self) -> Path:
        return self.root / "spec.json"

    @property
    def events(self) -> Path:
        return self.root / "events.jsonl"

    @property
    def report(self) -> Path:
        return self.root / "report.json"

    @property
    def adapter(self) -> Path:
        return self.root / "artifacts" / "adapter"

    @property
    def model(self) -> Path:
        """The whole model that `method: full` leaves behind."""
        return self.root / "artifacts" / "model"

    @property
    def merged(self) -> Path:
        """Adapter and base as one model, where `merge` was asked for it."""
        return self.root / "artifacts" / "merged"

    @property
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def lease(self) -> Path:
        """Touched by the worker while it holds the lease."""
        return self.root / "lease"

    @property
    def documents(self) -> Path:
        """What the arms that retrieve search; there when the spec names it."""
        return self.root / "inputs" / "documents.jsonl"

    @property
    def kind(self) -> str:
        """What the spec asks for: "run", "playground" or "merge". What cannot be read is left to whoever reads all of
        it."""
        try:
            return str(json.loads(self.spec.read_bytes()).get("kind", "run"))
        except (OSError, ValueError, AttributeError, RecursionError):
            return "run"

    @property
    def turns(self) -> Path:
        """What people wrote in a playground session, one turn a line; the worker appends."""
        return self.root / "turns.jsonl"

    @property
    def input_adapter(self) -> Path:
        """The adapter that a playground session answers with, or that a merge takes."""
        return self.root / "inputs" / "adapter"

    @property
    def input_report(self) -> Path:
        """The report of the run whose adapter is merged."""
        return self.root / "inputs" / "report.json"

    def input(self, file: InputFile) -> Path:
        return self.root / "inputs" / file.name
