"""Writes on decisions: draft, edit, propose, sign, withdraw, reopen, retire, lock the criterion.

Each is one transaction that locks the decision first, changes one state and appends one audit row.
"""

from dataclasses import asdict, dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import lock_assessment, unlock_assessment
from playbook.web.assessments.models import Assessment
from playbook.web.assessments.queries import evaluation_of
from playbook.web.common.models import record
from playbook.web.common.permissions import Conflict
from playbook.web.decisions.covered import changes_as_json, changes_between, covered_document
from playbook.web.decisions.models import TRANSITIONS, Decision, Signature, Status, Verdict
from playbook.web.decisions.signing import SignOff, for_signing
from playbook.web.decisions.template import draft_fields
from playbook.web.usecases.permissions import require_role

MEANINGS = {
    Verdict.APPROVE: "I approve this decision as {role}: I have read what it covers and stand by it.",
    Verdict.REJECT: "I reject this decision as {role}, for the reason given.",
}
_NUMBER_ATTEMPTS = 5


class StaleDigest(Conflict):
    """The decision is not any more what the form showed."""


@dataclass(frozen=True)
class Content:
    """The fields of a decision that people write."""

    title: str
    context: str
    options: list[dict[str, str]]
    chosen_outcome: str
    consequences: str
    criterion_metric: str
    criterion_arm: str
    criterion_threshold: Decimal | None
    review_on: date | None

    @property
    def criterion_fields(self) -> tuple[str, str, Decimal | None]:
        return self.criterion_metric, self.criterion_arm, self.criterion_threshold


def draft_from_assessment(assessment: Assessment, *, created_by: User) -> Decision:
    """Create a draft filled from a complete assessment. Raises Conflict while a question is open."""
    evaluation = evaluation_of(assessment)
    if evaluation.outcome is None:
        question = evaluation.next.text if evaluation.next else ""
        raise Conflict(f"Answer every question first; the next is “{question}”.")
    fields = draft_fields(assessment, evaluation, today=timezone.localdate())
    for attempt in range(1, _NUMBER_ATTEMPTS + 1):
        try:
            return _create(assessment, fields, created_by)
        except IntegrityError:  # another draft took the number at the same moment; take the next
            if attempt == _NUMBER_ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


@transaction.atomic
def _create(assessment: Assessment, fields: dict[str, Any], created_by: User) -> Decision:
    last = Decision.objects.aggregate(last=Max("number"))["last"] or 0
    decision = Decision.objects.create(
        number=last + 1, use_case=assessment.use_case, assessment=assessment, created_by=created_by, **fields
    )
    record("drafted", decision, actor=created_by, assessment=assessment.pk, number=decision.number)
    return decision


@transaction.atomic
def edit_decision(decision: Decision, *, content: Content, seen_digest: str, actor: User) -> Decision:
    """Replace the content of a draft or proposal; signatures under the former content become void by their digest.

    Whoever changes a proposal proposes it from then on: nobody signs what they wrote themselves.
    Raises Conflict when the status forbids it or the criterion is locked, StaleDigest when somebody else changed the
    decision after the form was opened.
    """
    held = _lock(decision)
    if held.status not in (Status.DRAFT, Status.PROPOSED):
        raise Conflict(f"D-{held.number} is {held.status} and cannot be edited; reopen it first.")
    before = covered_document(held)
    if SignOff(held).digest != seen_digest:
        raise StaleDigest("Somebody changed this decision after you opened the form.")
    if held.criterion_locked_at and _criterion_fields(held) != content.criterion_fields:
        raise Conflict("The criterion is locked: the first run has started, and a promise made after it would be none.")
    for name, value in asdict(content).items():
        setattr(held, name, value)
    changes = changes_between(before, covered_document(held))
    if changes:
        held.edition += 1
        if held.status == Status.PROPOSED:
            held.proposed_by, held.proposed_at = actor, timezone.now()
        held.save(update_fields=[*asdict(content), "edition", "proposed_by", "proposed_at"])
        record("edited", held, actor=actor, changes=changes_as_json(changes))
    return held


@transaction.atomic
def propose(decision: Decision, *, actor: User) -> Decision:
    """Ask for signatures. Raises Conflict unless it is a draft with a title whose assessment is complete."""
    held = _lock(decision)
    if evaluation_of(held.assessment).outcome is None:
        raise Conflict("The assessment has an open question again; answer it before you propose the decision.")
    _move(
        held,
        Status.PROPOSED,
        proposed_by=actor,
        proposed_at=timezone.now(),
        decided_at=None,
        edition=held.edition + 1,
    )
    record("proposed", held, actor=actor, edition=held.edition, digest=SignOff(held).digest)
    return held


@transaction.atomic
def sign_decision(
    decision: Decision, *, user: User, role: Role, verdict: Verdict, reason: str, seen_digest: str
) -> Signature:
    """Append a signature; the last missing approval accepts the decision, a rejection rejects it.

    The view has checked the password. Raises RoleRequired when the user does not hold the role; Conflict when the
    decision is not proposed, is the user's own proposal, or carries their signature already; StaleDigest when
    `seen_digest` is not what the decision reads now.
    """
    held = _lock(decision)
    require_role(user, held.use_case, {role})
    before = SignOff(held)
    _refuse_signature(before, user, role, seen_digest)
    signature = Signature.objects.create(
        decision=held,
        user=user,
        printed_name=str(user),
        role=role,
        verdict=verdict,
        meaning=MEANINGS[verdict].format(role=role.label),
        reason=reason,
        covered=before.document,
        digest=before.digest,
    )
    record("signed", held, actor=user, role=role, verdict=verdict, reason=reason, digest=before.digest)
    if verdict == Verdict.REJECT:
        _decide(held, Status.REJECTED, actor=user)
    elif SignOff(_lock(held)).is_complete:
        _decide(held, Status.ACCEPTED, actor=user)
        lock_assessment(held.assessment, actor=user)
    return signature


@transaction.atomic
def withdraw(decision: Decision, *, actor: User) -> Decision:
    """Turn a proposal back into a draft; signatures under it become void when it is proposed again."""
    held = _lock(decision)
    if held.status != Status.PROPOSED:
        raise Conflict(f"D-{held.number} is {held.status}; only a proposal can be withdrawn.")
    _move(held, Status.DRAFT)
    record("withdrew", held, actor=actor)
    return held


@transaction.atomic
def reopen(decision: Decision, *, reason: str, actor: User) -> Decision:
    """Turn an accepted or rejected decision back into a draft. Raises Conflict once a run has started under it."""
    held = _lock(decision)
    if held.status not in (Status.ACCEPTED, Status.REJECTED):
        raise Conflict(f"D-{held.number} is {held.status}; only an accepted or rejected decision can be reopened.")
    if held.criterion_locked_at:
        raise Conflict("A run has started under this decision. Draft a new one and let it supersede this one.")
    _move(held, Status.DRAFT, decided_at=None)
    record("reopened", held, actor=actor, reason=reason)
    others = Decision.objects.filter(assessment=held.assessment, status=Status.ACCEPTED).exclude(pk=held.pk)
    if not others.exists():
        unlock_assessment(held.assessment, actor=actor)
    return held


@transaction.atomic
def supersede(decision: Decision, *, by: Decision, actor: User) -> Decision:
    """Mark an accepted decision as replaced by another accepted one of the same use case."""
    held = _lock(decision)
    if by.pk == held.pk or by.use_case_id != held.use_case_id or by.status != Status.ACCEPTED:
        raise Conflict(f"D-{by.number} cannot supersede D-{held.number}; choose another accepted one of its use case.")
    _move(held, Status.SUPERSEDED, superseded_by=by)
    record("superseded", held, actor=actor, by=by.number)
    return held


@transaction.atomic
def deprecate(decision: Decision, *, reason: str, actor: User) -> Decision:
    """Mark an accepted decision as no longer followed, with nothing in its place."""
    held = _lock(decision)
    _move(held, Status.DEPRECATED)
    record("deprecated", held, actor=actor, reason=reason)
    return held


@transaction.atomic
def lock_criterion(decision: Decision) -> None:
    """Fix the criterion (or its absence) for good, because the first run starts. Locking twice changes nothing.

    Call it in the transaction that launches the run. Raises Conflict when the decision is not accepted any more.
    """
    accepted = Decision.objects.filter(pk=decision.pk, status=Status.ACCEPTED)
    if accepted.filter(criterion_locked_at=None).update(criterion_locked_at=timezone.now()):
        criterion = decision.criterion
        record("locked criterion", decision, actor=None, criterion=criterion.text if criterion else "none")
    elif not accepted.exists():
        raise Conflict(f"D-{decision.number} is not accepted, so no run may start under it; its signatures come first.")


def _lock(decision: Decision) -> Decision:
    """Return the decision as stored now, locked until the end of the transaction, its assessment too.

    The assessment comes first, as in `answer_question` and everywhere else: one order, no deadlock.
    """
    Assessment.objects.select_for_update().get(pk=decision.assessment_id)
    Decision.objects.select_for_update().get(pk=decision.pk)
    return for_signing(Decision.objects.all()).get(pk=decision.pk)


def _move(held: Decision, to: Status, **values: Any) -> None:
    """Change the status and `values` if the transition is legal and nobody was quicker. Raises Conflict otherwise."""
    old = Status(held.status)
    if to not in TRANSITIONS[old]:
        raise Conflict(f"D-{held.number} is {old}; it cannot become {to}.")
    if Decision.objects.filter(pk=held.pk, status=old).update(status=to, **values) != 1:
        raise Conflict(f"D-{held.number} has just changed; reload the page.")
    for name, value in {"status": to, **values}.items():
        setattr(held, name, value)


def _decide(held: Decision, to: Status, *, actor: User) -> None:
    _move(held, to, decided_at=timezone.now())
    record(to.value, held, actor=actor)


def _refuse_signature(sign_off: SignOff, user: User, role: Role, seen_digest: str) -> None:
    decision = sign_off.decision
    if any(row.user_id == user.pk and row.digest == seen_digest for row in (*sign_off.current, *sign_off.void)):
        raise Conflict("You have signed this decision already. Nobody signs twice in one decision.")
    if decision.status != Status.PROPOSED:
        raise Conflict(f"D-{decision.number} is {decision.status}, not proposed; there is nothing to sign.")
    if decision.proposed_by_id == user.pk:
        raise Conflict("You proposed this decision. Nobody signs their own proposal; ask a colleague in that role.")
    if sign_off.digest != seen_digest:
        raise StaleDigest("The decision changed after you opened this page, so your signature was not recorded.")
    if any(row.user_id == user.pk for row in sign_off.current):
        raise Conflict("You have signed this decision already. Nobody signs twice in one decision.")
    if role not in {seat.role for seat in sign_off.seats}:
        raise Conflict(f"This checklist does not ask the {role.label} to sign.")


def _criterion_fields(decision: Decision) -> tuple[str, str, Decimal | None]:
    return decision.criterion_metric, decision.criterion_arm, decision.criterion_threshold
