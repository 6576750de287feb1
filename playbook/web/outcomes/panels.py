"""Outcomes on the pages of others: the article that led to them, the decision, the job, and what waits on Home."""

from django.db.models import Exists, OuterRef

from playbook.contracts.states import JobState
from playbook.library.articles import Article
from playbook.web.accounts.models import User
from playbook.web.common.panels import Panel, panel
from playbook.web.decisions.models import Decision
from playbook.web.jobs.models import Job, JobQuerySet
from playbook.web.outcomes.models import OutcomeReview, articles_with_outcomes
from playbook.web.usecases.models import may_write

SHOWN = 5
LISTED = 20


@panel("article", order=10)
def outcomes_of_article(article: Article, user: User) -> Panel:
    """What came of the article's advice. Of other teams' use cases only the number is shown. Three queries, however
    many outcomes; none for the many articles without one."""
    if article.key not in articles_with_outcomes.get():
        return Panel("outcomes/_article_panel.html", {})
    outcomes = OutcomeReview.objects.of_articles([article.key])
    shown = list(outcomes.newest_visible_to(user).select_related("decision__use_case")[:SHOWN])
    hidden = outcomes.count() - outcomes.visible_to(user).count()
    return Panel("outcomes/_article_panel.html", {"outcomes": shown, "hidden": hidden})


@panel("decision", order=20)
def outcomes_of_decision(decision: Decision, user: User) -> Panel | None:
    outcomes = list(decision.outcomes.select_related("job", "recorded_by"))
    # By key, the last launched first: in the order of their ends SQLite would walk through every job that ended.
    waiting = list(_waiting(user).filter(decision=decision).order_by("-pk"))
    nothing = decision.outcome_proposals.exclude(problem="").select_related("job")
    unmeasured = [proposal for proposal in nothing if proposal.job.state != JobState.SUCCEEDED]
    if not outcomes and not waiting and not unmeasured:
        return None
    writes = may_write(decision.use_case.roles_of(user))
    context = {"decision": decision, "outcomes": outcomes, "waiting": waiting, "unmeasured": unmeasured}
    return Panel("outcomes/_decision_panel.html", {**context, "may_write": writes})


@panel("job", order=10)
def outcome_of_job(job: Job, user: User) -> Panel | None:
    if job.decision is None or job.state != JobState.SUCCEEDED:
        return None
    outcome = OutcomeReview.objects.filter(job=job).select_related("decision", "recorded_by").first()
    writes = may_write(job.use_case.roles_of(user))
    return Panel("outcomes/_job_panel.html", {"job": job, "outcome": outcome, "may_write": writes})


@panel("home", order=30)
def outcomes_to_record(_subject: object, user: User) -> Panel | None:
    waiting = list(_waiting(user).select_related("decision")[:LISTED])
    return Panel("outcomes/_home_panel.html", {"waiting": waiting}) if waiting else None


def _waiting(user: User) -> JobQuerySet:
    """Succeeded jobs of decisions with a criterion whose outcome nobody has recorded, the last to end first."""
    return (
        Job.objects.for_member(user)
        .ended()
        .filter(
            # Not by a join: PostgreSQL would expect hardly a row, and look at every job instead of the last to end.
            ~Exists(OutcomeReview.objects.filter(job=OuterRef("pk"))),
            state=JobState.SUCCEEDED,
            decision__criterion_threshold__isnull=False,
        )
        .select_related("outcome_proposal")
    )
