"""What other pages show of assessments. Imported by the app's `ready`."""

from playbook.web.accounts.models import User
from playbook.web.assessments.queries import rows_of
from playbook.web.common.panels import Panel, panel
from playbook.web.usecases.models import UseCase

LISTED = 10


@panel("use_case", order=20)
def assessments_of_use_case(use_case: UseCase, user: User) -> Panel:
    return Panel("assessments/_use_case_panel.html", {"rows": rows_of(use_case.assessments.all(), limit=LISTED)})
