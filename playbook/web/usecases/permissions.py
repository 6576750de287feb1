"""The one way to fetch a use case or something below it: strangers get 404, the wrong role 403."""

from collections.abc import Collection
from typing import Any, TypeVar, cast

from django.db.models import Exists, Model, OuterRef, QuerySet
from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from playbook.contracts.roles import WRITING_ROLES, Role
from playbook.web.accounts.models import User
from playbook.web.common.permissions import RoleRequired
from playbook.web.usecases.models import Membership, UseCase


def signed_in(request: HttpRequest) -> User:
    """Return the request's user, whom the login middleware has already let in."""
    return cast(User, request.user)


Row = TypeVar("Row", bound=Model)


def get_visible(user: User, rows: QuerySet[Row], *, use_case_path: str = "use_case", **lookup: Any) -> Row:
    """Return the one row that matches and whose use case the user belongs to. Raises Http404 otherwise."""
    member = Membership.objects.filter(use_case=OuterRef(f"{use_case_path}_id"), user=user)
    return get_object_or_404(rows.filter(Exists(member)), **lookup)


def get_use_case(user: User, slug: str) -> UseCase:
    """Return the use case if the user belongs to it. Raises Http404 otherwise."""
    return get_object_or_404(UseCase.objects.for_member(user), slug=slug)


def require_role(user: User, use_case: UseCase, roles: Collection[Role] = WRITING_ROLES) -> frozenset[Role]:
    """Return the user's roles in the use case. Raises RoleRequired (403) when none of `roles` is among them."""
    held = use_case.roles_of(user)
    if not held & set(roles):
        wanted = ", ".join(sorted(role.label for role in roles))
        raise RoleRequired(
            f"This needs one of the roles {wanted} in “{use_case}”. Ask its owner to add you on the use case's page."
        )
    return held
