"""What other pages show of datasets. Imported by the app's `ready`."""

from playbook.web.accounts.models import User
from playbook.web.common.panels import Panel, panel
from playbook.web.datasets.queries import datasets_of
from playbook.web.usecases.models import UseCase, may_write


@panel("use_case", order=40)
def datasets_of_use_case(use_case: UseCase, user: User) -> Panel:
    context = {
        "use_case": use_case,
        "datasets": datasets_of(use_case),
        "document_sets": use_case.document_sets.all(),
        "may_write": may_write(use_case.roles_of(user)),
    }
    return Panel("datasets/_use_case_panel.html", context)
