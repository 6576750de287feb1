"""Writes on use cases."""

from django.db import transaction
from django.utils.text import slugify

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.common.models import record
from playbook.web.common.permissions import Conflict
from playbook.web.usecases.models import Membership, UseCase


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
        raise Conflict(f"{user} already is {role.replace('_', ' ')} of “{use_case}”.")
    record("added member", use_case, actor=actor, user=user.username, role=role)
    return membership


@transaction.atomic
def remove_member(membership: Membership, *, actor: User) -> None:
    """Take a role away. Raises Conflict for the last owner: somebody must be able to add people."""
    owners = Membership.objects.filter(use_case=membership.use_case, role=Role.OWNER)
    if membership.role == Role.OWNER and owners.count() == 1:
        raise Conflict(f"{membership.user} is the last owner of “{membership.use_case}”; add another owner first.")
    record("removed member", membership.use_case, actor=actor, user=membership.user.username, role=membership.role)
    membership.delete()


def _free_slug(name: str) -> str:
    base = slugify(name)[:100] or "use-case"
    taken = set(UseCase.objects.filter(slug__startswith=base).values_list("slug", flat=True))
    return next(slug for slug in (base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))) if slug not in taken)
