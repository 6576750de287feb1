"""What other pages show of assessments. Imported by the app's `ready`."""

from playbook.web.accounts.models import User
from playbook.web.assessments.models import Assignment
from playbook.web.assessments.queries import checklist_of, rows_of
from playbook.web.common.panels import Panel, panel
from playbook.web.usecases.models import UseCase

LISTED = 10


@panel("use_case", order=20)
def assessments_of_use_case(use_case: UseCase, user: User) -> Panel:
    return Panel("assessments/_use_case_panel.html", {"rows": rows_of(use_case.assessments.all(), limit=LISTED)})


@panel("home", order=15)
def questions_asked_of(_subject: object, user: User) -> Panel | None:
    """The questions that wait for the reader's answer, what is due first on top; nothing when there are none."""
    waiting = Assignment.objects.open_for(user).select_related("assessment__use_case", "assigned_by")
    rows = [
        (assignment, question)
        for assignment in waiting[:LISTED]
        for question in checklist_of(assignment.assessment).questions
        if question.id == assignment.question_id
    ]
    return Panel("assessments/_home_panel.html", {"waiting": rows}) if rows else None
