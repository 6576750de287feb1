"""One run from spec to report: the three stages in order. `__main__` calls it and turns what it raises into the end.

The base model is loaded once. Training comes first and both base and tuned arms after it, so that the first step is
not kept waiting. The import of this module brings torch and peft; `__main__` delays it until the data is accepted.
"""

import math
import platform
from datetime import UTC, datetime
from importlib.metadata import version

import torch

from playbook.contracts.events import Configured
from playbook.contracts.report import ArmReport, Report, TrainingSummary
from playbook.contracts.run_spec import Arm
from playbook.contracts.states import Stage
from playbook.scoring.compare import compare_all
from playbook.trainer.artifacts import merge_saved_adapter, save_adapter, write_atomically
from playbook.trainer.checkpoint import DamagedCheckpointError, TrainingState, find_checkpoint
from playbook.trainer.evaluate import Generator, run_arm
from playbook.trainer.model import LoadedModel, load_with_adapters
from playbook.trainer.prepare import Prepared, Run, settings_digest
from playbook.trainer.schedule import Workload
from playbook.trainer.train import TrainingJob, train

_LIBRARIES = ("torch", "transformers", "peft", "safetensors", "tokenizers")


def train_or_load(run: Run, prepared: Prepared) -> tuple[LoadedModel, TrainingState | None]:
    """Return the model to evaluate, and the final training state; None when no arm of the run needs training."""
    if Arm.LORA in run.spec.evaluation.arms:
        with run.emitter.stage(Stage.TRAINING):
            return _train_stage(run, prepared)
    run.emitter.log("No lora arm is asked for, so nothing is trained and no adapter is written.")
    loaded = load_with_adapters(prepared.source, run.spec.lora, seed=run.spec.seed, longest=prepared.longest)
    run.emitter.configured(_configuration(run, prepared, loaded))
    return loaded, None


def _train_stage(run: Run, prepared: Prepared) -> tuple[LoadedModel, TrainingState]:
    """Load the base model, train the adapters, save them, and return both."""
    digest = settings_digest(run.spec)
    found = find_checkpoint(run.folder.checkpoints, settings_digest=digest)
    loaded = load_with_adapters(
        prepared.source,
        run.spec.lora,
        seed=run.spec.seed,
        longest=prepared.longest,
        compute_dtype=found[1].compute_dtype if found else None,
    )
    run.stop.check()
    run.emitter.configured(_configuration(run, prepared, loaded))
    _log_plan(run, prepared)
    job = _training_job(run, prepared, loaded, digest)
    if found is not None:
        run.emitter.log(f"Going on from {found[0].name}; {run.spec.training.max_steps - found[1].step} steps are left.")
    try:
        state = train(job, resume=found)
    except DamagedCheckpointError as error:
        run.emitter.warn(f"{error}. Training starts again from step 0.")
        state = train(job, resume=None)
    save_adapter(run.folder, model=loaded.model, tokenizer=prepared.tokenizer, spec=run.spec, state=state)
    return loaded, state


def _training_job(run: Run, prepared: Prepared, loaded: LoadedModel, digest: str) -> TrainingJob:
    return TrainingJob(
        loaded=loaded,
        settings=run.spec.training,
        rows=prepared.train.rows,
        validation_rows=prepared.validation.rows,
        seed=run.spec.seed,
        pad_id=prepared.tokenizer.pad_token_id,
        folder=run.folder,
        emitter=run.emitter,
        stop=run.stop,
        workload=_workload(run, prepared),
        process_start=run.process_start,
        settings_digest=digest,
    )


def _workload(run: Run, prepared: Prepared) -> Workload:
    training, evaluation = run.spec.training, run.spec.evaluation
    lengths = [len(row.encoded.input_ids) for row in prepared.train.rows]
    return Workload(
        training_step=_rows_per_step(run) * sum(lengths) / len(lengths),
        validation=sum(len(row.encoded.input_ids) for row in prepared.validation.rows),
        validations=math.ceil(training.max_steps / training.eval_steps),
        generated_tokens=sum(len(asked) for asked in prepared.questions.values()) * evaluation.max_new_tokens,
    )


def _rows_per_step(run: Run) -> int:
    return run.spec.training.per_device_train_batch_size * run.spec.training.gradient_accumulation_steps


def _configuration(run: Run, prepared: Prepared, loaded: LoadedModel) -> Configured:
    spec = run.spec
    effective: dict[str, str | int | float | bool | None] = {
        "base_model": spec.base_model.id,
        "seed": spec.seed,
        "device": device_name(loaded.device),
        "compute_dtype": loaded.compute_dtype,
        "attention": loaded.attention,
        "adapter_dtype": "float32",
        "optimizer": "adamw (fused)",
        "context_length": prepared.context_length,
        "train_rows": len(prepared.train.rows),
        "train_rows_dropped": len(prepared.train.dropped_lines),
        "train_rows_truncated": len(prepared.train.truncated_lines),
        "validation_rows": len(prepared.validation.rows),
        "rows_per_step": _rows_per_step(run),
        "epochs": round(spec.training.max_steps * _rows_per_step(run) / len(prepared.train.rows), 3),
    }
    for part in (spec.lora, spec.training, spec.evaluation):
        for name, value in part.model_dump(mode="json").items():
            effective[name] = ", ".join(value) if isinstance(value, list) else value
    effective["max_length"] = prepared.max_length
    return Configured(
        at=datetime.now(UTC),
        effective=effective,
        trainable_parameters=loaded.trainable_parameters,
        total_parameters=loaded.total_parameters,
    )


def _log_plan(run: Run, prepared: Prepared) -> None:
    passes = run.spec.training.max_steps * _rows_per_step(run) / len(prepared.train.rows)
    run.emitter.log(
        f"Training {run.spec.training.max_steps} steps of {_rows_per_step(run)} rows: {passes:.1f} passes over "
        f"{len(prepared.train.rows)} rows."
    )
    if prepared.max_length < run.spec.training.max_length:
        run.emitter.warn(
            f"max_length {run.spec.training.max_length} exceeds the context of the base model; "
            f"{prepared.max_length} is used."
        )


def evaluation_stage(run: Run, prepared: Prepared, loaded: LoadedModel) -> tuple[ArmReport, ...]:
    """Answer the test split with every arm and return their reports in the order of the spec.

    Base arms run first, with the adapters switched off; merging them into the weights comes after and stays.
    """
    wanted = run.spec.evaluation.arms
    generator = Generator(
        model=loaded.model,
        tokenizer=prepared.tokenizer,
        device=loaded.device,
        end_ids=prepared.end_ids,
        settings=run.spec.evaluation,
        stop=run.stop,
    )
    loaded.model.eval()
    progress = _ArmProgress(run, total=sum(len(prepared.questions[arm]) for arm in wanted))
    reports: dict[Arm, ArmReport] = {}
    with loaded.model.disable_adapter():
        for arm in (arm for arm in wanted if arm is not Arm.LORA):
            reports[arm] = run_arm(arm, prepared.questions[arm], generator, on_rows_done=progress.rows_done)
            progress.arm_done(reports[arm])
    if Arm.LORA in wanted:
        merge_saved_adapter(run.folder, model=loaded.model, device=loaded.device)
        reports[Arm.LORA] = run_arm(Arm.LORA, prepared.questions[Arm.LORA], generator, on_rows_done=progress.rows_done)
        progress.arm_done(reports[Arm.LORA])
    return tuple(reports[arm] for arm in wanted)


class _ArmProgress:
    """Turns "rows of this arm" into progress of the stage, and says how each arm did."""

    def __init__(self, run: Run, *, total: int) -> None:
        self._run = run
        self._total = total
        self._before = 0
        self._start = datetime.now(UTC)

    def rows_done(self, rows: int) -> None:
        done = self._before + rows
        elapsed = (datetime.now(UTC) - self._start).total_seconds()
        self._run.emitter.progress(
            Stage.EVALUATION,
            done=done,
            total=self._total,
            unit="rows",
            remaining_seconds=elapsed / done * (self._total - done),
        )

    def arm_done(self, report: ArmReport) -> None:
        self._before += len(report.items)
        score = report.scores[0]
        self._run.emitter.log(
            f"{report.arm}: {score.metric} {score.successes} of {score.n} "
            f"(95 % interval {score.low:.2f} to {score.high:.2f}), {report.seconds:.1f} s."
        )


def build_report(
    run: Run,
    prepared: Prepared,
    loaded: LoadedModel,
    state: TrainingState | None,
    arms: tuple[ArmReport, ...],
    *,
    started_at: datetime,
) -> Report:
    """Return the report and write it to `RUN_DIR/report.json`."""
    report = Report(
        spec=run.spec,
        arms=arms,
        comparisons=compare_all(arms),
        training=None if state is None else _training_summary(loaded, state),
        overlap=prepared.overlap,
        device=device_name(loaded.device),
        versions={"python": platform.python_version()} | {name: version(name) for name in _LIBRARIES},
        started_at=started_at,
        finished_at=datetime.now(UTC),
    )
    write_atomically(run.folder.report, report.model_dump_json() + "\n")
    return report


def _training_summary(loaded: LoadedModel, state: TrainingState) -> TrainingSummary:
    return TrainingSummary(
        steps=state.step,
        seconds=state.seconds,
        seconds_to_first_step=state.seconds_to_first_step,
        supervised_tokens=state.supervised_tokens,
        tokens=state.tokens,
        final_train_loss=state.final_train_loss,
        final_validation_loss=state.validation_losses[-1],
        trainable_parameters=loaded.trainable_parameters,
        total_parameters=loaded.total_parameters,
        peak_memory_bytes=state.peak_memory_bytes,
    )


def device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return f"CPU ({platform.machine()}, {torch.get_num_threads()} threads)"
