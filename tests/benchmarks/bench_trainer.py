"""The sample job in seconds and in right answers, and our trainer against TRL's SFTTrainer on the same rows.

Also: the share of the machine's matrix products that training reaches, what events and saving cost, and how near the
predictions came. On a CUDA machine the same for a model of a billion parameters.

The trainers run as processes of their own, one after the other: the same model, rows, steps, learning rate, schedule
and LoRA settings; everything else at its default, or as it is quickest. All adapters answer the same test split
through our evaluation. What both trainers compute in is the quicker number format of the machine; each has a result
file of its own, for where products in bfloat16 are no quicker there is less to win.
"""

import hashlib
import json
import os
import tempfile
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
import yaml

from playbook.contracts.dataset import Split
from playbook.contracts.report import ArmReport, Report
from playbook.contracts.run_spec import Arm, InputFile, Metric, Recipe, RunSpec
from playbook.trainer.folder import RunFolder, default_models_dir
from playbook.trainer.memory import Shape
from playbook.trainer.model import read_config, resolve
from tests.benchmarks.ceiling import between, measured_ceiling, measured_ceiling_of, training_flops
from tests.benchmarks.cuda_models import BILLION, BILLION_ID, for_billion, write_random_llama
from tests.benchmarks.learned_loss import difference, held_out_loss
from tests.benchmarks.table import Row
from tests.shipped import run_python

ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "content" / "recipes" / "support-tickets-lora.yaml"
DATASET = ROOT / "content" / "datasets" / "support-tickets"
#: How many times TRL's tokens a second we promise, by its flags.
_PROMISED = {"default": 2.5, "best": 2.0}


def measure() -> tuple[list[Row], dict[str, object]]:
    """Run the trainers and return the rows and what lies behind them. Takes about 15 minutes on 2 cores."""
    run_python("-m", "playbook.trainer.sample_model")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        spec = write_run_folder(folder)
        before = measured_ceiling()
        # Each in the environment that a user would give it: OpenMP's own default for TRL, its own choice for ours.
        run_python("-m", "playbook.trainer", str(folder))
        report = Report.model_validate_json((folder / "report.json").read_bytes())
        ceiling = between(before, measured_ceiling())
        shares = share_rows("trainer: ours", report, ceiling, at_least=0.60)
        trl: dict[str, dict[str, Any]] = {}
        for flags in ("default", "best"):
            run_python("-m", "tests.benchmarks.trl_sft", str(folder), str(default_models_dir()), flags)
            trl[flags] = json.loads((folder / f"trl-{flags}.json").read_text(encoding="utf-8"))
        losses = _losses(RunFolder(folder), trl)
        billion = _billion_rows(Path(temporary), spec, ceiling)
    details = {
        "kind": quickest(ceiling),
        "spec": spec.model_dump(mode="json", exclude={"inputs"}),
        "device": report.device,
        "matmul_ceiling_flops": ceiling,
        "load_average_at_end": os.getloadavg(),
        "versions": report.versions | trl["default"]["versions"],
        "trl_settings": {flags: side["settings"] for flags, side in trl.items()},
    }
    compared = [
        row
        for flags, side in trl.items()
        for row in [*_comparison_rows(report, side, flags=flags), *_loss_rows(losses, flags=flags)]
    ]
    ours = [
        *_our_rows(report),
        *shares,
        *_overhead_rows(report),
        *_forecast_rows(report),
    ]
    return [*_sample_job_rows(report), *ours, *compared, *billion], details


def write_run_folder(folder: Path, *, test_rows: int | None = None) -> RunSpec:
    """Write the shipped recipe and dataset as a run folder, all or some of the test rows, and return its spec."""
    recipe = Recipe.model_validate(yaml.safe_load(RECIPE.read_text(encoding="utf-8")))
    (folder / "inputs").mkdir(parents=True)
    files = []
    for split in Split:
        lines = (DATASET / f"{split}.jsonl").read_bytes().splitlines(keepends=True)
        data = b"".join(lines[:test_rows] if split is Split.TEST else lines)
        (folder / "inputs" / f"{split}.jsonl").write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        files.append(InputFile(split=split, sha256=digest, size_bytes=len(data), rows=data.count(b"\n")))
    spec = RunSpec.model_validate({**recipe.settings.model_dump(), "inputs": files})
    (folder / "spec.json").write_text(spec.model_dump_json(), encoding="utf-8")
    return spec


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
        Row("trainer: ours, peak memory", training.peak_memory_bytes / 1e9, "GB"),
    ]


def share_rows(
    name: str,
    report: Report,
    ceiling: dict[str, float],
    *,
    at_least: float | None,
    models_dir: Path | None = None,
) -> list[Row]:
    """What training did of the operations that the quickest product of this machine does in the same time.

    The model FLOP utilisation (Chowdhery et al. 2022, appendix B) counts what the model asks for by the tokens of the
    rows, here against the measured ceiling rather than the data sheet. The share is less where what rows begin with
    alike is computed once, for it counts that once.
    """
    training = report.training
    assert training is not None
    source = resolve(report.spec.base_model, models_dir or default_models_dir())
    rows_made = training.steps * report.spec.training.per_device_train_batch_size
    mean_length = training.tokens / (rows_made * report.spec.training.gradient_accumulation_steps)
    shape = Shape.of(read_config(source))
    per_second = training_flops(shape, report.spec, training, mean_length=mean_length) / training.seconds
    whole = training.model_copy(update={"computed_tokens": training.tokens})
    of_model = training_flops(shape, report.spec, whole, mean_length=mean_length) / training.seconds
    dtype = quickest(ceiling)
    best, of_these = ceiling[dtype], measured_ceiling_of(shape, report.spec, training, dtype)
    return [
        Row(f"{name}, operations", per_second / 1e9, "GFLOP/s"),
        Row(f"{name}, quickest matrix product of the machine", best / 1e9, "GFLOP/s"),
        Row(f"{name}, share of that", per_second / best, "", at_least=at_least),
        Row(f"{name}, model FLOP utilisation", of_model / best, ""),
        Row(f"{name}, bare products of its own shapes", of_these / 1e9, "GFLOP/s"),
        Row(f"{name}, share of those", per_second / of_these, ""),
    ]


def quickest(ceiling: dict[str, float]) -> str:
    """Return the number format whose products are the quickest of this machine, which is what training computes in."""
    return max(ceiling, key=lambda name: ceiling[name])


def _overhead_rows(report: Report) -> list[Row]:
    training = report.training
    assert training is not None
    assert training.event_seconds is not None
    assert training.save_seconds is not None
    return [
        Row("trainer: writing events, of step time", 100 * training.event_seconds / training.seconds, "%", at_most=1),
        Row(
            "trainer: saving checkpoints and adapter, of step time",
            100 * training.save_seconds / training.seconds,
            "%",
            at_most=1,
        ),
    ]


def _forecast_rows(report: Report) -> list[Row]:
    """How far what came lies from what three probe steps foretold, either way."""
    assert report.training is not None
    forecast = report.training.forecast
    assert forecast is not None
    assert forecast.seconds is not None
    seconds_off = abs(forecast.seconds / forecast.predicted_seconds - 1)
    memory_off = abs(forecast.peak_memory_bytes / forecast.predicted_peak_memory_bytes - 1)
    estimate_off = forecast.estimated_peak_memory_bytes / forecast.peak_memory_bytes - 1
    return [
        Row("sample job: predicted time, off by", 100 * seconds_off, "%", at_most=20),
        Row("sample job: predicted peak memory, off by", 100 * memory_off, "%", at_most=15),
        Row("sample job: memory estimate before the first step, off by", 100 * estimate_off, "%"),
    ]


def _billion_rows(temporary: Path, spec: RunSpec, ceiling: dict[str, float]) -> list[Row]:
    """The same for a Llama of a billion parameters with random weights; no row without a CUDA device."""
    if not torch.cuda.is_available():
        return []
    models_dir = temporary / "models"
    write_random_llama(models_dir, BILLION_ID, BILLION)
    folder = temporary / "billion"
    write_run_folder(folder)
    (folder / "spec.json").write_text(for_billion(spec, steps=40).model_dump_json(), encoding="utf-8")
    run_python("-m", "playbook.trainer", str(folder), "--models-dir", str(models_dir))
    report = Report.model_validate_json((folder / "report.json").read_bytes())
    training = report.training
    assert training is not None
    name = "trainer on CUDA: Llama shape of 1B parameters"
    return [
        Row(name, training.tokens / training.seconds, "tokens/s"),
        Row(f"{name}, peak memory", training.peak_memory_bytes / 1e9, "GB"),
        *share_rows(name, report, ceiling, models_dir=models_dir, at_least=None),
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
        Row(f"{name}: ours is", training.tokens / training.seconds / theirs, "x", at_least=_PROMISED[flags]),
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


def _losses(folder: RunFolder, trl: dict[str, dict[str, Any]]) -> dict[str, list[float]]:
    adapters = {"ours": folder.adapter} | {flags: folder.root / f"trl-{flags}" for flags in trl}
    return {side: held_out_loss(folder, adapter, models_dir=default_models_dir()) for side, adapter in adapters.items()}


def _loss_rows(losses: dict[str, list[float]], *, flags: str) -> list[Row]:
    name = f"trainer: TRL SFTTrainer, {flags} flags: loss of the test answers"
    apart = difference(losses["ours"], losses[flags])
    return [
        Row(name, fmean(losses[flags]), "nats/token"),
        Row(f"{name}, ours", fmean(losses["ours"]), "nats/token"),
        # "No worse": the interval of the difference over the rows does not lie wholly above zero.
        Row(f"{name}, ours less theirs, lower end of 95 %", apart.low, "nats/token", at_most=0),
        Row(f"{name}, ours less theirs, upper end of 95 %", apart.high, "nats/token"),
    ]


def _exact_match(arm: ArmReport | None) -> float:
    assert arm is not None
    return arm.score(Metric.EXACT_MATCH).value


def _half_width(arm: ArmReport) -> float:
    score = arm.score(Metric.EXACT_MATCH)
    return (score.high - score.low) / 2
