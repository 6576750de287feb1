"""Third stage, put together: every arm answers the test split, and the exported artifact is held against memory."""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import torch

from playbook.contracts.report import ArmReport, ExportCheck
from playbook.contracts.run_spec import Arm, Method
from playbook.contracts.states import Stage
from playbook.trainer.artifacts import read_back_adapter, tuned_folder
from playbook.trainer.data import Row
from playbook.trainer.evaluate import Generator, run_arm
from playbook.trainer.loss import IGNORED, logits_of, make_batch
from playbook.trainer.model import LoadedModel, ModelSource, load_base
from playbook.trainer.prepare import Prepared, Run

#: Test rows on which the exported artifact is held against the model in memory: one batch.
_CHECKED_ROWS = 8


def evaluation_stage(run: Run, prepared: Prepared, loaded: LoadedModel) -> tuple[tuple[ArmReport, ...], LoadedModel]:
    """Answer the test split with every arm; return the reports in the order of the spec, and the model as exported.

    Base arms run first, with the adapters switched off; reading the artifact back comes after and stays.
    """
    wanted = run.spec.evaluation.arms
    progress = _ArmProgress(run, total=sum(len(prepared.questions[arm]) for arm in wanted))
    reports: dict[Arm, ArmReport] = {}

    def measure(arm: Arm, measured: LoadedModel) -> None:
        generator = Generator(
            model=measured.model,
            tokenizer=prepared.tokenizer,
            device=measured.device,
            end_ids=prepared.end_ids,
            settings=run.spec.evaluation,
            stop=run.stop,
        )
        reports[arm] = run_arm(arm, prepared.questions[arm], generator, on_rows_done=progress.rows_done)
        progress.arm_done(reports[arm])

    loaded.model.eval()
    with _base_alone(loaded):
        for arm in (arm for arm in wanted if arm is not Arm.LORA):
            measure(arm, loaded)
    if Arm.LORA in wanted:
        loaded = read_back(run, loaded)
        measure(Arm.LORA, loaded)
        _warn_of_cut_answers(run, reports[Arm.LORA])
    return tuple(reports[arm] for arm in wanted), loaded


@contextmanager
def _base_alone(loaded: LoadedModel) -> Iterator[None]:
    """Within, the model answers untuned. After a full fine-tune `loaded` is the base model already."""
    if loaded.method is Method.FULL:
        yield
    else:
        with loaded.model.disable_adapter():
            yield


def read_back(run: Run, loaded: LoadedModel) -> LoadedModel:
    """Return the tuned model as its files have it: the adapter read again and merged, or the whole model loaded."""
    path = tuned_folder(run.folder, loaded.method)
    if loaded.method is Method.FULL:
        source = ModelSource(location=str(path), revision=None, is_local=True)
        model = load_base(source, device=loaded.device, dtype=loaded.compute_dtype, attention=loaded.attention)
        return replace(loaded, model=model.eval())
    read_back_adapter(path, model=loaded.model, device=loaded.device, merge=loaded.method is not Method.QLORA)
    return loaded


def answer_logits(prepared: Prepared, loaded: LoadedModel) -> torch.Tensor:
    """Return the logits at the expected answers of a few test rows, float32 (learned positions, vocabulary)."""
    batch = make_batch(_checked_rows(prepared), pad_id=prepared.tokenizer.pad_token_id, device=loaded.device)
    was_training = loaded.model.training
    loaded.model.eval()
    with torch.inference_mode():
        logits = logits_of(loaded, batch, batch.labels != IGNORED).float()
    loaded.model.train(was_training)
    return logits


def compare_export(prepared: Prepared, in_memory: torch.Tensor, exported: torch.Tensor) -> ExportCheck:
    """Return how far the exported artifact is from the model in memory. Both: float32 (positions, vocabulary)."""
    rows = _checked_rows(prepared)
    counts = [row.encoded.supervised_tokens for row in rows]
    differs = in_memory.argmax(-1) != exported.argmax(-1)
    ends = list(itertools.accumulate(counts))
    return ExportCheck(
        rows=len(rows),
        rows_differing=sum(bool(differs[end - count : end].any()) for count, end in zip(counts, ends, strict=True)),
        largest_logit_difference=float((in_memory - exported).abs().max()),
    )


def _checked_rows(prepared: Prepared) -> tuple[Row, ...]:
    """Return the shortest test rows: they fit into the context, and cost the least."""
    by_length = sorted(prepared.test, key=lambda row: len(row.encoded.input_ids))
    fitting = [row for row in by_length if len(row.encoded.input_ids) <= prepared.context_length]
    return tuple((fitting or by_length[:1])[:_CHECKED_ROWS])


def _warn_of_cut_answers(run: Run, report: ArmReport) -> None:
    cut = sum(not item.natural_stop for item in report.items if item.error is None)
    if cut:
        run.emitter.warn(
            f"{report.arm}: {cut} of {len(report.items)} answers were cut at max_new_tokens "
            f"{run.spec.evaluation.max_new_tokens} before the model ended its turn. Raise it, or train longer."
        )


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
