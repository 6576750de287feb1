"""The sample job in seconds and in right answers, and our trainer against TRL's SFTTrainer on the same rows.

The trainers run as processes of their own, one after the other: the same model, rows, steps, learning rate, schedule
and LoRA settings; everything else at its default, or as it is quickest. All adapters answer the same test split
through our evaluation.
"""

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from playbook.contracts.dataset import Split
from playbook.contracts.report import ArmReport, Report
from playbook.contracts.run_spec import Arm, InputFile, Metric, Recipe, RunSpec
from playbook.trainer.folder import default_models_dir
from tests.benchmarks.table import Row

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "content" / "recipes" / "support-tickets-lora.yaml"
DATASET = ROOT / "content" / "datasets" / "support-tickets"


def measure() -> tuple[list[Row], dict[str, object]]:
    """Run the trainers and return the rows and what lies behind them. Takes about 15 minutes on 2 cores."""
    _run("-m", "playbook.trainer.sample_model")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        spec = write_run_folder(folder)
        _run("-m", "playbook.trainer", str(folder))
        report = Report.model_validate_json((folder / "report.json").read_bytes())
        trl: dict[str, dict[str, Any]] = {}
        for flags in ("default", "best"):
            _run("-m", "tests.benchmarks.trl_sft", str(folder), str(default_models_dir()), flags)
            trl[flags] = json.loads((folder / f"trl-{flags}.json").read_text(encoding="utf-8"))
    details = {
        "spec": spec.model_dump(mode="json", exclude={"inputs"}),
        "device": report.device,
        "load_average_at_end": os.getloadavg(),
        "versions": report.versions | trl["default"]["versions"],
        "trl_settings": {flags: side["settings"] for flags, side in trl.items()},
    }
    compared = [row for flags, side in trl.items() for row in _comparison_rows(report, side, flags=flags)]
    return [*_sample_job_rows(report), *_our_rows(report), *compared], details


def write_run_folder(folder: Path) -> RunSpec:
    """Write the shipped recipe and dataset as a run folder and return its spec."""
    recipe = Recipe.model_validate(yaml.safe_load(RECIPE.read_text(encoding="utf-8")))
    (folder / "inputs").mkdir(parents=True)
    files = []
    for split in Split:
        data = (DATASET / f"{split}.jsonl").read_bytes()
        (folder / "inputs" / f"{split}.jsonl").write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        files.append(InputFile(split=split, sha256=digest, size_bytes=len(data), rows=data.count(b"\n")))
    spec = RunSpec.model_validate({**recipe.settings.model_dump(), "inputs": files})
    (folder / "spec.json").write_text(spec.model_dump_json(), encoding="utf-8")
    return spec


def _run(*arguments: str) -> None:
    # Our trainer asks for passive waiting itself; TRL gets it too, or a busy machine would slow it down far more.
    subprocess.run([sys.executable, *arguments], cwd=ROOT, check=True, env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE"})


def _sample_job_rows(report: Report) -> list[Row]:
    assert report.training is not None
    before, after = _exact_match(report.arm(Arm.ZERO_SHOT)), _exact_match(report.arm(Arm.LORA))
    seconds = (report.finished_at - report.started_at).total_seconds()
    return [
        Row("sample job: launch to first step", report.training.seconds_to_first_step, "s", at_most=15),
        Row("sample job: launch to report", seconds, "s", at_most=240),
        Row("sample job: exact match of the base model, zero-shot", before, "", at_most=0.10),
        Row("sample job: exact match of the tuned model", after, "", at_least=0.80),
    ]


def _our_rows(report: Report) -> list[Row]:
    training = report.training
    assert training is not None
    return [
        Row("trainer: ours", training.tokens / training.seconds, "tokens/s"),
        Row("trainer: ours, last train loss", training.final_train_loss, "nats/token"),
        Row("trainer: ours, peak memory", training.peak_memory_bytes / 1e9, "GB"),
    ]


def _comparison_rows(report: Report, trl: dict[str, Any], *, flags: str) -> list[Row]:
    training = report.training
    assert training is not None
    arm = ArmReport.model_validate(trl["arm"])
    name = f"trainer: TRL SFTTrainer, {flags} flags"
    # The same rows the same number of times: TRL gets credit for as many tokens as we count.
    theirs = training.tokens / trl["seconds"]
    ours_right, theirs_right = _exact_match(report.arm(Arm.LORA)), _exact_match(arm)
    return [
        Row(name, theirs, "tokens/s"),
        Row(f"{name}: ours is", training.tokens / training.seconds / theirs, "x", at_least=2.0),
        Row(f"{name}: last train loss", trl["train_loss"], "nats/token"),
        Row(f"{name}: exact match", theirs_right, ""),
        # "No worse": within what the test split can tell apart, half the width of a 95 % interval.
        Row(f"{name}: exact match, ours", ours_right, "", at_least=theirs_right - _half_width(arm)),
        Row(
            f"{name}: peak memory, ours to theirs",
            training.peak_memory_bytes / trl["peak_memory_bytes"],
            "x",
            at_most=1.0,
        ),
    ]


def _exact_match(arm: ArmReport | None) -> float:
    assert arm is not None
    return arm.score(Metric.EXACT_MATCH).value


def _half_width(arm: ArmReport) -> float:
    score = arm.score(Metric.EXACT_MATCH)
    return (score.high - score.low) / 2
