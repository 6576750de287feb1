"""What other pages show of decisions. Imported by the app's `ready`."""

from django.utils import timezone

from playbook.web.accounts.models import User
from playbook.web.assessments.models import Assessment
from playbook.web.assessments.queries import evaluation_of
from playbook.web.common.panels import Panel, panel
from playbook.web.decisions.models import Decision
from playbook.web.decisions.signing import LISTED, waiting_for
from playbook.web.usecases.models import UseCase, may_write


@panel("home", order=10)
def signatures_asked_of(_subject: object, user: User) -> Panel | None:
    """The decisions that wait for the reader's signature; nothing when there are none."""
    waiting = waiting_for(user)
    context = {"waiting": waiting, "more_may_wait": len(waiting) == LISTED, "today": timezone.localdate()}
    return Panel("decisions/_home_panel.html", context) if waiting else None


@panel("home", order=15)
def decisions_to_review(_subject: object, user: User) -> Panel | None:
    """The reader's own accepted decisions whose review date has come."""
    due = Decision.objects.open_for_review(user, timezone.localdate()).order_by("review_on")
    shown = list(due[: LISTED + 1])
    if not shown:
        return None
    return Panel("decisions/_review_panel.html", {"decisions": shown[:LISTED], "more": len(shown) > LISTED})


@panel("use_case", order=10)
def decisions_of_use_case(use_case: UseCase, user: User) -> Panel:
    return Panel(
        "decisions/_use_case_panel.html", {"decisions": use_case.decisions.select_related("created_by")[:LISTED]}
    )


@panel("assessment", order=10)
def decisions_of_assessment(assessment: Assessment, user: User) -> Panel | None:
    """The decisions drawn from the assessment, and the button that drafts one once it is complete."""
    decisions = list(assessment.decisions.all())
    may_draft = evaluation_of(assessment).complete and may_write(assessment.use_case.roles_of(user))
    if not decisions and not may_draft:
        return None
    context = {"assessment": assessment, "decisions": decisions, "may_draft": may_draft}
    return Panel("decisions/_assessment_panel.html", context)
