"""What other pages show of prompts. Imported by the app's `ready`."""

from playbook.web.accounts.models import User
from playbook.web.common.panels import Panel, panel
from playbook.web.prompts.queries import prompts_of
from playbook.web.usecases.models import UseCase, may_write


@panel("use_case", order=35)
def prompts_of_use_case(use_case: UseCase, user: User) -> Panel:
    context = {"use_case": use_case, "prompts": prompts_of(use_case), "may_write": may_write(use_case.roles_of(user))}
    return Panel("prompts/_use_case_panel.html", context)
