"""The write that signs a decision, and what refuses it. The view has checked the password."""

from django.db import transaction

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import lock_assessment
from playbook.web.common.models import record
from playbook.web.common.permissions import Conflict, RoleRequired
from playbook.web.decisions import mail
from playbook.web.decisions.actions import StaleDigest, decide, lock_decision
from playbook.web.decisions.models import Decision, Signature, Status, Verdict
from playbook.web.decisions.signing import Capacity, SignOff
from playbook.web.decisions.vouched import signature_sha256

_MEANINGS = {
    Verdict.APPROVE: "I approve this decision as {capacity}: I have read what it covers and stand by it.",
    Verdict.REJECT: "I reject this decision as {capacity}, for the reason given.",
}
_TWICE = "You have signed this decision already. Nobody signs twice in one decision."


@transaction.atomic
def sign_decision(
    decision: Decision,
    *,
    user: User,
    role: Role,
    verdict: Verdict,
    reason: str,
    seen_digest: str,
    on_behalf_of: User | None = None,
) -> Signature:
    """Append a signature; the last missing approval accepts the decision, a rejection rejects it.

    Raises RoleRequired when the user neither holds the role nor signs for `on_behalf_of`, who does; Conflict when the
    decision is not proposed, is the user's own proposal or changed by them, or carries their signature already;
    StaleDigest when `seen_digest` is not what the decision reads now.
    """
    held = lock_decision(decision)
    before = SignOff(held)
    capacity = _capacity(before, user, role, on_behalf_of)
    _refuse(before, user, capacity, seen_digest)
    signature = Signature(
        decision=held,
        user=user,
        on_behalf_of=on_behalf_of,
        printed_name=str(user),
        on_behalf_of_name=str(on_behalf_of) if on_behalf_of else "",
        role=role,
        membership_key=before.membership_key(on_behalf_of or user, role),
        verdict=verdict,
        meaning=_MEANINGS[verdict].format(capacity=_written(capacity)),
        reason=reason,
        covered=before.document,
        digest=before.digest,
    )
    signature.save(force_insert=True)
    record(
        "signed",
        held,
        actor=user,
        role=role,
        verdict=verdict,
        reason=reason,
        digest=before.digest,
        signature=signature.pk,
        signature_sha256=signature_sha256(signature),
        **({"on_behalf_of": on_behalf_of.username} if on_behalf_of else {}),
    )
    if verdict == Verdict.REJECT:
        decide(held, Status.REJECTED, actor=user)
    elif SignOff(lock_decision(held)).is_complete:
        decide(held, Status.ACCEPTED, actor=user)
        lock_assessment(held.assessment, actor=user)
    mail.tell_of_signature(held, signature)
    return signature


def _capacity(sign_off: SignOff, user: User, role: Role, on_behalf_of: User | None) -> Capacity:
    for each in sign_off.capacities(user):
        if each.role == role and each.on_behalf_of == on_behalf_of:
            return each
    if on_behalf_of is not None:
        raise RoleRequired(f"Nobody lets you sign as {role.label} for {on_behalf_of} any more.")
    if sign_off.membership_key(user, role) is None:
        raise RoleRequired(
            f"Signing as {role.label} needs that role in “{sign_off.decision.use_case}”; ask the use case's owner."
        )
    raise Conflict(f"This checklist does not ask the {role.label} to sign.")


def _written(capacity: Capacity) -> str:
    if capacity.on_behalf_of is None:
        return capacity.role.label
    return f"{capacity.role.label} for {capacity.on_behalf_of}, who let me sign until {capacity.until:%-d %B %Y}"


def _refuse(sign_off: SignOff, user: User, capacity: Capacity, seen_digest: str) -> None:
    decision, principal = sign_off.decision, capacity.on_behalf_of or user
    if any(row.user_id == user.pk and row.digest == seen_digest for row in (*sign_off.current, *sign_off.void)):
        raise Conflict(_TWICE)
    if decision.status != Status.PROPOSED:
        raise Conflict(f"D-{decision.number} is {decision.status}, not proposed; there is nothing to sign.")
    if decision.proposed_by_id == user.pk:
        raise Conflict("You proposed this decision. Nobody signs their own proposal; ask a colleague in that role.")
    if decision.proposed_by_id == principal.pk:
        raise Conflict(f"{principal} proposed this decision, so nobody signs it for them.")
    if sign_off.digest != seen_digest:
        raise StaleDigest("The decision changed after you opened this page, so your signature was not recorded.")
    if {user.pk, principal.pk} & sign_off.writers:
        who = "You" if user.pk in sign_off.writers else str(principal)
        raise Conflict(
            f"{who} proposed this or changed it since, and nobody signs what they wrote. Ask a colleague in that role, "
            "or have somebody else withdraw and propose it again."
        )
    for row in sign_off.current:
        if user.pk in (row.user_id, row.on_behalf_of_id) or principal.pk in (row.user_id, row.on_behalf_of_id):
            same = user.pk == row.user_id
            raise Conflict(_TWICE if same else f"{row.printed_name} has signed as {row.get_role_display()} already.")
