"""Jobs on the pages of others: the decision that they serve, their use case, and what runs on Home."""

from playbook.web.accounts.models import User
from playbook.web.common.panels import Panel, panel
from playbook.web.decisions.models import Decision, Status
from playbook.web.jobs.models import Job
from playbook.web.usecases.models import UseCase, may_write

SHOWN = 10


@panel("decision", order=10)
def jobs_of_decision(decision: Decision, user: User) -> Panel:
    jobs = decision.jobs.with_attempts()[:SHOWN]
    may_launch = decision.status == Status.ACCEPTED and may_write(decision.use_case.roles_of(user))
    return Panel("jobs/_decision_panel.html", {"decision": decision, "jobs": jobs, "may_launch": may_launch})


@panel("use_case", order=30)
def jobs_of_use_case(use_case: UseCase, user: User) -> Panel:
    jobs = use_case.jobs.with_attempts()[:SHOWN]
    return Panel("jobs/_use_case_panel.html", {"use_case": use_case, "jobs": jobs})


@panel("home", order=20)
def jobs_on_home(_subject: object, user: User) -> Panel | None:
    mine = Job.objects.for_member(user).select_related("use_case").with_attempts()
    running = [*mine.active(), *mine.queued()]
    return Panel("jobs/_home_panel.html", {"jobs": running}) if running else None
