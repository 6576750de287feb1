"""Who has signed, who is still asked, and which signatures are void: computed, never stored.

Works on prefetched rows (`for_signing`), so that a list of decisions costs as many queries as one.
"""

from dataclasses import dataclass
from functools import cached_property

from django.db.models import QuerySet

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.assessments.queries import checklist_of
from playbook.web.decisions.covered import Document, covered_document, digest_of
from playbook.web.decisions.models import Decision, Signature, Status, Verdict


@dataclass(frozen=True)
class Seat:
    """A role that must sign: how many people, who approved, and who could."""

    role: Role
    quorum: int
    approvals: tuple[Signature, ...]
    holders: tuple[User, ...]

    @property
    def missing(self) -> int:
        return max(0, self.quorum - len(self.approvals))

    @property
    def waiting(self) -> tuple[User, ...]:
        """The holders of the role who have not signed."""
        signed = {signature.user_id for signature in self.approvals}
        return tuple(user for user in self.holders if user.pk not in signed)


@dataclass(frozen=True)
class SignOff:
    """The state of the signatures under a decision as it reads now."""

    decision: Decision

    @cached_property
    def document(self) -> Document:
        return covered_document(self.decision)

    @cached_property
    def digest(self) -> str:
        return digest_of(self.document)

    @cached_property
    def current(self) -> tuple[Signature, ...]:
        """The signatures under exactly this content."""
        return tuple(row for row in self._signatures if row.digest == self.digest)

    @cached_property
    def void(self) -> tuple[Signature, ...]:
        """The signatures under an earlier content, oldest first."""
        return tuple(row for row in self._signatures if row.digest != self.digest)

    @cached_property
    def seats(self) -> tuple[Seat, ...]:
        """One seat for each role that the checklist asks to sign."""
        approvals = [row for row in self.current if row.verdict == Verdict.APPROVE]
        members = list(self.decision.use_case.memberships.all())
        return tuple(
            Seat(
                role=signing.role,
                quorum=signing.quorum,
                approvals=tuple(row for row in approvals if row.role == signing.role),
                holders=tuple(member.user for member in members if member.role == signing.role),
            )
            for signing in checklist_of(self.decision.assessment).signing
        )

    @property
    def is_complete(self) -> bool:
        return all(seat.missing == 0 for seat in self.seats)

    def open_roles(self, user: User) -> list[Role]:
        """Return the roles in which the user is asked to sign now; empty for the proposer and who has signed."""
        if self.decision.status != Status.PROPOSED or self.decision.proposed_by_id == user.pk:
            return []
        if any(row.user_id == user.pk for row in self.current):
            return []
        return [seat.role for seat in self.seats if seat.missing and user.pk in {holder.pk for holder in seat.holders}]

    @property
    def _signatures(self) -> list[Signature]:
        return sorted(self.decision.signatures.all(), key=lambda row: row.pk)


def for_signing(decisions: QuerySet[Decision]) -> QuerySet[Decision]:
    """Return the decisions with everything that `SignOff` reads."""
    return decisions.select_related("use_case", "assessment", "proposed_by", "created_by").prefetch_related(
        "signatures", "assessment__answers", "use_case__memberships__user"
    )


def waiting_for(user: User) -> list[tuple[Decision, list[Role]]]:
    """Return the decisions that wait for this user's signature, newest first, with the roles to sign in."""
    found = ((row, SignOff(row).open_roles(user)) for row in for_signing(Decision.objects.signable_by(user)))
    return [(decision, roles) for decision, roles in found if roles]
