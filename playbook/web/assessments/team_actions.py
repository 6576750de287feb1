"""Writes of a team on one question: give it to a person, take it back, discuss it."""

from datetime import date

from django.db import transaction
from django.utils import timezone

from playbook.web.accounts.models import User
from playbook.web.assessments.actions import lock_row, question_of
from playbook.web.assessments.mail import tell_of_assignment
from playbook.web.assessments.models import Assessment, Assignment, Remark
from playbook.web.common.models import record


@transaction.atomic
def assign_question(
    assessment: Assessment, *, question_id: str, assignee: User, due_on: date | None, actor: User
) -> Assignment:
    """Give a question to a person, in the place of whoever had it, and write to them. The same again changes nothing.

    Raises Conflict when the assessment is locked, InvalidAnswer when it has no such question.
    """
    locked = lock_row(assessment)
    question = question_of(locked, question_id)
    current = locked.assignments.filter(question_id=question_id, ended_at=None).first()
    if current and (current.assignee_id, current.due_on) == (assignee.pk, due_on):
        return current
    locked.assignments.filter(question_id=question_id, ended_at=None).update(ended_at=timezone.now())
    assignment = Assignment.objects.create(
        assessment=locked, question_id=question_id, assignee=assignee, due_on=due_on, assigned_by=actor
    )
    due = {"due": due_on.isoformat()} if due_on else {}
    record("assigned", locked, actor=actor, question=question_id, assignee=assignee.username, **due)
    tell_of_assignment(assignment, question)
    return assignment


@transaction.atomic
def end_assignment(assessment: Assessment, *, question_id: str, actor: User) -> None:
    """Take a question back from whoever has it; nothing happens when nobody has. Raises Conflict when locked."""
    locked = lock_row(assessment)
    if locked.assignments.filter(question_id=question_id, ended_at=None).update(ended_at=timezone.now()):
        record("ended assignment", locked, actor=actor, question=question_id)


@transaction.atomic
def add_remark(assessment: Assessment, *, question_id: str, text: str, author: User) -> Remark:
    """Append a message to the discussion of a question. A locked assessment can still be discussed."""
    question_of(assessment, question_id)
    remark = Remark.objects.create(assessment=assessment, question_id=question_id, text=text, author=author)
    record("remarked", assessment, actor=author, question=question_id, remark=remark.pk)
    return remark
