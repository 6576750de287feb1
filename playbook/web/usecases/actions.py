"""Writes on use cases."""

from datetime import date, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.text import slugify

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.common.models import record
from playbook.web.common.permissions import Conflict
from playbook.web.usecases.models import Delegation, Membership, UseCase
from playbook.web.usecases.permissions import require_role

LONGEST_DELEGATION = timedelta(days=366)


@transaction.atomic
def create_use_case(*, name: str, description: str, created_by: User, members: dict[Role, list[User]]) -> UseCase:
    """Create a use case with its team; the creator becomes owner and contributor. Names may repeat, slugs may not."""
    use_case = UseCase.objects.create(name=name, slug=_free_slug(name), description=description, created_by=created_by)
    roles = {(created_by, Role.OWNER), (created_by, Role.CONTRIBUTOR)}
    roles |= {(user, role) for role, users in members.items() for user in users}
    Membership.objects.bulk_create(Membership(use_case=use_case, user=user, role=role) for user, role in roles)
    record("created", use_case, actor=created_by, members=sorted(f"{user.username}:{role}" for user, role in roles))
    return use_case


@transaction.atomic
def add_member(use_case: UseCase, *, user: User, role: Role, actor: User) -> Membership:
    """Give the user a role. Raises Conflict when they hold it already."""
    membership, created = Membership.objects.get_or_create(use_case=use_case, user=user, role=role)
    if not created:
        raise Conflict(f"{user} already is {role.label} of “{use_case}”.")
    record("added member", use_case, actor=actor, user=user.username, role=role)
    return membership


@transaction.atomic
def remove_member(membership: Membership, *, actor: User) -> None:
    """Take a role away, and end what was delegated by it: a role that is given back is a new one. Who leaves the team
    altogether signs for nobody any more. Raises Conflict for the last owner: somebody must be able to add people."""
    owners = Membership.objects.filter(use_case=membership.use_case, role=Role.OWNER)
    if membership.role == Role.OWNER and owners.count() == 1:
        raise Conflict(f"{membership.user} is the last owner of “{membership.use_case}”; add another owner first.")
    open_ones = Delegation.objects.filter(use_case=membership.use_case, revoked_at=None)
    ended = Q(delegator=membership.user, role=membership.role)
    if not membership.use_case.memberships.filter(user=membership.user).exclude(pk=membership.pk).exists():
        ended |= Q(delegate=membership.user)
    said = [str(delegation) for delegation in open_ones.filter(ended).select_related("delegate", "delegator")]
    open_ones.filter(ended).update(revoked_at=timezone.now())
    record(
        "removed member",
        membership.use_case,
        actor=actor,
        user=membership.user.username,
        role=membership.role,
        **({"ended_delegations": said} if said else {}),
    )
    membership.delete()


@transaction.atomic
def delegate_role(use_case: UseCase, *, role: Role, delegate: User, until: date, actor: User) -> Delegation:
    """Let a member sign for `actor`, who holds the role, until the end of a day.

    Raises RoleRequired when the actor does not hold the role; Conflict for a day that is past or more than a year
    off, for oneself, for somebody who is not in the team, and when this is delegated already.
    """
    require_role(actor, use_case, [role])
    today = timezone.localdate()
    if not today <= until <= today + LONGEST_DELEGATION:
        raise Conflict(f"{until:%-d %B %Y} is past or more than a year off; choose a day from today on.")
    if delegate.pk == actor.pk:
        raise Conflict("You sign for yourself already; choose a colleague.")
    if not use_case.memberships.filter(user=delegate).exists():
        raise Conflict(f"{delegate} is not in the team of “{use_case}”; ask its owner to add them as a viewer first.")
    UseCase.objects.select_for_update(no_key=True).get(pk=use_case.pk)
    held = Delegation.objects.filter(use_case=use_case, role=role, delegator=actor, delegate=delegate, revoked_at=None)
    if held.filter(until__gte=today).exists():
        raise Conflict(f"{delegate} signs for you as {role.label} already; take that back first.")
    held.update(revoked_at=timezone.now())  # has run out; only one may be open
    delegation = Delegation.objects.create(
        use_case=use_case, role=role, delegator=actor, delegate=delegate, until=until
    )
    record("delegated", use_case, actor=actor, role=role, to=delegate.username, until=until.isoformat())
    return delegation


@transaction.atomic
def revoke_delegation(delegation: Delegation, *, actor: User) -> None:
    """Take a delegation back; signatures given under it stay. Raises Conflict when it was taken back already."""
    open_ones = Delegation.objects.filter(pk=delegation.pk, revoked_at=None)
    if open_ones.update(revoked_at=timezone.now()) != 1:
        raise Conflict("This delegation was taken back already.")
    record(
        "revoked delegation", delegation.use_case, actor=actor, role=delegation.role, to=delegation.delegate.username
    )


def _free_slug(name: str) -> str:
    base = slugify(name)[:100] or "use-case"
    taken = set(UseCase.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    return next(slug for slug in (base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))) if slug not in taken)
