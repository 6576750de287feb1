"""Reads on assessments: their checklist, the answers that count, and lists of assessments. `sheet` is the page's."""

from dataclasses import dataclass

from django.db.models import Prefetch, QuerySet
from django.urls import reverse

from playbook.library.checklist import Evaluation, evaluate, fitting
from playbook.library.definition import Checklist, Question
from playbook.web.assessments.models import Answer, Assessment
from playbook.web.common.content import library

#: Definitions by digest.
_definitions: dict[str, Checklist] = {}
MAX_DEFINITIONS = 256


@dataclass(frozen=True)
class AssessmentRow:
    """An assessment of a list, and what its answers amount to."""

    assessment: Assessment
    evaluation: Evaluation


def rows_of(assessments: QuerySet[Assessment], *, limit: int) -> list[AssessmentRow]:
    """Return the newest assessments with their recommendations; the cost in queries does not grow with them."""
    newest = Prefetch("answers", queryset=Answer.objects.recent())
    found = assessments.select_related("use_case", "created_by").prefetch_related(newest)[:limit]
    return [AssessmentRow(assessment, evaluation_of(assessment)) for assessment in found]


def checklist_of(assessment: Assessment) -> Checklist:
    """Return the checklist as it was when the assessment began, or was moved to a newer version.

    Definitions are few and never change, so each is read once for its digest.
    """
    found = _definitions.get(assessment.checklist_digest)
    if found is None:
        if len(_definitions) >= MAX_DEFINITIONS:
            _definitions.clear()
        found = _definitions[assessment.checklist_digest] = Checklist.model_validate(assessment.definition)
    return found


def current_answers(assessment: Assessment) -> dict[str, Answer]:
    """Return the answer that counts for each answered question. Uses prefetched `answers` where there are any."""
    return {answer.question_id: answer for answer in sorted(assessment.answers.all(), key=lambda row: row.revision)}


def values_of(assessment: Assessment) -> dict[str, str]:
    """Return the current answers that the assessment's version knows: of an earlier one, some may not fit."""
    values = {question_id: answer.value for question_id, answer in current_answers(assessment).items()}
    return fitting(checklist_of(assessment), values)


def evaluation_of(assessment: Assessment) -> Evaluation:
    """Return what the current answers amount to."""
    return evaluate(checklist_of(assessment), values_of(assessment))


def to_look_at(assessment: Assessment) -> list[Question]:
    """Return the questions on the path whose answers nobody has looked at since the assessment was moved to another
    version of its checklist."""
    if not assessment.look_again:
        return []
    return [question for question in evaluation_of(assessment).visible if question.id in assessment.look_again]


def article_title(ref: str) -> str:
    """`decide/when#cost` → the title of the article; the reference itself when the library has it no more."""
    article = library().articles.get(ref.partition("#")[0])
    return article.title if article else ref


def article_url(ref: str) -> str:
    """`decide/when#cost` → `/library/decide/when/#cost`: the wiki stands above this app, so its views are not named."""
    path, _, heading = ref.partition("#")
    return f"{reverse('wiki:index')}{path}/" + (f"#{heading}" if heading else "")
