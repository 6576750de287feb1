"""Writes on assessments: start one, answer a question, lock and unlock."""

from django.db import transaction
from django.utils import timezone

from playbook.library.definition import Checklist
from playbook.web.accounts.models import User
from playbook.web.assessments.models import Answer, Assessment
from playbook.web.assessments.queries import checklist_of
from playbook.web.common.models import record
from playbook.web.common.permissions import Conflict
from playbook.web.usecases.models import UseCase


class StaleAnswer(Conflict):
    """Somebody else answered the question after this form was opened."""


class InvalidAnswer(ValueError):
    """The value is none of the question's answers."""


@transaction.atomic
def start_assessment(*, use_case: UseCase, checklist: Checklist, article: str, created_by: User) -> Assessment:
    """Begin a run through the checklist as it stands now. `article` is where the reader came from, or ""."""
    assessment = Assessment.objects.create(
        use_case=use_case,
        checklist_slug=checklist.slug,
        checklist_version=checklist.version,
        checklist_digest=checklist.digest,
        definition=checklist.model_dump(mode="json"),
        article=article,
        created_by=created_by,
    )
    record("started", assessment, actor=created_by, checklist=checklist.slug, version=checklist.version)
    return assessment


@transaction.atomic
def answer_question(
    assessment: Assessment, *, question_id: str, value: str, comment: str, seen_revision: int, author: User
) -> Answer:
    """Append an answer; the same answer again changes nothing.

    `seen_revision` is the revision that the author's form showed (0: none). Raises InvalidAnswer, Conflict when the
    assessment is locked, StaleAnswer when the question was answered differently since the form was opened.
    """
    # The lock makes writers of one assessment queue, against each other and against a decision being accepted.
    locked = Assessment.objects.select_for_update().get(pk=assessment.pk)
    if locked.is_locked:
        raise Conflict(
            "A decision was accepted on these answers, so they are locked. Reopen the decision to change them."
        )
    _refuse_invalid(locked, question_id, value)
    current = locked.answers.filter(question_id=question_id).select_related("author").order_by("-revision").first()
    if current and (current.value, current.comment) == (value, comment):
        return current
    revision = current.revision if current else 0
    if current and revision != seen_revision:
        raise StaleAnswer(
            f"{current.author} answered “{current.value}” after you opened this page, so your “{value}” was not saved. "
            "Answer again to replace theirs."
        )
    answer = Answer.objects.create(
        assessment=locked,
        question_id=question_id,
        revision=revision + 1,
        value=value,
        comment=comment,
        author=author,
    )
    before = {"before": current.value, "before_comment": current.comment} if current else {}
    record("answered", locked, actor=author, question=question_id, after=value, comment=comment, **before)
    return answer


@transaction.atomic
def lock_assessment(assessment: Assessment, *, actor: User) -> None:
    """Close the answers, because a decision was accepted on them. Locking twice changes nothing."""
    if Assessment.objects.filter(pk=assessment.pk, locked_at=None).update(locked_at=timezone.now()):
        record("locked", assessment, actor=actor)


@transaction.atomic
def unlock_assessment(assessment: Assessment, *, actor: User) -> None:
    """Open the answers again."""
    if Assessment.objects.filter(pk=assessment.pk, locked_at__isnull=False).update(locked_at=None):
        record("unlocked", assessment, actor=actor)


def _refuse_invalid(assessment: Assessment, question_id: str, value: str) -> None:
    question = next((q for q in checklist_of(assessment).questions if q.id == question_id), None)
    if question is None:
        raise InvalidAnswer(f"There is no question {question_id!r} in this checklist; reload the page.")
    if value not in question.answers:
        given = f"“{value}” is not an answer here" if value else "No answer was chosen"
        raise InvalidAnswer(f"{given}; choose one of {', '.join(question.answers)}.")
