"""Jobs on the pages of others: their decision, their use case, the test set they look at, and what runs on Home."""

from playbook.contracts.dataset import Split
from playbook.web.accounts.models import User
from playbook.web.common.panels import Panel, panel
from playbook.web.datasets.models import DatasetVersion
from playbook.web.decisions.models import Decision, Status
from playbook.web.jobs import prompt_views
from playbook.web.jobs.budget import budget_of
from playbook.web.jobs.models import Job
from playbook.web.jobs.test_sets import looks_at
from playbook.web.prompts.models import Prompt
from playbook.web.usecases.models import UseCase, may_write

SHOWN = 10


@panel("decision", order=10)
def jobs_of_decision(decision: Decision, user: User) -> Panel:
    jobs = decision.jobs.with_attempts()[:SHOWN]
    may_launch = decision.status == Status.ACCEPTED and may_write(decision.use_case.roles_of(user))
    context = {"decision": decision, "jobs": jobs, "may_launch": may_launch, "budget": budget_of(decision)}
    return Panel("jobs/_decision_panel.html", context)


@panel("use_case", order=30)
def jobs_of_use_case(use_case: UseCase, user: User) -> Panel:
    jobs = use_case.jobs.with_attempts()[:SHOWN]
    context = {"use_case": use_case, "jobs": jobs, "may_write": may_write(use_case.roles_of(user))}
    return Panel("jobs/_use_case_panel.html", context)


@panel("prompt", order=10)
def trials_of_prompt(prompt: Prompt, user: User) -> Panel:
    return Panel("jobs/_prompt_panel.html", prompt_views.panel_context(prompt, user))


@panel("home", order=20)
def jobs_on_home(_subject: object, user: User) -> Panel | None:
    mine = Job.objects.for_member(user).select_related("use_case").with_attempts()
    running = [*mine.active()[: SHOWN + 1], *mine.queued()[: SHOWN + 1]]
    if not running:
        return None
    return Panel("jobs/_home_panel.html", {"jobs": running[:SHOWN], "more": len(running) > SHOWN})


@panel("dataset", order=10)
def looks_at_dataset(version: DatasetVersion, user: User) -> Panel:
    test = next(file for file in version.files.all() if file.split == Split.TEST)
    return Panel("jobs/_dataset_panel.html", {"looks": looks_at(test.sha256, rows=test.rows, user=user)})
