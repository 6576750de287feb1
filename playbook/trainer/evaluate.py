"""Third stage, one arm: its questions answered and judged, row by row.

An `ArmRun` keeps what it has, so that a run which is cancelled half-way can still report it.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from playbook.contracts.report import ArmReport, ItemResult, Repeat, Retrieval
from playbook.contracts.run_spec import Arm, Metric, RunSpec
from playbook.scoring.compare import scores_of
from playbook.scoring.metrics import Judge
from playbook.trainer.data import Row
from playbook.trainer.generate import Generated, Generator, answer
from playbook.trainer.likelihood import Likelihood
from playbook.trainer.prompt import Encoded
from playbook.trainer.questions import Question

#: Returns how likely the model finds the answers of some rows.
Measure = Callable[[Sequence[Row]], Sequence[Likelihood]]


@dataclass
class ArmRun:
    """One arm on its way through the held-out rows."""

    arm: Arm
    spec: RunSpec
    questions: Sequence[Question]
    judge: Judge
    retrieval: Retrieval | None = None
    answers: dict[int, Generated] = field(default_factory=dict)
    likelihoods: dict[int, Likelihood] = field(default_factory=dict)
    repeats: list[Repeat] = field(default_factory=list)
    seconds: float = 0.0
    is_done: bool = False

    @property
    def has_something(self) -> bool:
        """Whether there is anything to report: all of it, or some answers of a run that was cancelled."""
        return self.is_done or bool(self.answers)

    def run(self, generator: Generator, *, on_rows_done: Callable[[int], None]) -> None:
        """Answer every question; `on_rows_done` is called with the rows answered so far.

        Raises RunError(cancelled_by_user, lease_lost) between two tokens; what was answered by then is kept.
        """
        start = time.monotonic()
        askable = [question for question in self.questions if question.error is None]
        try:
            for batch in answer(generator, [question.prompt_ids for question in askable]):
                self.answers.update({askable[at].index: said for at, said in batch.items()})
                on_rows_done(len(self.answers))
            self.is_done = True
        finally:
            self.seconds = time.monotonic() - start

    def weigh(self, measure: Measure) -> None:
        """Note how likely the expected answers were, when the run's metrics ask for it."""
        if Metric.PERPLEXITY not in self.spec.evaluation.metrics:
            return
        askable = [question for question in self.questions if question.error is None]
        rows = [Row(q.line, Encoded(q.prompt_ids + q.answer_ids, len(q.prompt_ids))) for q in askable]
        self.likelihoods = {question.index: one for question, one in zip(askable, measure(rows), strict=True)}

    def report(self) -> ArmReport:
        """Return answers and scores. Rows that were not reached are left out, and the report says that it is partial.

        A row that could not be asked or answered is wrong, and never left out.
        """
        reached = [q for q in self.questions if self.is_done or q.error is not None or q.index in self.answers]
        items = tuple(self._item(question) for question in reached)
        evaluation, prompt = self.spec.evaluation, self.spec.prompt
        few = self.arm is Arm.FEW_SHOT
        return ArmReport(
            arm=self.arm,
            items=items,
            scores=scores_of(items, evaluation),
            seconds=self.seconds,
            partial=len(reached) < len(self.questions),
            batch_size=evaluation.batch_size,
            prompt_sha256=prompt.digest if prompt.changes_rows else None,
            shots=(len(prompt.examples) or evaluation.few_shot_examples) if few else None,
            shot_selection=("written" if prompt.examples else str(evaluation.few_shot_choice)) if few else None,
            retrieval=self.retrieval if self.arm.retrieves else None,
            repeats=tuple(self.repeats),
        )

    def _item(self, question: Question) -> ItemResult:
        said, likely = self.answers.get(question.index), self.likelihoods.get(question.index)
        output = "" if said is None else said.text
        error = question.error or (None if said is None else said.error)
        nats, tokens = (None, None) if likely is None else (sum(likely.nats), len(likely.nats))
        judged = self.judge.judge(
            output=output, expected=question.expected, nats=nats, tokens=tokens, failed=error is not None
        )
        return ItemResult(
            index=question.index,
            prompt=question.prompt,
            expected=question.expected,
            output=output,
            correct=judged.correct,
            json_valid=judged.json_valid,
            prompt_tokens=len(question.prompt_ids),
            output_tokens=0 if said is None else said.tokens,
            natural_stop=said is not None and said.natural_stop,
            error=error or judged.problem,
            score=judged.score,
            scores=judged.scores,
            latency_seconds=None if said is None else said.seconds,
            group=question.group,
            expected_nats=nats,
            expected_tokens=tokens,
        )


def repeat_of(run: ArmRun, *, seed: int) -> Repeat:
    """Return a finished measurement of the same arm as what it is: the noise of another seed."""
    report = run.report()
    return Repeat(seed=seed, scores=tuple(item.score for item in report.items), seconds=report.seconds)
