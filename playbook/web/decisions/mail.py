"""Letters about decisions: who is asked to sign, and what came of it. Sent after the commit (`common.mail`)."""

from collections.abc import Iterable

from playbook.web.accounts.models import User
from playbook.web.assessments.models import Answer, Assessment
from playbook.web.common.mail import send_after_commit
from playbook.web.decisions.models import Decision, Signature, Status
from playbook.web.decisions.signing import SignOff, for_signing


def ask_for_signatures(decision: Decision) -> None:
    """Write to everybody who may fill a seat that is open: the holders of the roles, and those who sign for them."""
    sign_off = SignOff(decision)
    people = {member.user for member in decision.use_case.memberships.all()}
    due = f" It is due on {decision.sign_by:%-d %B %Y}." if decision.sign_by else ""
    for user in _active(people):
        capacities = sign_off.open_capacities(user)
        if capacities:
            roles = " or ".join(each.label for each in capacities)
            send_after_commit(
                [user],
                subject=f"Please sign D-{decision.number}: {decision.title}",
                text=f"{decision.proposed_by} proposes this decision and asks you to sign it as {roles}.{due}",
                path=f"{decision.get_absolute_url()}#sign",
            )


def ask_again(*, assessment: Assessment, answer: Answer, **_: object) -> None:
    """Write to those whose signature under a proposal this answer has voided, if they may sign it again: once, not for
    each answer that follows. Receives `answer_appended`."""
    proposed = Decision.objects.filter(assessment=assessment, status=Status.PROPOSED)
    if not proposed.exists():  # as with most answers: what signing needs is many times the rest of saving one
        return
    for decision in for_signing(proposed):
        sign_off = SignOff(decision)
        changes = [
            decision.proposed_at,
            *(row.answered_at for row in decision.assessment.answers.all() if row != answer),
        ]
        since = max(moment for moment in changes if moment)
        voided = {row.user_id for row in sign_off.void if row.signed_at > since}
        # Who left the team since may not sign again, so the people of the team, who have been read, are enough.
        team = {member.user for member in decision.use_case.memberships.all() if member.user_id in voided}
        send_after_commit(
            _active(user for user in team if sign_off.open_capacities(user)),
            subject=f"Please sign D-{decision.number} again: {decision.title}",
            text=f"{answer.author} changed an answer that this decision rests on, so your signature became void. The "
            "page shows what changed.",
            path=f"{decision.get_absolute_url()}#sign",
        )


def tell_of_signature(decision: Decision, signature: Signature) -> None:
    """Write to the proposer and the owner once a signature has decided the proposal."""
    if decision.status not in (Status.ACCEPTED, Status.REJECTED):
        return
    people = {person for person in (decision.proposed_by, decision.owner) if person and person != signature.user}
    reason = f" Reason: {signature.reason}" if signature.reason else ""
    send_after_commit(
        _active(people),
        subject=f"D-{decision.number} is {decision.status}: {decision.title}",
        text=f"{signature.printed_name} signed as {signature.get_role_display()}, so the decision is "
        f"{decision.status}.{reason}",
        path=decision.get_absolute_url(),
    )


def _active(people: Iterable[User]) -> list[User]:
    return sorted((person for person in people if person.is_active), key=lambda person: person.pk)
