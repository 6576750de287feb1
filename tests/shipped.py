"""What is shipped: experiments and their reports, and run folders of a recipe and a sample dataset, as for a worker.

Must not import torch: of the run on PostgreSQL nothing else would.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import yaml

from playbook.contracts.dataset import Split
from playbook.contracts.experiment import Experiment
from playbook.contracts.prompting import DocumentsFile
from playbook.contracts.report import Report
from playbook.contracts.run_spec import InputFile, Recipe, RunSpec

ROOT = Path(__file__).resolve().parents[1]
CONTENT = ROOT / "content"
REPORTS = CONTENT / "reports"


def experiments() -> dict[str, Experiment]:
    """Return every experiment by slug, the one that the tutorial runs first."""
    found = [
        Experiment.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
        for path in sorted((CONTENT / "experiments").glob("*.yaml"))
    ]
    return {one.slug: one for one in sorted(found, key=lambda one: one.slug != "support-tickets")}


def shipped_report(slug: str) -> Report | None:
    """Return what came out when this experiment was last run."""
    path = REPORTS / slug / "report.json"
    return Report.model_validate_json(path.read_bytes()) if path.is_file() else None


def make_spec(*, dataset: str, recipe: str) -> RunSpec:
    """Return the spec of a job with a shipped recipe on a shipped dataset."""
    source = CONTENT / "datasets" / dataset
    text = (CONTENT / "recipes" / f"{recipe}.yaml").read_text(encoding="utf-8")
    settings = Recipe.model_validate(yaml.safe_load(text)).settings
    contents = {split: (source / f"{split}.jsonl").read_bytes() for split in Split}
    documents = source / "documents.jsonl"
    searches = any(arm.retrieves for arm in settings.evaluation.arms)
    return RunSpec.model_validate(
        {
            **settings.model_dump(),
            "inputs": [
                InputFile(split=split, sha256=_sha256(data), size_bytes=len(data), rows=data.count(b"\n"))
                for split, data in contents.items()
            ],
            "documents": _documents(documents.read_bytes()) if searches else None,
        }
    )


def write_run_folder(folder: Path, *, dataset: str, recipe: str) -> RunSpec:
    """Write the folder that the trainer takes, and return its spec."""
    spec = make_spec(dataset=dataset, recipe=recipe)
    (folder / "inputs").mkdir(parents=True)
    for name in [*(file.name for file in spec.inputs), *([spec.documents.name] if spec.documents else [])]:
        (folder / "inputs" / name).write_bytes((CONTENT / "datasets" / dataset / name).read_bytes())
    (folder / "spec.json").write_text(spec.model_dump_json(), encoding="utf-8")
    return spec


def run_python(*arguments: str, environment: dict[str, str] | None = None) -> None:
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, env=os.environ | (environment or {}))


def _documents(data: bytes) -> DocumentsFile:
    return DocumentsFile(sha256=_sha256(data), size_bytes=len(data), documents=data.count(b"\n"))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
