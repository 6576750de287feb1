"""Decisions: the record of what a use case will do and why (MADR fields), and the signatures under it.

Above assessments, below jobs and outcomes. Jobs read `Decision.criterion` and lock it when the first run starts.
"""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.urls import reverse

from playbook.contracts.roles import SIGNING_ROLES
from playbook.contracts.run_spec import Arm, Metric
from playbook.web.accounts.models import User
from playbook.web.assessments.models import Assessment
from playbook.web.decisions.criterion import ARM_NAMES, METRIC_NAMES, Criterion
from playbook.web.usecases.models import ROLE_CHOICES, Membership, UseCase


class Status(models.TextChoices):
    """The statuses of MADR."""

    DRAFT = "draft"
    PROPOSED = "proposed"
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    DEPRECATED = "deprecated"
    SUPERSEDED = "superseded"


#: The only legal changes of status.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    Status.DRAFT: frozenset({Status.PROPOSED}),
    Status.PROPOSED: frozenset({Status.DRAFT, Status.ACCEPTED, Status.REJECTED}),
    Status.ACCEPTED: frozenset({Status.DRAFT, Status.DEPRECATED, Status.SUPERSEDED}),
    Status.REJECTED: frozenset({Status.DRAFT}),
    Status.DEPRECATED: frozenset(),
    Status.SUPERSEDED: frozenset(),
}


class Verdict(models.TextChoices):
    APPROVE = "approve"
    REJECT = "reject"


class DecisionQuerySet(models.QuerySet["Decision"]):
    def visible_to(self, user: User) -> Self:
        """The decisions of use cases that the user belongs to."""
        return self.filter(Exists(Membership.objects.filter(use_case=OuterRef("use_case"), user=user)))

    def signable_by(self, user: User) -> Self:
        """Proposals of others in use cases where the user holds a role that signs."""
        signs = Membership.objects.filter(use_case=OuterRef("use_case"), user=user, role__in=SIGNING_ROLES)
        return self.filter(Exists(signs), status=Status.PROPOSED).exclude(proposed_by=user)


class Decision(models.Model):
    """The criterion's three fields are set together or not at all: some decisions promise nothing measurable.

    `options` is a list of {"title": …, "pros": …, "cons": …}; `chosen_outcome` is an outcome id of the checklist.
    """

    number = models.PositiveIntegerField(unique=True)
    use_case = models.ForeignKey(UseCase, on_delete=models.PROTECT, related_name="decisions")
    assessment = models.ForeignKey(Assessment, on_delete=models.PROTECT, related_name="decisions")
    title = models.CharField(max_length=200)
    context = models.TextField(max_length=10_000, blank=True)
    options = models.JSONField(default=list)
    chosen_outcome = models.CharField(max_length=80)
    consequences = models.TextField(max_length=10_000, blank=True)
    criterion_metric = models.CharField(
        max_length=20, blank=True, choices=[(metric.value, name) for metric, name in METRIC_NAMES.items()]
    )
    criterion_arm = models.CharField(
        max_length=20, blank=True, choices=[(arm.value, name) for arm, name in ARM_NAMES.items()]
    )
    criterion_threshold = models.DecimalField(max_digits=5, decimal_places=4, null=True, blank=True)
    #: Set when the first run starts: a promise made after the measurement is none.
    criterion_locked_at = models.DateTimeField(null=True)
    review_on = models.DateField(null=True, blank=True)
    status = models.CharField(max_length=12, choices=Status.choices, default=Status.DRAFT)
    #: Counts proposals and changes: part of the digest, so that a void signature never comes back to life, not even
    #: when a change is taken back.
    edition = models.PositiveIntegerField(default=0)
    superseded_by = models.ForeignKey(
        "self", null=True, blank=True, on_delete=models.PROTECT, related_name="superseded_decisions"
    )
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    proposed_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    proposed_at = models.DateTimeField(null=True)
    decided_at = models.DateTimeField(null=True)

    objects = DecisionQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        indexes = [models.Index(fields=["status", "-number"], name="decision_status")]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=Status.values), name="decision_known_status"),
            models.CheckConstraint(
                condition=Q(criterion_metric="", criterion_arm="", criterion_threshold__isnull=True)
                | Q(
                    criterion_metric__in=[metric.value for metric in Metric],
                    criterion_arm__in=[arm.value for arm in Arm],
                    criterion_threshold__gte=0,
                    criterion_threshold__lte=1,
                ),
                name="decision_criterion_whole_or_absent",
            ),
            models.CheckConstraint(
                condition=Q(status=Status.DRAFT) | Q(proposed_by__isnull=False), name="decision_proposed_by_somebody"
            ),
        ]

    def __str__(self) -> str:
        return f"D-{self.number} {self.title}"

    def get_absolute_url(self) -> str:
        return reverse("decisions:detail", args=[self.number])

    @property
    def criterion(self) -> Criterion | None:
        """The success criterion, or None when this decision promises nothing measurable."""
        if self.criterion_threshold is None:
            return None
        return Criterion(
            metric=Metric(self.criterion_metric), arm=Arm(self.criterion_arm), threshold=self.criterion_threshold
        )


class Signature(models.Model):
    """An approval or rejection. Appended, never edited: it is void once its digest is not the decision's any more.

    `covered` is the document that was signed; `digest` is the SHA-256 of its canonical JSON (RFC 8785).
    """

    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="signatures")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    printed_name = models.CharField(max_length=150)
    role = models.CharField(max_length=20, choices=ROLE_CHOICES)
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    meaning = models.CharField(max_length=300)
    reason = models.TextField(max_length=2000, blank=True)
    covered = models.JSONField()
    digest = models.CharField(max_length=64)
    signed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["decision", "user", "digest"], name="signature_once_per_digest"),
            models.CheckConstraint(
                condition=Q(role__in=sorted(role.value for role in SIGNING_ROLES)), name="signature_signing_role"
            ),
            models.CheckConstraint(
                condition=Q(verdict=Verdict.APPROVE) | (Q(verdict=Verdict.REJECT) & ~Q(reason="")),
                name="signature_rejection_has_reason",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.printed_name}: {self.verdict}"
