"""Letters about questions that are given to somebody: when they are, and while they are due (`common.reminders`)."""

from collections.abc import Iterator
from datetime import date

from django.urls import reverse

from playbook.library.definition import Question
from playbook.web.assessments.models import Assignment
from playbook.web.assessments.queries import checklist_of
from playbook.web.common.mail import send_after_commit
from playbook.web.common.reminders import Due, due_source


def tell_of_assignment(assignment: Assignment, question: Question) -> None:
    """Write to the person who is asked, unless they asked themselves: what, by whom, until when, and where."""
    if assignment.assignee == assignment.assigned_by or not assignment.assignee.is_active:
        return
    due = f" Please answer by {assignment.due_on:%-d %B %Y}." if assignment.due_on else ""
    send_after_commit(
        [assignment.assignee],
        subject=f"{assignment.assigned_by} asks you: {question.text}",
        text=f"{assignment.assigned_by} asks you to answer a question of “{assignment.assessment.title}” for "
        f"“{assignment.assessment.use_case}”:\n\n{question.text}\n\n{question.why}\n\n"
        f"“Unknown” is an answer too.{due}",
        path=_path(assignment),
    )


@due_source
def questions_due(day: date) -> Iterator[Due]:
    """Yield the questions that are still asked of somebody and due on `day` or before it."""
    waiting = Assignment.objects.waiting().filter(due_on__lte=day).order_by("due_on", "pk")
    for assignment in waiting.select_related("assessment__use_case", "assignee"):
        question = next(
            (q for q in checklist_of(assignment.assessment).questions if q.id == assignment.question_id), None
        )
        if question is not None and assignment.due_on is not None:
            text = f"Answer “{question.text}” for “{assignment.assessment.use_case}”"
            yield Due(assignment.assignee, assignment.due_on, text, _path(assignment))


def _path(assignment: Assignment) -> str:
    return reverse("assessments:question", args=[assignment.assessment_id, assignment.question_id])
