"""Where things lie: a run folder, which worker and trainer fill, and the folder of base models."""

import os
from dataclasses import dataclass
from pathlib import Path

from playbook.contracts.run_spec import InputFile


def default_models_dir() -> Path:
    """Return PLAYBOOK_MODELS_DIR, or `.data/models` below the project root."""
    configured = os.environ.get("PLAYBOOK_MODELS_DIR")
    return Path(configured) if configured else Path(__file__).resolve().parents[2] / ".data" / "models"


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
    def checkpoints(self) -> Path:
        return self.root / "checkpoints"

    @property
    def lease(self) -> Path:
        """Touched by the worker while it holds the lease."""
        return self.root / "lease"

    def input(self, file: InputFile) -> Path:
        return self.root / "inputs" / file.name
