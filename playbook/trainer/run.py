"""One run from spec to report: the three stages in order. `__main__` calls it and turns what it raises into the end.

The base model is loaded once. Training comes first and both base and tuned arms after it, so that the first step is
not kept waiting. The import of this module brings torch and peft; `__main__` delays it until the data is accepted.
"""

import contextlib
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import torch

from playbook.contracts.report import Report, TrainingSummary
from playbook.contracts.run_spec import Method
from playbook.contracts.states import Stage
from playbook.scoring.compare import compare_all
from playbook.scoring.figures import counted
from playbook.trainer.artifacts import Description, describe, device_name, save_tuned, versions, write_atomically
from playbook.trainer.checkpoint import DamagedCheckpointError, TrainingState, find_checkpoint
from playbook.trainer.errors import IN_HANDING_OVER, advising
from playbook.trainer.forecast import CPU_GROWTH_BYTES, Foresight
from playbook.trainer.fused import fuse
from playbook.trainer.fused_adapters import release_prepacked
from playbook.trainer.layout import Layout
from playbook.trainer.measure import Measured, answer_logits, compare_export, evaluation_stage
from playbook.trainer.memory import largest_pass
from playbook.trainer.model import (
    LoadedModel,
    compute_activations_twice,
    in_float32,
    load_base,
    load_for_training,
)
from playbook.trainer.plan import choose_layout, configuration, log_plan, template_day, workload_of
from playbook.trainer.preflight import Checked, total_bytes
from playbook.trainer.prepare import Prepared, Run, trained_with
from playbook.trainer.train import TrainingJob, train


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
        run.emitter.configured(configuration(run, prepared, loaded, checked, layout=Layout.PADDED, fused={}))
    measured = Measured()
    with run.emitter.stage(Stage.EVALUATION):
        try:
            loaded = evaluation_stage(run, prepared, loaded, measured)
            summary = None if trained is None else _measured(run, prepared, trained, measured, loaded).summary
        except BaseException:
            _keep_what_was_measured(run, prepared, loaded, trained, measured, started_at=started_at)
            raise
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
    summary = None
    if trained is not None:
        summary = trained.described.summary
        # The time was foretold for the whole run, which this one was not.
        forecast = trained.foresight.forecast(peak_memory_bytes=summary.peak_memory_bytes, seconds=None)
        summary = summary.model_copy(update={"forecast": forecast})
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
    layout = choose_layout(run, prepared, loaded)
    run.emitter.configured(configuration(run, prepared, loaded, checked, layout=layout, fused=fused))
    log_plan(run, prepared, layout)
    job = _training_job(run, prepared, loaded, checked, made_with=made_with, layout=layout)
    if found is not None:
        left = run.spec.training.max_steps - found[1].step
        run.emitter.log(f"Going on from {found[0].name}; {counted(left, 'step')} left.")
    try:
        state = train(job, resume=found)
    except DamagedCheckpointError as error:
        run.emitter.warn(_starts_again(error))
        state = train(job, resume=None)
    with advising(IN_HANDING_OVER):
        return _hand_over(run, prepared, loaded, state, job.foresight)


def _hand_over(
    run: Run, prepared: Prepared, loaded: LoadedModel, state: TrainingState, foresight: Foresight
) -> Trained:
    """Save what was tuned, and return what the measurement needs."""
    release_prepacked(loaded)
    loaded = _as_measured(run, loaded)
    answers = answer_logits(prepared, loaded)
    described = Description(
        spec=run.spec,
        source=prepared.source,
        commit_of_base=getattr(prepared.config, "_commit_hash", None),
        loaded=loaded,
        summary=_training_summary(run, loaded, state),
        chat_template_day=template_day(prepared),
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
    return Trained(loaded, described, answers, foresight)


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


def _training_job(
    run: Run, prepared: Prepared, loaded: LoadedModel, checked: Checked, *, made_with: dict[str, str], layout: Layout
) -> TrainingJob:
    workload = workload_of(run, prepared, layout)
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
            layout=layout,
            largest=largest_pass(prepared.train.rows, run.spec.training, layout, seed=run.spec.seed),
            growth_bytes=CPU_GROWTH_BYTES[loaded.compute_dtype] if loaded.device.type == "cpu" else 0,
        ),
        layout=layout,
    )


def _measured(run: Run, prepared: Prepared, trained: Trained, measured: Measured, exported: LoadedModel) -> Description:
    """Hold the artifact against the model in memory, write what was measured into its card and manifest, return it."""
    check = compare_export(prepared, trained.answers, answer_logits(prepared, exported))
    run.emitter.log(
        f"The exported artifact, read back, gives another most likely token in {check.rows_differing} of {check.rows} "
        f"rows than the model in memory; the largest difference of a logit is {check.largest_logit_difference:.3f}."
    )
    summary = trained.described.summary
    seconds = time.monotonic() - run.process_start
    forecast = trained.foresight.forecast(peak_memory_bytes=summary.peak_memory_bytes, seconds=seconds)
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
        computed_tokens=state.computed_tokens,
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
