"""One run from spec to report: the three stages in order. `__main__` calls it and turns what it raises into the end.

The base model is loaded once. Training comes first and both base and tuned arms after it, so that the first step is
not kept waiting. The import of this module brings torch and peft; `__main__` delays it until the data is accepted.
"""

import contextlib
import math
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import torch

from playbook.contracts.events import Configured, Plain, plain_value
from playbook.contracts.report import Report, TrainingSummary
from playbook.contracts.run_spec import Arm, Method
from playbook.contracts.states import Stage
from playbook.scoring.compare import compare_all
from playbook.scoring.figures import counted
from playbook.trainer.artifacts import Description, describe, device_name, save_tuned, versions, write_atomically
from playbook.trainer.checkpoint import DamagedCheckpointError, TrainingState, find_checkpoint
from playbook.trainer.day import DAY
from playbook.trainer.forecast import CPU_GROWTH_BYTES, Foresight
from playbook.trainer.fused import fuse
from playbook.trainer.fused_adapters import release_prepacked
from playbook.trainer.generate import tokens_to_read
from playbook.trainer.loss import packs_exactly
from playbook.trainer.measure import Measured, answer_logits, compare_export, evaluation_stage
from playbook.trainer.model import (
    LoadedModel,
    compute_activations_twice,
    in_float32,
    load_base,
    load_for_training,
    probe_products,
)
from playbook.trainer.preflight import Checked, total_bytes
from playbook.trainer.prepare import Prepared, Run, trained_with
from playbook.trainer.schedule import Workload, step_cost
from playbook.trainer.train import TrainingJob, train

#: Tokens of the general set, about; it is recalled before and after.
_GENERAL_TOKENS = 3000


@dataclass(frozen=True)
class Trained:
    """What the training stage hands on. `answers`: logits of the model in memory at a few expected answers, float32
    (positions, vocabulary)."""

    loaded: LoadedModel
    described: Description
    answers: torch.Tensor
    foresight: Foresight


def train_and_measure(run: Run, prepared: Prepared, checked: Checked, *, started_at: datetime) -> Report:
    """Run the second and third stage and return the report, which then lies in `RUN_DIR/report.json`."""
    trained: Trained | None = None
    if run.spec.trains:
        with run.emitter.stage(Stage.TRAINING):
            trained = _train_stage(run, prepared, checked)
            loaded = trained.loaded
    else:
        run.emitter.log("No tuned arm is asked for, so nothing is trained and no adapter is written.")
        loaded = _as_measured(run, _load(run, prepared, compute_dtype=checked.compute_dtype))
        run.emitter.configured(_configuration(run, prepared, loaded, checked, packing=False, fused={}))
    measured = Measured()
    with run.emitter.stage(Stage.EVALUATION):
        try:
            loaded = evaluation_stage(run, prepared, loaded, measured)
        except BaseException:
            _keep_what_was_measured(run, prepared, loaded, trained, measured, started_at=started_at)
            raise
        summary = None
        if trained is not None:
            summary = _measured(run, prepared, trained, measured, loaded).summary
        return _write_report(run, prepared, loaded, summary, measured, started_at=started_at)


def _keep_what_was_measured(
    run: Run,
    prepared: Prepared,
    loaded: LoadedModel,
    trained: Trained | None,
    measured: Measured,
    *,
    started_at: datetime,
) -> None:
    """Write a report of what there is, marked as partial, before a cancelled run ends. Nothing yet: no report."""
    if not measured.arms:
        return
    summary = None if trained is None else trained.described.summary
    # A full disk must not hide why the run ends.
    with contextlib.suppress(OSError):
        _write_report(run, prepared, loaded, summary, measured, started_at=started_at, partial=True)


def _train_stage(run: Run, prepared: Prepared, checked: Checked) -> Trained:
    """Load the base model, train, save what was tuned, and return what the measurement needs."""
    made_with = trained_with(run.spec, base=prepared.base)
    found = _find_checkpoint(run, made_with)
    loaded = _load(run, prepared, compute_dtype=found[1].compute_dtype if found else checked.compute_dtype)
    if checked.checkpointing:
        compute_activations_twice(loaded)
    # Found to pay for the number format that was probed; a resumed run keeps its own.
    prepack = checked.prepack and loaded.compute_dtype == checked.compute_dtype
    fused = fuse(loaded, prepack=prepack)
    run.stop.check()
    packing = _may_pack(run, prepared, loaded)
    run.emitter.configured(_configuration(run, prepared, loaded, checked, packing=packing, fused=fused))
    _log_plan(run, prepared)
    job = _training_job(run, prepared, loaded, checked, made_with=made_with, packing=packing)
    if found is not None:
        left = run.spec.training.max_steps - found[1].step
        run.emitter.log(f"Going on from {found[0].name}; {counted(left, 'step')} left.")
    try:
        state = train(job, resume=found)
    except DamagedCheckpointError as error:
        run.emitter.warn(_starts_again(error))
        state = train(job, resume=None)
    release_prepacked(loaded)
    loaded = _as_measured(run, loaded)
    answers = answer_logits(prepared, loaded)
    described = Description(
        spec=run.spec,
        source=prepared.source,
        commit_of_base=getattr(prepared.config, "_commit_hash", None),
        loaded=loaded,
        summary=_training_summary(run, loaded, state),
        chat_template_day=_template_day(prepared),
    )
    saved_dtype = prepared.config.dtype or torch.float32
    start = time.monotonic()
    save_tuned(run.folder, tokenizer=prepared.tokenizer, described=described, saved_dtype=saved_dtype)
    saving = state.save_seconds + time.monotonic() - start
    described = replace(described, summary=described.summary.model_copy(update={"save_seconds": saving}))
    if loaded.method is Method.FULL:
        # The base arms need the untuned weights, which full tuning has overwritten.
        base = load_base(prepared.source, device=loaded.device, dtype=loaded.compute_dtype, attention=loaded.attention)
        loaded = replace(loaded, model=base)
        described = replace(described, loaded=loaded)
    return Trained(loaded, described, answers, job.foresight)


def _find_checkpoint(run: Run, made_with: dict[str, str]) -> tuple[Path, TrainingState] | None:
    """Return the checkpoint to go on from. One that cannot be read costs its steps, said in a warning."""
    try:
        return find_checkpoint(run.folder.checkpoints, made_with=made_with)
    except DamagedCheckpointError as error:
        run.emitter.warn(_starts_again(error))
        return None


def _starts_again(error: DamagedCheckpointError) -> str:
    return f"{error}. Training starts again from step 0."


def _load(run: Run, prepared: Prepared, *, compute_dtype: str) -> LoadedModel:
    return load_for_training(
        prepared.source,
        run.spec.lora,
        seed=run.spec.seed,
        longest=prepared.longest,
        compute_dtype=compute_dtype,
        method=run.spec.method,
        use_liger_kernel=run.spec.training.use_liger_kernel,
    )


def _as_measured(run: Run, loaded: LoadedModel) -> LoadedModel:
    return in_float32(loaded) if run.spec.evaluation.evaluation_dtype == "float32" else loaded


def _may_pack(run: Run, prepared: Prepared, loaded: LoadedModel) -> bool:
    """Tell whether rows are packed: when the spec asks for it and no logit of this model changes by it."""
    if not run.spec.training.packing:
        return False
    if packs_exactly(loaded, prepared.train.rows, pad_id=prepared.tokenizer.pad_token_id):
        return True
    run.emitter.warn(
        "packing is switched off: in this model packed rows would see each other. Rows are padded instead."
    )
    return False


def _training_job(
    run: Run, prepared: Prepared, loaded: LoadedModel, checked: Checked, *, made_with: dict[str, str], packing: bool
) -> TrainingJob:
    workload = _workload(run, prepared)
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
        workload=workload,
        process_start=run.process_start,
        made_with=made_with,
        foresight=Foresight(
            workload=workload,
            settings=run.spec.training,
            emitter=run.emitter,
            process_start=run.process_start,
            bytes_of=partial(total_bytes, run, prepared, checked),
            largest=checked.largest,
            growth_bytes=CPU_GROWTH_BYTES[loaded.compute_dtype] if loaded.device.type == "cpu" else 0,
        ),
        packing=packing,
    )


def _workload(run: Run, prepared: Prepared) -> Workload:
    """Return the work of the run. The tuned model's answers are as long as those expected, which it was taught; an
    untuned one goes on until it is cut."""
    training, evaluation = run.spec.training, run.spec.evaluation
    lengths = [len(row.encoded.input_ids) for row in prepared.train.rows]
    answer = max(len(row.encoded.input_ids) - row.encoded.prompt_length for row in prepared.held)
    taught = min(answer, evaluation.max_new_tokens)
    every = [*prepared.questions.items(), *((Arm.FEW_SHOT, found) for found in prepared.repeated)]
    asked = [(arm, [one.prompt_ids for one in found if one.error is None]) for arm, found in every]
    config = prepared.config.get_text_config()
    return Workload(
        training_step=_rows_per_step(run) * sum(lengths) / len(lengths),
        validation=sum(len(row.encoded.input_ids) for row in prepared.validation.rows),
        validations=math.ceil(training.max_steps / training.eval_steps),
        generated_tokens=sum(
            len(prompts) * (taught if arm.is_tuned else evaluation.max_new_tokens) for arm, prompts in asked
        ),
        prompt_tokens=sum(tokens_to_read(config, prompts) for _, prompts in asked) + 2 * _GENERAL_TOKENS,
        step_cost=step_cost(run.spec),
    )


def _rows_per_step(run: Run) -> int:
    return run.spec.training.per_device_train_batch_size * run.spec.training.gradient_accumulation_steps


def _configuration(
    run: Run, prepared: Prepared, loaded: LoadedModel, checked: Checked, *, packing: bool, fused: dict[str, int]
) -> Configured:
    spec = run.spec
    effective: dict[str, Plain] = {
        "base_model": spec.base_model.id,
        "seed": spec.seed,
        "method": str(spec.method),
        "device": device_name(loaded.device),
        "compute_dtype": loaded.compute_dtype,
        "attention": loaded.attention,
        **_probed(loaded),
        "trained_dtype": "float32",
        "optimizer": "adamw (fused)",
        "context_length": prepared.context_length,
        **({"chat_template_day": day} if (day := _template_day(prepared)) else {}),
        "train_rows": len(prepared.train.rows),
        "train_rows_dropped": len(prepared.train.dropped_lines),
        "train_rows_truncated": len(prepared.train.truncated_lines),
        "validation_rows": len(prepared.validation.rows),
        "rows_per_step": _rows_per_step(run),
        "epochs": round(spec.training.max_steps * _rows_per_step(run) / len(prepared.train.rows), 3),
    }
    parts = (
        (spec.training, spec.evaluation) if spec.method is Method.FULL else (spec.lora, spec.training, spec.evaluation)
    )
    for part in parts:
        for name, value in part.model_dump(mode="json").items():
            effective[name] = plain_value(value)
    effective["max_length"] = prepared.max_length
    effective["gradient_checkpointing"] = checked.checkpointing
    effective["packing"] = packing
    effective["fused"] = ", ".join(fused) or "nothing"
    effective["use_liger_kernel"] = loaded.liger
    effective["torch_compile"] = spec.training.torch_compile and loaded.device.type == "cuda"
    return Configured(
        at=datetime.now(UTC),
        effective=effective,
        trainable_parameters=loaded.trainable_parameters,
        total_parameters=loaded.total_parameters,
    )


def _template_day(prepared: Prepared) -> str | None:
    return DAY.date().isoformat() if prepared.builder.asks_for_the_day else None


def _probed(loaded: LoadedModel) -> dict[str, float]:
    """Return what the choice of the number format was made by, in 10^9 operations a second; nothing on a GPU."""
    if loaded.device.type == "cuda":
        return {}
    return {f"probed_{name}_gflops": round(speed / 1e9, 1) for name, speed in probe_products().items()}


def _log_plan(run: Run, prepared: Prepared) -> None:
    steps, rows_per_step = run.spec.training.max_steps, _rows_per_step(run)
    passes = steps * rows_per_step / len(prepared.train.rows)
    run.emitter.log(
        f"Training {counted(steps, 'step')} of {counted(rows_per_step, 'row')}: {passes:.1f} passes over "
        f"{counted(len(prepared.train.rows), 'row')}."
    )
    if prepared.max_length < run.spec.training.max_length:
        run.emitter.warn(
            f"max_length {run.spec.training.max_length} exceeds the context of the base model; "
            f"{prepared.max_length} is used."
        )


def _measured(run: Run, prepared: Prepared, trained: Trained, measured: Measured, exported: LoadedModel) -> Description:
    """Hold the artifact against the model in memory, write what was measured into its card and manifest, return it."""
    check = compare_export(prepared, trained.answers, answer_logits(prepared, exported))
    run.emitter.log(
        f"The exported artifact, read back, gives another most likely token in {check.rows_differing} of {check.rows} "
        f"rows than the model in memory; the largest difference of a logit is {check.largest_logit_difference:.3f}."
    )
    summary = trained.described.summary
    forecast = trained.foresight.forecast(peak_memory_bytes=summary.peak_memory_bytes)
    described = replace(
        trained.described,
        summary=summary.model_copy(update={"export": check, "forecast": forecast}),
        arm=next(arm for arm in measured.in_order(run.spec.evaluation.arms) if arm.arm.is_tuned),
    )
    describe(run.folder, described)
    return described


def _write_report(
    run: Run,
    prepared: Prepared,
    loaded: LoadedModel,
    summary: TrainingSummary | None,
    measured: Measured,
    *,
    started_at: datetime,
    partial: bool = False,
) -> Report:
    arms = measured.in_order(run.spec.evaluation.arms)
    report = Report(
        spec=run.spec,
        arms=arms,
        comparisons=compare_all(arms),
        training=summary,
        retention=measured.retention,
        partial=partial,
        overlap=prepared.overlap,
        device=device_name(loaded.device),
        versions=versions(),
        started_at=started_at,
        finished_at=datetime.now(UTC),
    )
    write_atomically(run.folder.report, report.model_dump_json() + "\n")
    return report


def _training_summary(run: Run, loaded: LoadedModel, state: TrainingState) -> TrainingSummary:
    best = run.spec.training.load_best_model_at_end and state.best_step != state.step
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
        stopped_early=state.stopped_early,
        best_step=state.best_step if best else None,
        event_seconds=run.emitter.seconds_writing,
        save_seconds=state.save_seconds,
    )
