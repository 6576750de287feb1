"""Recording what came of a decision."""

from typing import Any

from django.db import IntegrityError, transaction

from playbook.web.accounts.models import User
from playbook.web.assessments.models import Assessment
from playbook.web.common.models import record
from playbook.web.common.permissions import Conflict
from playbook.web.jobs.models import Job
from playbook.web.outcomes.models import Confirmation, OutcomeArticle, OutcomeReview, articles_with_outcomes
from playbook.web.outcomes.proposals import measured


def record_outcome(job: Job, *, confirmation: Confirmation, lessons: str, actor: User) -> OutcomeReview:
    """Append the outcome review of a job of a decision: measured against the criterion, confirmed by a person.

    Raises Conflict when the job has no decision, the decision no criterion, or the outcome is recorded already.
    """
    decision = job.decision
    criterion = decision.criterion if decision else None
    if decision is None or criterion is None:
        raise Conflict(f"Job {job.pk} belongs to no decision with a success criterion: nothing was promised.")
    score, report, sha256 = measured(job, decision, criterion)
    try:
        with transaction.atomic():
            outcome = OutcomeReview.objects.create(
                decision=decision,
                job=job,
                criterion_text=criterion.text,
                metric=criterion.metric,
                arm=criterion.arm,
                value=score.value,
                low=score.low,
                high=score.high,
                rows=score.n,
                report_sha256=sha256,
                test_set_sha256=report.test_set_sha256,
                verdict=criterion.judge(value=score.value, low=score.low, high=score.high),
                confirmation=confirmation,
                lessons=lessons,
                recorded_by=actor,
            )
            OutcomeArticle.objects.bulk_create(
                OutcomeArticle(outcome=outcome, key=key) for key in sorted(_articles(decision.assessment))
            )
            articles_with_outcomes.note_change()
            record("recorded outcome", decision, actor=actor, job=job.pk, verdict=outcome.verdict, value=score.value)
    except IntegrityError:
        raise Conflict(f"The outcome of job {job.pk} is recorded already; it is never edited.") from None
    return outcome


def _articles(assessment: Assessment) -> set[str]:
    """Return the keys of the articles behind an assessment, without their anchors."""
    definition: dict[str, Any] = assessment.definition
    named = {assessment.article, definition.get("article")}
    named |= {question.get("article") for question in definition.get("questions", [])}
    return {key.partition("#")[0] for key in named if key}
