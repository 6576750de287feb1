"""Reads on assessments: the answers that count, and the sheet that the page shows."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.db.models import QuerySet
from django.urls import reverse

from playbook.library.checklist import Evaluation, Flip, evaluate, flips
from playbook.library.definition import Checklist, ChecklistOutcome, Question
from playbook.web.assessments.models import Answer, Assessment


@dataclass(frozen=True)
class AskedQuestion:
    """A question of the sheet with its answers. `problem` says why the last attempt to answer it was not saved."""

    question: Question
    current: Answer | None
    earlier: tuple[Answer, ...]
    problem: str = ""

    @property
    def revision(self) -> int:
        return self.current.revision if self.current else 0

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
    """What the page shows of an assessment: the questions asked so far and what the answers amount to."""

    assessment: Assessment
    checklist: Checklist
    asked: tuple[AskedQuestion, ...]
    evaluation: Evaluation
    candidates: tuple[Candidate, ...]
    flips: tuple[Flip, ...]

    @property
    def answered(self) -> int:
        return sum(asked.current is not None for asked in self.asked)


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


@dataclass(frozen=True)
class AssessmentRow:
    """An assessment of a list, and what its answers amount to."""

    assessment: Assessment
    evaluation: Evaluation


def rows_of(assessments: QuerySet[Assessment], *, limit: int) -> list[AssessmentRow]:
    """Return the newest assessments with their recommendations; the cost in queries does not grow with them."""
    found = assessments.select_related("use_case", "created_by").prefetch_related("answers")[:limit]
    return [AssessmentRow(assessment, evaluation_of(assessment)) for assessment in found]


def checklist_of(assessment: Assessment) -> Checklist:
    """Return the checklist as it was when the assessment began."""
    return Checklist.model_validate(assessment.definition)


def current_answers(assessment: Assessment) -> dict[str, Answer]:
    """Return the answer that counts for each answered question. Uses prefetched `answers` where there are any."""
    return {answer.question_id: answer for answer in sorted(assessment.answers.all(), key=lambda row: row.revision)}


def evaluation_of(assessment: Assessment) -> Evaluation:
    """Return what the current answers amount to."""
    values = {question_id: answer.value for question_id, answer in current_answers(assessment).items()}
    return evaluate(checklist_of(assessment), values)


def sheet_of(assessment: Assessment, *, problems: Mapping[str, str] | None = None) -> Sheet:
    """Return the sheet; `problems` (question id → message) are shown at their questions. One query."""
    checklist = checklist_of(assessment)
    history: dict[str, list[Answer]] = defaultdict(list)
    for answer in assessment.answers.select_related("author").order_by("revision"):
        history[answer.question_id].append(answer)
    values = {question_id: answers[-1].value for question_id, answers in history.items()}
    evaluation = evaluate(checklist, values)
    return Sheet(
        assessment=assessment,
        checklist=checklist,
        asked=tuple(
            AskedQuestion(
                question=question,
                current=history[question.id][-1] if question.id in history else None,
                earlier=tuple(reversed(history[question.id][:-1])) if question.id in history else (),
                problem=(problems or {}).get(question.id, ""),
            )
            for question in evaluation.visible
        ),
        evaluation=evaluation,
        candidates=tuple(Candidate(outcome, outcome in evaluation.possible) for outcome in checklist.outcomes),
        flips=flips(checklist, values),
    )


def article_url(ref: str) -> str:
    """`decide/when#cost` → `/library/decide/when/#cost`: the wiki stands above this app, so its views are not named."""
    path, _, heading = ref.partition("#")
    return f"{reverse('wiki:index')}{path}/" + (f"#{heading}" if heading else "")
