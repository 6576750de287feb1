"""Third stage, put together: every arm answers the held-out rows, the general set is recalled before and after, and
the exported artifact is held against memory.
"""

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import torch

from playbook.contracts.report import ArmReport, ExportCheck, RetentionSummary
from playbook.contracts.run_spec import Arm, Method
from playbook.contracts.states import Stage
from playbook.scoring.metrics import Judge
from playbook.trainer import retention
from playbook.trainer.artifacts import read_back_adapter, tuned_folder
from playbook.trainer.data import Row
from playbook.trainer.evaluate import ArmRun, repeat_of
from playbook.trainer.generate import Generator
from playbook.trainer.likelihood import likelihoods
from playbook.trainer.loss import IGNORED, logits_of, make_batch
from playbook.trainer.model import LoadedModel, ModelSource, attend_to, load_base
from playbook.trainer.prepare import Prepared, Run
from playbook.trainer.questions import Question

#: Test rows on which the exported artifact is held against the model in memory: one batch.
_CHECKED_ROWS = 8


@dataclass
class Measured:
    """What the evaluation has found so far; what a cancelled run reports."""

    arms: dict[Arm, ArmReport] = field(default_factory=dict)
    retention: RetentionSummary | None = None

    def in_order(self, wanted: Sequence[Arm]) -> tuple[ArmReport, ...]:
        return tuple(self.arms[arm] for arm in wanted if arm in self.arms)


def evaluation_stage(run: Run, prepared: Prepared, loaded: LoadedModel, measured: Measured) -> LoadedModel:
    """Answer the held-out rows with every arm, filling `measured`; return the model as exported.

    Base arms run first, with the adapters switched off; reading the artifact back comes after and stays.
    """
    wanted = run.spec.evaluation.arms
    asked = [*(prepared.questions[arm] for arm in wanted), *prepared.repeated]
    progress = _ArmProgress(run, total=sum(map(len, asked)))
    loaded.model.eval()
    general = retention.general_rows(prepared.builder, context_length=prepared.context_length)
    pad_id = prepared.tokenizer.pad_token_id
    with _base_alone(loaded):
        attend_to(loaded, longest=prepared.longest_prompt)
        for arm in (arm for arm in wanted if not arm.is_tuned):
            _measure(run, prepared, loaded, arm, measured, progress)
        before = retention.recall(loaded, general, pad_id=pad_id, stop=run.stop) if run.spec.trains else []
    if run.spec.trains:
        loaded = read_back(run, loaded)
        attend_to(loaded, longest=prepared.longest_prompt)
        for arm in (arm for arm in wanted if arm.is_tuned):
            _measure(run, prepared, loaded, arm, measured, progress)
            _warn_of_cut_answers(run, measured.arms[arm])
        after = retention.recall(loaded, general, pad_id=pad_id, stop=run.stop)
        measured.retention = retention.summarise(general, before, after, run.spec.evaluation)
        if measured.retention.warning:
            run.emitter.warn(measured.retention.warning)
    return loaded


def _measure(
    run: Run, prepared: Prepared, loaded: LoadedModel, arm: Arm, measured: Measured, progress: "_ArmProgress"
) -> None:
    """Answer the arm's questions, once more for each repeat. What there is when the run is cancelled is kept."""
    generator = Generator(
        model=loaded.model,
        tokenizer=prepared.tokenizer,
        device=loaded.device,
        end_ids=prepared.end_ids,
        max_new_tokens=run.spec.evaluation.max_new_tokens,
        batch_size=run.spec.evaluation.batch_size,
        stop=run.stop,
        opening=prepared.builder.opening,
    )

    judge = Judge(run.spec.evaluation)

    def start(questions: Sequence[Question]) -> ArmRun:
        return ArmRun(arm, run.spec, questions, judge, prepared.retrieval)

    first = start(prepared.questions[arm])
    try:
        # Before the answers, so that each of them can be judged when the run ends among them.
        first.weigh(partial(likelihoods, loaded, pad_id=prepared.tokenizer.pad_token_id, stop=run.stop))
        first.run(generator, on_rows_done=progress.rows_done)
        progress.arm_done(first.report())
        for number, questions in enumerate(prepared.repeated if arm is Arm.FEW_SHOT else (), start=1):
            again = start(questions)
            again.run(generator, on_rows_done=progress.rows_done)
            first.repeats.append(repeat_of(again, seed=run.spec.seed + number))
            progress.arm_done(again.report())
    finally:
        if first.has_something:
            measured.arms[arm] = first.report()


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
    by_length = sorted(prepared.held, key=lambda row: len(row.encoded.input_ids))
    fitting = [row for row in by_length if len(row.encoded.input_ids) <= prepared.context_length]
    return tuple((fitting or by_length[:1])[:_CHECKED_ROWS])


def _warn_of_cut_answers(run: Run, report: ArmReport) -> None:
    cut = sum(item.cut for item in report.items)
    if cut:
        run.emitter.warn(
            f"{report.arm}: {cut} of {len(report.items)} answers {'was' if cut == 1 else 'were'} cut at max_new_tokens "
            f"{run.spec.evaluation.max_new_tokens} before the model ended its turn. Raise it, or train longer."
        )


class _ArmProgress:
    """Turns "rows of this arm" into progress of the stage, and says how each arm did."""

    def __init__(self, run: Run, *, total: int) -> None:
        self._run = run
        self._total = total
        self._before = 0
        # Not by the clock of the day, which may be set back meanwhile, and goes on while a machine sleeps.
        self._start = time.monotonic()

    def rows_done(self, rows: int) -> None:
        done = self._before + rows
        elapsed = time.monotonic() - self._start
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
