"""Who has signed, who is still asked, and which signatures are void: computed, never stored.

Works on prefetched rows (`for_signing`), so that a list of decisions costs as many queries as one.

A signature counts while (1) its digest is the decision's, and (2) the role under which it was given has not been taken
away. A role that is given back is a new one: the earlier signature stays marked, and its holder is asked again. A
decision that was accepted stays accepted, because its quorum was complete on that day; its page says what is no longer
so.
"""

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from django.db.models import F, Prefetch, QuerySet, prefetch_related_objects

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.assessments.models import Answer
from playbook.web.decisions.covered import Document, covered_document, digest_of
from playbook.web.decisions.models import Decision, Signature, Status, Verdict
from playbook.web.usecases.models import Delegation, Membership

#: Decisions listed in a panel. Of those that wait for one person more may follow, which is said: each is read with its
#: answers.
LISTED = 10
#: Proposals looked at to find those that wait for one person, those due first.
LOOKED_AT = 60


@dataclass(frozen=True)
class Capacity:
    """In which role somebody signs, and for whom when it was delegated to them."""

    role: Role
    on_behalf_of: User | None = None
    until: date | None = None

    @property
    def value(self) -> str:
        """What the form sends: `ml_lead`, or `ml_lead:7` for the person with this key."""
        return f"{self.role}:{self.on_behalf_of.pk}" if self.on_behalf_of else self.role.value

    @property
    def label(self) -> str:
        return f"{self.role.label}, for {self.on_behalf_of}" if self.on_behalf_of else self.role.label


@dataclass(frozen=True)
class Seat:
    """A role that must sign: how many people, who approved, and who could."""

    role: Role
    quorum: int
    approvals: tuple[Signature, ...]
    members: tuple[Membership, ...]

    @property
    def missing(self) -> int:
        return max(0, self.quorum - len(self.approvals))

    @property
    def holders(self) -> tuple[User, ...]:
        return tuple(member.user for member in self.members)

    @property
    def waiting(self) -> tuple[User, ...]:
        """The holders of the role for whom nobody has signed."""
        return tuple(member.user for member in self.members if member.user_id in self.open_keys)

    @property
    def open_keys(self) -> frozenset[int]:
        """Keys of the people in `waiting`, who need not have been read."""
        signed = {signature.principal_id for signature in self.approvals}
        return frozenset(member.user_id for member in self.members if member.user_id not in signed)


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
        """The signatures under exactly this content whose role is still held."""
        return tuple(row for row in self._signatures if row.digest == self.digest and self._role_is_held(row))

    @cached_property
    def lapsed(self) -> tuple[Signature, ...]:
        """The signatures under exactly this content whose role was taken away since: history, which counts no more."""
        return tuple(row for row in self._signatures if row.digest == self.digest and not self._role_is_held(row))

    @cached_property
    def void(self) -> tuple[Signature, ...]:
        """The signatures under an earlier content, oldest first."""
        return tuple(row for row in self._signatures if row.digest != self.digest)

    @cached_property
    def seats(self) -> tuple[Seat, ...]:
        """One seat for each role that the checklist asks to sign."""
        approvals = [row for row in self.current if row.verdict == Verdict.APPROVE]
        return tuple(
            Seat(
                role=Role(signing["role"]),
                quorum=signing["quorum"],
                approvals=tuple(row for row in approvals if row.role == signing["role"]),
                members=tuple(member for member in self._members if member.role == signing["role"]),
            )
            for signing in self._signing
        )

    @property
    def is_complete(self) -> bool:
        return all(seat.missing == 0 for seat in self.seats)

    @cached_property
    def writers(self) -> frozenset[int]:
        """Keys of those who proposed what is signed, or changed it after that: by an edit or by an answer. They wrote
        part of it, so they do not approve it; somebody else may withdraw it and propose it anew."""
        since = self.decision.proposed_at
        if self.decision.status != Status.PROPOSED or since is None:
            return frozenset()
        answered = {row.author_id for row in self.decision.assessment.answers.all() if row.answered_at > since}
        return frozenset(answered | set(self.decision.written_by))

    def capacities(self, user: User) -> list[Capacity]:
        """Return in what capacities the user may sign here, asked or not: their own roles, then those delegated."""
        roles = {member.role for member in self._members if member.user_id == user.pk}
        own = [Capacity(seat.role) for seat in self.seats if seat.role in roles]
        held = {(member.user_id, member.role) for member in self._members}
        acting = [
            Capacity(Role(row.role), row.delegator, row.until)
            for row in self._delegations
            if row.delegate_id == user.pk and (row.delegator_id, row.role) in held
        ]
        return [*own, *(each for each in acting if each.role in {seat.role for seat in self.seats})]

    def open_capacities(self, user: User) -> list[Capacity]:
        """Return in what capacities the user is asked to sign now; empty for the proposer and who has signed."""
        if self.decision.status != Status.PROPOSED or self.barred(user.pk):
            return []
        wanted = {seat.role: seat.open_keys for seat in self.seats if seat.missing}
        return [
            each
            for each in self.capacities(user)
            if (each.on_behalf_of or user).pk in wanted.get(each.role, ())
            and not (each.on_behalf_of and self.barred(each.on_behalf_of.pk))
        ]

    def barred(self, user_id: int) -> bool:
        """True for the proposer, for who changed it since, and for who has signed or was signed for."""
        signed = any(user_id in (row.user_id, row.on_behalf_of_id) for row in self.current)
        return signed or user_id == self.decision.proposed_by_id or user_id in self.writers

    def membership_key(self, user: User, role: Role) -> int | None:
        """Return the key of the membership by which somebody holds a role; None when they do not."""
        return next((row.pk for row in self._members if row.user_id == user.pk and row.role == role), None)

    def _role_is_held(self, row: Signature) -> bool:
        if row.membership_key is None:  # signed before this was kept
            return any(one.user_id == row.principal_id and one.role == row.role for one in self._members)
        return any(one.pk == row.membership_key for one in self._members)

    @property
    def _signing(self) -> list[dict[str, Any]]:
        """What the checklist says of signing: read alone by `waiting_for`, else a part of the whole checklist."""
        if (read := vars(self.decision).get("signing")) is not None:
            return list(read)
        return list(self.decision.assessment.definition["signing"])

    @cached_property
    def _members(self) -> list[Membership]:
        return list(self.decision.use_case.memberships.all())

    @cached_property
    def _delegations(self) -> list[Delegation]:
        return list(self.decision.use_case.delegations.all())

    @cached_property
    def _signatures(self) -> list[Signature]:
        return sorted(self.decision.signatures.all(), key=lambda row: row.pk)


def for_signing(decisions: QuerySet[Decision]) -> QuerySet[Decision]:
    """Return the decisions with everything that `SignOff` reads. Of the delegations only those in force."""
    in_force = Delegation.objects.in_force().select_related("delegator", "delegate")
    return decisions.select_related("use_case", "assessment", "proposed_by", "created_by", "owner").prefetch_related(
        "signatures__on_behalf_of",
        "assessment__answers",
        "use_case__memberships__user",
        Prefetch("use_case__delegations", queryset=in_force),
    )


@dataclass(frozen=True)
class Waiting:
    """A proposal that waits for somebody's signature, and in what capacities."""

    decision: Decision
    capacities: tuple[Capacity, ...]


def waiting_for(user: User) -> list[Waiting]:
    """Return the decisions that wait for this user's signature: those due first, then the oldest proposals.

    At most `LISTED`, found among the first `LOOKED_AT`, so that a full inbox costs no more than a page of it.
    """
    proposals = Decision.objects.signable_by(user).not_signed_by(user)
    due_first = proposals.order_by(F("sign_by").asc(nulls_last=True), "proposed_at", "pk")
    # Keys first: sorting whole rows, each with its checklist, costs a hundred times as much.
    keys = list(due_first.values_list("pk", flat=True)[:LOOKED_AT])
    found: list[Waiting] = []
    for start in range(0, len(keys), LISTED):
        batch = keys[start : start + LISTED]
        rows = _for_inbox(batch)
        for row in (rows[key] for key in batch):
            if capacities := SignOff(row).open_capacities(user):
                found.append(Waiting(row, tuple(capacities)))
        if len(found) >= LISTED:
            break
    return found[:LISTED]


def _for_inbox(keys: list[int]) -> dict[int, Decision]:
    """Return proposals with what `open_capacities` reads and the inbox shows, by key: no people of the team, of each
    checklist, twenty times as long as the rest, only who signs, and of the answers only whose and when. To see whether
    a signature still covers what is there takes them whole, so they are where there is one. At most six queries."""
    in_force = Delegation.objects.in_force().select_related("delegator")
    proposals = (
        Decision.objects.filter(pk__in=keys)
        .select_related("use_case", "assessment", "proposed_by", "owner")
        .prefetch_related(
            Prefetch("signatures", queryset=Signature.objects.defer("covered")),
            "use_case__memberships",
            Prefetch("use_case__delegations", queryset=in_force),
        )
        .defer("assessment__definition", "searched")
        .annotate(signing=F("assessment__definition__signing"))
    )
    found = proposals.in_bulk()
    signed = [row.assessment for row in found.values() if row.signatures.all()]
    unsigned = [row.assessment for row in found.values() if not row.signatures.all()]
    prefetch_related_objects(signed, "answers")
    by_whom = Answer.objects.only("assessment", "author", "answered_at")
    prefetch_related_objects(unsigned, Prefetch("answers", queryset=by_whom))
    return found
