"""What the checklists would advise, if their measured questions were answered by this report.

The checklists' own engine decides; what a report cannot answer is taken from the team's newest assessment. Nothing is
saved: whoever agrees answers the question with this report on the assessment's page.
"""

from collections.abc import Collection
from dataclasses import dataclass

from django.urls import reverse

from playbook.contracts.dataset import Split
from playbook.contracts.report import Report, Score
from playbook.library.checklist import Evaluation, evaluate, fitting
from playbook.library.definition import UNKNOWN, Checklist, Question
from playbook.scoring.figures import score_text
from playbook.web.assessments import queries
from playbook.web.assessments.models import Assessment
from playbook.web.common.content import library
from playbook.web.jobs.models import Job


@dataclass(frozen=True)
class Answered:
    """A question that the report answers. `measured`: `exact match of few-shot ≥ 0.80: 67 % (54–77)`."""

    question: Question
    measured: str
    answer: str


@dataclass(frozen=True)
class Advice:
    """`before`: what the assessment advises without this report, None where there is none or it is not complete.
    `lacking`: what the checklist also asks for and this report did not measure."""

    checklist: Checklist
    answered: tuple[Answered, ...]
    lacking: tuple[str, ...]
    evaluation: Evaluation
    before: str | None
    url: str

    @property
    def advised(self) -> str | None:
        """The recommendation; None while questions are open."""
        return self.evaluation.outcome.title if self.evaluation.outcome else None

    @property
    def is_new(self) -> bool:
        return self.before is not None and self.before != self.advised


def advice_of(job: Job, report: Report) -> list[Advice]:
    """Return the advice of each checklist that the team has answered and that asks for measurements.

    Where it has answered none, that of the first checklist which asks for something that this report measured. Three
    queries at most.
    """
    checklists = sorted(library().checklists.values(), key=lambda checklist: (checklist.order, checklist.slug))
    asking = [one for one in checklists if any(question.measured for question in one.questions)]
    assessments = _newest(job, [checklist.slug for checklist in asking])
    advice = [_advice(checklist, report, assessments.get(checklist.slug)) for checklist in asking]
    team = [one for one in advice if one.checklist.slug in assessments]
    return team or [one for one in advice if one.answered][:1]


def _answered(checklist: Checklist, report: Report) -> tuple[Answered, ...]:
    """What was tried on validation rows answers nothing: the questions ask for the locked test set."""
    if report.spec.evaluation.split is not Split.TEST:
        return ()
    answered = []
    for question in checklist.questions:
        if question.measured is None or (score := _score(question, report)) is None:
            continue
        text = f"{question.measured.text}: {score_text(score)}"
        answered.append(Answered(question, text, question.measured.answer(low=score.low, high=score.high)))
    return tuple(answered)


def _score(question: Question, report: Report) -> Score | None:
    """Return what the report measured of a question's arm and metric; an arm cut short answers nothing."""
    assert question.measured is not None  # noqa: S101 - asked of measured questions alone
    arm = report.arm(question.measured.arm)
    if arm is None or arm.partial:
        return None
    return next((score for score in arm.scores if score.metric is question.measured.metric), None)


def _newest(job: Job, slugs: Collection[str]) -> dict[str, Assessment]:
    """Return the team's newest assessment by each checklist; that of the job's decision before a newer one."""
    asked = Assessment.objects.filter(use_case=job.use_case_id, checklist_slug__in=slugs)
    # Keys first: of a hundred assessments, each with its whole checklist, a few are wanted.
    keys = list(asked.order_by("pk").values_list("checklist_slug", "pk"))
    wanted = dict(keys)
    if job.decision is not None:
        wanted |= {slug: pk for slug, pk in keys if pk == job.decision.assessment_id}
    rows = Assessment.objects.prefetch_related("answers").filter(pk__in=wanted.values())
    return {row.checklist_slug: row for row in rows}


def _advice(checklist: Checklist, report: Report, assessment: Assessment | None) -> Advice:
    answered = _answered(checklist, report)
    given = fitting(checklist, queries.values_of(assessment)) if assessment else {}
    decided = {one.question.id: one.answer for one in answered if one.answer != UNKNOWN or one.question.id not in given}
    before = evaluate(checklist, given).outcome if assessment else None
    known = {one.question.id for one in answered}
    return Advice(
        checklist=checklist,
        answered=answered,
        lacking=tuple(one.measured.text for one in checklist.questions if one.measured and one.id not in known),
        evaluation=evaluate(checklist, given | decided),
        before=before.title if before is not None else None,
        url=assessment.get_absolute_url() if assessment else reverse("assessments:checklist", args=[checklist.slug]),
    )
