"""The sheet of an assessment: the questions asked so far with their answers, and what these amount to.

Read in a few queries, whatever the number of questions, people and answers.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import zip_longest

from django.db.models import Count

from playbook.library.checklist import Evaluation, Flip, evaluate, fitting, flips
from playbook.library.definition import UNKNOWN, Checklist, ChecklistOutcome, Question
from playbook.web.assessments.flow import path_words, plot_of
from playbook.web.assessments.measured import stale_answers
from playbook.web.assessments.models import Answer, Assessment, Assignment
from playbook.web.assessments.queries import article_url, checklist_of
from playbook.web.common.content import library
from playbook.web.common.plots_flow import FlowPlot

#: As many revisions of an answer are read and shown; all are kept.
RECENT = 20


@dataclass(frozen=True)
class Option:
    """An answer that can be chosen, and whether it is the current one."""

    value: str
    label: str
    is_current: bool


@dataclass(frozen=True)
class Said:
    """An answer of the history, with what people read for it. `did`: what this revision did to the evidence, "" when it
    is an answer of its author's own."""

    answer: Answer
    words: str
    did: str = ""


@dataclass(frozen=True)
class Collision:
    """Two answers given at the same moment: the other's, which stands, and one's own, which was not saved."""

    theirs: Said
    value: str
    words: str
    comment: str


@dataclass(frozen=True)
class Attempt:
    """What somebody wrote that could not be saved."""

    value: str
    comment: str


@dataclass(frozen=True)
class AskedQuestion:
    """A question of the sheet with its newest answers, the newest first.

    `problem` says why the last attempt to answer it was not saved, `collision` what was to be saved then, `attempt`
    what was written, which stays in the fields. `news`: what somebody else did here just now. `stale`: why
    the measurement that answers it does not stand any more. `remarks`: how many there are.
    """

    question: Question
    history: tuple[Said, ...]
    problem: str = ""
    collision: Collision | None = None
    assignment: Assignment | None = None
    remarks: int = 0
    stale: tuple[str, ...] = ()
    look_again: bool = False
    attempt: "Attempt | None" = None
    news: str = ""

    @property
    def current(self) -> Answer | None:
        return self.history[0].answer if self.history else None

    @property
    def given(self) -> Answer | None:
        """The revision in which the current answer was given: later ones have only changed its evidence."""
        return next((said.answer for said in self.history if not said.did), self.current)

    @property
    def said(self) -> str:
        """The current answer as people read it; "" before the first."""
        return self.history[0].words if self.history else ""

    @property
    def earlier(self) -> int:
        """How many revisions there are before the current one."""
        return max(0, self.revision - 1)

    @property
    def left_out(self) -> int:
        """How many of them `history` does not hold."""
        return self.revision - len(self.history)

    @property
    def revision(self) -> int:
        return self.current.revision if self.current else 0

    @property
    def is_unknown(self) -> bool:
        return self.current is not None and self.current.value == UNKNOWN

    @property
    def options(self) -> list[Option]:
        value = self.current.value if self.current else ""
        return [Option(answer, self.question.label[answer], answer == value) for answer in self.question.answers]

    @property
    def written(self) -> str:
        """What stands in the field of a number or text."""
        if self.attempt is not None:
            return self.attempt.value
        return self.current.value if self.current and self.current.value != UNKNOWN else ""

    @property
    def shown_comment(self) -> str:
        """What stands in the field of the comment."""
        if self.attempt is not None:
            return self.attempt.comment
        return self.current.comment if self.current else ""

    @property
    def article_url(self) -> str:
        return article_url(self.question.article) if self.question.article else ""


@dataclass(frozen=True)
class Candidate:
    """An outcome of the checklist, and whether the answers so far leave it open."""

    outcome: ChecklistOutcome
    is_possible: bool


@dataclass(frozen=True)
class Sheet:
    """What the page shows of an assessment: the questions asked so far and what the answers amount to.

    `newer`: the checklist as the library has it now, None when that is the assessment's own version or it is gone.
    """

    assessment: Assessment
    checklist: Checklist
    asked: tuple[AskedQuestion, ...]
    evaluation: Evaluation
    candidates: tuple[Candidate, ...]
    flips: tuple[Flip, ...]
    newer: Checklist | None
    is_gone: bool
    values: Mapping[str, str] = field(repr=False)

    @property
    def answered(self) -> int:
        return sum(asked.current is not None for asked in self.asked)

    @property
    def look_again(self) -> list[AskedQuestion]:
        return [asked for asked in self.asked if asked.look_again]

    @property
    def stale(self) -> list[AskedQuestion]:
        return [asked for asked in self.asked if asked.stale]

    @cached_property
    def flow(self) -> FlowPlot | None:
        return plot_of(self.checklist, self.values)

    @property
    def path(self) -> list[tuple[str, str]]:
        """The path so far in words: question and answer, then the outcome or the open question with ""."""
        return path_words(self.checklist, self.values)


@dataclass(frozen=True)
class Appearing:
    """A question that an answer brought in, and the id of the question that it follows on the page."""

    asked: AskedQuestion
    after: str


@dataclass(frozen=True)
class Update:
    """What changes on a page that shows some questions, after one of them was answered.

    `own`: the answered question, None when it is not asked any more. `disappearing`: ids to remove.
    """

    own: AskedQuestion | None
    appearing: tuple[Appearing, ...]
    disappearing: tuple[str, ...]


def update_of(sheet: Sheet, *, question_id: str, shown: Sequence[str]) -> Update:
    """Return how to bring a page that holds the questions `shown` in step with the sheet."""
    ids = [asked.question.id for asked in sheet.asked]
    own = next((asked for asked in sheet.asked if asked.question.id == question_id), None)
    kept = {question_id, *shown}
    known = (question.id for question in sheet.checklist.questions)
    return Update(
        own=own,
        appearing=tuple(
            Appearing(asked, after=ids[position - 1])
            for position, asked in enumerate(sheet.asked)
            if position and asked.question.id not in kept
        ),
        disappearing=tuple(name for name in known if name in shown and name not in ids and name != question_id),
    )


def sheet_of(
    assessment: Assessment,
    *,
    problems: Mapping[str, str] | None = None,
    collisions: Mapping[str, Collision] | None = None,
    attempts: Mapping[str, Attempt] | None = None,
    news: Mapping[str, str] | None = None,
) -> Sheet:
    """Return the sheet; `problems` (question id → message) and `collisions` are shown at their questions, and
    so are `attempts` and `news`.

    Three queries, and three more when a measurement answers a question.
    """
    checklist = checklist_of(assessment)
    rows = _Rows.of(assessment)
    values = fitting(checklist, {question_id: answers[0].value for question_id, answers in rows.history.items()})
    evaluation = evaluate(checklist, values)
    current = library().checklists.get(assessment.checklist_slug)
    return Sheet(
        assessment=assessment,
        checklist=checklist,
        asked=tuple(
            replace(
                rows.asked(
                    question,
                    problem=(problems or {}).get(question.id, ""),
                    collision=(collisions or {}).get(question.id),
                ),
                attempt=(attempts or {}).get(question.id),
                news=(news or {}).get(question.id, ""),
            )
            for question in evaluation.visible
        ),
        evaluation=evaluation,
        candidates=tuple(Candidate(outcome, outcome in evaluation.possible) for outcome in checklist.outcomes),
        flips=flips(checklist, values),
        newer=current if current and current.digest != assessment.checklist_digest else None,
        is_gone=current is None,
        values=values,
    )


def asked_question(
    assessment: Assessment, question: Question, *, problem: str = "", collision: Collision | None = None
) -> AskedQuestion:
    """Return one question with its answers, whether it is on the path or not."""
    return _Rows.of(assessment).asked(question, problem=problem, collision=collision)


@dataclass(frozen=True)
class _Rows:
    """What the database has on the questions of one assessment. `history` is newest first."""

    assessment: Assessment
    history: Mapping[str, list[Answer]]
    assignments: Mapping[str, Assignment]
    remarks: Mapping[str, int]
    stale: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, assessment: Assessment) -> "_Rows":
        history: dict[str, list[Answer]] = defaultdict(list)
        for answer in assessment.answers.recent(RECENT).select_related("author").order_by("-revision"):
            history[answer.question_id].append(answer)
        waiting = assessment.assignments.filter(ended_at=None).select_related("assignee", "assigned_by")
        return cls(
            assessment=assessment,
            history=history,
            assignments={row.question_id: row for row in waiting},
            remarks=dict(assessment.remarks.order_by().values_list("question_id").annotate(Count("pk"))),
            stale=stale_answers({name: answers[0] for name, answers in history.items()}),
        )

    def asked(self, question: Question, *, problem: str, collision: Collision | None) -> AskedQuestion:
        name = question.id
        answers = self.history.get(name, [])
        return AskedQuestion(
            question=question,
            history=tuple(
                Said(answer, question.quoted(answer.value), _done_to_evidence(answer, before))
                for answer, before in zip_longest(answers, answers[1:])
            ),
            problem=problem,
            collision=collision,
            assignment=self.assignments.get(name),
            remarks=self.remarks.get(name, 0),
            stale=self.stale.get(name, ()),
            look_again=name in self.assessment.look_again,
        )


def _done_to_evidence(answer: Answer, before: Answer | None) -> str:
    """Return what a revision did to the evidence of the one before it, whose answer it keeps; "" for an answer."""
    if before is None or answer.evidence == before.evidence:
        return ""
    if any(getattr(answer, name) != getattr(before, name) for name in ("value", "comment", "measurement")):
        return ""
    return "added evidence" if len(answer.evidence) > len(before.evidence) else "removed evidence"
