"""Use cases: what a team wants from a model. Assessments, datasets, jobs and decisions belong to one.

Membership decides who may see and do anything below a use case; the roles are those of `contracts.roles`.
"""

from typing import Self

from django.conf import settings
from django.db import models
from django.urls import reverse
from django.utils import timezone

from playbook.contracts.roles import SIGNING_ROLES, WRITING_ROLES, Role
from playbook.web.accounts.models import User

ROLE_CHOICES = [(role.value, role.label) for role in Role]


class UseCaseQuerySet(models.QuerySet["UseCase"]):
    def for_member(self, user: User) -> Self:
        """The use cases that the user belongs to, in any role."""
        return self.filter(models.Exists(Membership.objects.filter(use_case=models.OuterRef("pk"), user=user)))


class UseCase(models.Model):
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=120, unique=True)
    description = models.TextField(max_length=2000, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = UseCaseQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("usecases:detail", args=[self.slug])

    def roles_of(self, user: User) -> frozenset[Role]:
        """The user's roles here; empty for a stranger. One query."""
        return frozenset(Role(role) for role in self.memberships.filter(user=user).values_list("role", flat=True))


class Membership(models.Model):
    """One person in one role. A person may hold several roles, but signs in one."""

    use_case = models.ForeignKey(UseCase, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="memberships")
    role = models.CharField(max_length=20, choices=ROLE_CHOICES)

    class Meta:
        ordering = ["role", "user__name"]
        constraints = [
            models.UniqueConstraint(fields=["use_case", "user", "role"], name="membership_once"),
            models.CheckConstraint(condition=models.Q(role__in=list(Role)), name="membership_known_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user} as {self.role} in {self.use_case}"


class DelegationQuerySet(models.QuerySet["Delegation"]):
    def in_force(self) -> Self:
        """Delegations that hold today: neither run out nor taken back, and the giver still has the role."""
        holds = Membership.objects.filter(
            use_case=models.OuterRef("use_case"), user=models.OuterRef("delegator"), role=models.OuterRef("role")
        )
        return self.filter(models.Exists(holds), until__gte=timezone.localdate(), revoked_at=None)


class Delegation(models.Model):
    """Until the end of a day, `delegate` may sign for `delegator`, who holds the role. Kept when it is taken back."""

    use_case = models.ForeignKey(UseCase, on_delete=models.CASCADE, related_name="delegations")
    role = models.CharField(max_length=20, choices=ROLE_CHOICES)
    delegator = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    delegate = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    until = models.DateField()
    created_at = models.DateTimeField(auto_now_add=True)
    revoked_at = models.DateTimeField(null=True)

    objects = DelegationQuerySet.as_manager()

    class Meta:
        ordering = ["until", "id"]
        constraints = [
            models.UniqueConstraint(
                fields=["use_case", "role", "delegator", "delegate"],
                condition=models.Q(revoked_at__isnull=True),
                name="delegation_once",
            ),
            models.CheckConstraint(
                condition=models.Q(role__in=sorted(role.value for role in SIGNING_ROLES)),
                name="delegation_signing_role",
            ),
            models.CheckConstraint(
                condition=~models.Q(delegator=models.F("delegate")), name="delegation_to_somebody_else"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.delegate} for {self.delegator} as {self.role} until {self.until}"


def may_write(roles: frozenset[Role]) -> bool:
    """True when one of the roles may answer, draft, launch and record."""
    return bool(roles & WRITING_ROLES)
