"""Writes on assessments: start one, answer a question, by hand or by a measurement, with evidence; lock and unlock.

Whoever writes first locks the assessment's row, so that writers of one assessment queue, against each other and against
a decision being accepted.
"""

from typing import Any

from django.db import transaction
from django.utils import timezone

from playbook.library.definition import UNKNOWN, AnswerRefused, Checklist, Question
from playbook.web.accounts.models import User
from playbook.web.assessments.changes import answer_appended
from playbook.web.assessments.evidence import MAX_PIECES, Evidence, digest_of
from playbook.web.assessments.models import Answer, Assessment
from playbook.web.assessments.queries import checklist_of
from playbook.web.common.measurements import Measurement
from playbook.web.common.models import record
from playbook.web.common.permissions import Conflict
from playbook.web.usecases.models import UseCase

LOCKED = (
    "A decision was accepted on these answers, so they are locked. Reopen the decision to change them, or start anew."
)


class StaleAnswer(Conflict):
    """Somebody else answered the question after this form was opened: `theirs` stands, `value` and `comment` were
    not saved. The page shows both and lets the author choose."""

    def __init__(self, *, question: Question, theirs: Answer, value: str, comment: str) -> None:
        super().__init__(
            f"{theirs.author} answered “{question.quoted(theirs.value)}” after you opened this page, so your "
            f"“{question.quoted(value)}” was not saved. Keep theirs, or replace it with yours."
        )
        self.question = question
        self.theirs = theirs
        self.value = value
        self.comment = comment


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
    assessment: Assessment,
    *,
    question_id: str,
    value: str,
    comment: str,
    seen_revision: int,
    author: User,
    seen_checklist: str = "",
) -> Answer:
    """Append an answer; the same answer again changes nothing, unless it was to be looked at again.

    `seen_revision` is the revision that the author's form showed (0: none), `seen_checklist` the digest of the version
    whose question it showed ("": not said). Raises InvalidAnswer, Conflict when the assessment is locked or was moved
    to another version, StaleAnswer when the question was answered differently since the form was opened.
    """
    locked = lock_row(assessment)
    if seen_checklist and seen_checklist != locked.checklist_digest:
        raise Conflict(
            f"Somebody moved this assessment to version {locked.checklist_version} of the checklist after you opened "
            "the page, so your answer was not saved. Read the question as it is now, and answer again."
        )
    question = question_of(locked, question_id)
    value = _readable(question, value)
    current = newest_answer(locked, question_id)
    if current and (current.value, current.comment) == (value, comment) and question_id not in locked.look_again:
        return current
    if current and _others_since(locked, current, seen_revision, author):
        raise StaleAnswer(question=question, theirs=current, value=value, comment=comment)
    kept = current.measurement if current and current.value == value else None
    return _append(locked, question_id, current, author, value=value, comment=comment, measurement=kept)


@transaction.atomic
def answer_by_measurement(
    assessment: Assessment, *, question_id: str, measurement: Measurement, author: User
) -> Answer:
    """Append what a measurement answers, bound to it. Raises InvalidAnswer when it measured something else, Conflict
    when the assessment is locked."""
    locked = lock_row(assessment)
    wanted = question_of(locked, question_id).measured
    if wanted is None or (wanted.arm.value, wanted.metric.value) != (measurement.arm, measurement.metric):
        asked = wanted.text if wanted else "no measurement"
        raise InvalidAnswer(f"Job {measurement.job} measured {measurement.metric} of {measurement.arm}, not {asked}.")
    current = newest_answer(locked, question_id)
    bound = measurement.model_dump(mode="json")
    if current and current.measurement == bound and question_id not in locked.look_again:
        return current
    return _append(
        locked,
        question_id,
        current,
        author,
        value=wanted.answer(low=measurement.low, high=measurement.high),
        comment=current.comment if current else "",
        measurement=bound,
    )


@transaction.atomic
def add_evidence(assessment: Assessment, *, question_id: str, piece: Evidence, author: User) -> Answer:
    """Append the current answer with one more piece of evidence; a piece that it has already changes nothing.

    Raises Conflict when the assessment is locked, nobody has answered yet, or there are MAX_PIECES.
    """
    locked = lock_row(assessment)
    current = _answered(locked, question_id)
    if digest_of(piece) in {digest_of(kept) for kept in current.pieces}:
        return current
    if len(current.evidence) >= MAX_PIECES:
        raise Conflict(f"There are {MAX_PIECES} pieces of evidence; remove one first.")
    return _append(
        locked,
        question_id,
        current,
        author,
        action="added evidence",
        evidence=[*current.evidence, piece.model_dump(mode="json")],
    )


@transaction.atomic
def remove_evidence(assessment: Assessment, *, question_id: str, digest: str, author: User) -> Answer:
    """Append the current answer without a piece of evidence; earlier revisions keep it. A piece that somebody removed
    meanwhile changes nothing. Raises Conflict when the assessment is locked or nobody has answered."""
    locked = lock_row(assessment)
    current = _answered(locked, question_id)
    left = [piece.model_dump(mode="json") for piece in current.pieces if digest_of(piece) != digest]
    if len(left) == len(current.evidence):
        return current
    return _append(locked, question_id, current, author, action="removed evidence", evidence=left)


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


def lock_row(assessment: Assessment) -> Assessment:
    """Return the assessment as stored now, its row locked until the end of the transaction. Raises Conflict when a
    decision has closed it."""
    held = Assessment.objects.select_for_update().get(pk=assessment.pk)
    if held.is_locked:
        raise Conflict(LOCKED)
    return held


def question_of(assessment: Assessment, question_id: str) -> Question:
    """Return a question of the assessment's own version. Raises InvalidAnswer when it has none of that id."""
    question = next((q for q in checklist_of(assessment).questions if q.id == question_id), None)
    if question is None:
        raise InvalidAnswer(f"There is no question {question_id!r} in this checklist; reload the page.")
    return question


def newest_answer(assessment: Assessment, question_id: str) -> Answer | None:
    """Return the answer that counts, with its author; None before the first."""
    answers = assessment.answers.filter(question_id=question_id).select_related("author")
    return answers.order_by("-revision").first()


def _others_since(assessment: Assessment, current: Answer, seen_revision: int, author: User) -> bool:
    """Return whether anybody but the author has answered since. What they said themselves a moment ago, they may change
    without being asked; and evidence that somebody added leaves the answer as it was, and stays with the next one."""
    revisions = assessment.answers.filter(question_id=current.question_id)
    if not revisions.filter(revision__gt=seen_revision).exclude(author=author).exists():
        return False
    seen = revisions.filter(revision=seen_revision).first()
    return seen is None or any(
        getattr(seen, name) != getattr(current, name) for name in ("value", "comment", "measurement")
    )


def _answered(locked: Assessment, question_id: str) -> Answer:
    question_of(locked, question_id)
    current = newest_answer(locked, question_id)
    if current is None:
        raise Conflict("Answer the question first: evidence belongs to an answer.")
    return current


def _append(
    locked: Assessment,
    question_id: str,
    current: Answer | None,
    author: User,
    *,
    action: str = "answered",
    **changes: Any,
) -> Answer:
    """Append the next revision: what `current` says, changed. Ends an assignment, and the wish for another look."""
    said = {name: getattr(current, name) for name in ("value", "comment", "evidence", "measurement")} if current else {}
    answer = Answer.objects.create(
        assessment=locked,
        question_id=question_id,
        revision=current.revision + 1 if current else 1,
        author=author,
        **{**said, **changes},
    )
    if action == "answered":
        locked.assignments.filter(question_id=question_id, ended_at=None).update(ended_at=timezone.now())
        if question_id in locked.look_again:
            locked.look_again = [name for name in locked.look_again if name != question_id]
            locked.save(update_fields=["look_again"])
    answer_appended.send(Assessment, assessment=locked, answer=answer)
    before = {"before": current.value, "before_comment": current.comment} if current else {}
    extra = {"evidence": [digest_of(piece) for piece in answer.pieces]} if answer.evidence else {}
    if answer.measurement:
        extra["measurement"] = answer.measurement
    record(
        action,
        locked,
        actor=author,
        question=question_id,
        after=answer.value,
        comment=answer.comment,
        **before,
        **extra,
    )
    return answer


def _readable(question: Question, value: str) -> str:
    """Return the value in the spelling in which it is kept. Raises InvalidAnswer in words for people."""
    if question.kind == "measured" and value != UNKNOWN:
        raise InvalidAnswer("A measurement answers this: choose the job that measured it, or answer “unknown”.")
    if not question.is_open and value not in question.answers:
        given = f"“{value[:80]}” is not an answer here" if value else "No answer was chosen"
        raise InvalidAnswer(f"{given}; choose one of {', '.join(question.answers)}.")
    if question.kind == "text" and not value.strip():
        raise InvalidAnswer("No answer was written; write one, or answer “unknown”.")
    try:
        return question.read(value)
    except AnswerRefused as refused:
        raise InvalidAnswer(str(refused)) from None
