"""Decisions: the record of what a use case will do and why (MADR fields), and the signatures under it.

Above assessments, below jobs and outcomes. Jobs read `Decision.criterion` and lock it when the first run starts.
"""

from datetime import date
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q, Value
from django.db.models.functions import Concat, Lower
from django.urls import reverse
from django.utils import timezone

from playbook.contracts.metrics import CRITERION_METRICS, Metric
from playbook.contracts.roles import SIGNING_ROLES
from playbook.contracts.run_spec import Arm
from playbook.web.accounts.models import User
from playbook.web.assessments.models import Answer, Assessment
from playbook.web.decisions.criterion import ARM_NAMES, METRIC_NAMES, Criterion
from playbook.web.usecases.models import ROLE_CHOICES, Delegation, Membership, UseCase


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
        # Not correlated: a person's use cases are few, and are looked up once for all rows.
        return self.filter(use_case__in=Membership.objects.filter(user=user).values("use_case"))

    def newest_visible_to(self, user: User) -> Self:
        """As `visible_to`, for the first rows in their order: each is looked at in turn until there are enough, where
        `visible_to` would have SQLite sort all."""
        return self.filter(Exists(Membership.objects.filter(use_case=OuterRef("use_case"), user=user)))

    def signable_by(self, user: User) -> Self:
        """Proposals of others in use cases where the user holds a role that signs, or signs for somebody who does."""
        signs = Membership.objects.filter(use_case=OuterRef("use_case"), user=user, role__in=SIGNING_ROLES)
        acts = Delegation.objects.in_force().filter(use_case=OuterRef("use_case"), delegate=user)
        return self.filter(Exists(signs) | Exists(acts), status=Status.PROPOSED).exclude(proposed_by=user)

    def not_signed_by(self, user: User) -> Self:
        """Without the proposals that the user has signed, in a role still held, and that nobody touched since."""
        later = Answer.objects.filter(
            assessment=OuterRef(OuterRef("assessment")), answered_at__gt=OuterRef("signed_at")
        )
        held = Membership.objects.filter(pk=OuterRef("membership_key"))
        signed = Signature.objects.filter(
            Q(membership_key=None) | Exists(held),
            ~Exists(later),
            decision=OuterRef("pk"),
            user=user,
            signed_at__gte=OuterRef("proposed_at"),
        )
        return self.filter(~Exists(signed))

    def open_for_review(self, user: User, today: date) -> Self:
        """Accepted decisions that the user owns and whose review date has come."""
        return self.visible_to(user).filter(owner=user, status=Status.ACCEPTED, review_on__lte=today)


class Decision(models.Model):
    """The criterion's three fields are set together or not at all: some decisions promise nothing measurable.

    `options` is a list of {"title": …, "pros": …, "cons": …} and, where one is measured, its "arm"; `measured` is what
    reports said of the arms (`measured.Measured`); `chosen_outcome` is an outcome id of the checklist.
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
    #: SHA-256 of the test split that the promise is about; empty: that of the first run.
    criterion_test_set = models.CharField(max_length=64, blank=True)
    #: How likely the promise is kept, and what will be measured, both as shares; said before the run or never.
    forecast_probability = models.DecimalField(max_digits=4, decimal_places=3, null=True, blank=True)
    forecast_value = models.DecimalField(max_digits=5, decimal_places=4, null=True, blank=True)
    #: Set when the first run starts: a promise made after the measurement is none. From then on the database refuses
    #: to change criterion, forecast and kill criterion (`guards`).
    criterion_locked_at = models.DateTimeField(null=True)
    locked_test_set = models.CharField(max_length=64, blank=True)
    kill_criterion = models.TextField(max_length=2000, blank=True)
    budget_gpu_minutes = models.PositiveIntegerField(null=True, blank=True)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="owned_decisions"
    )
    measured = models.JSONField(default=list)
    sign_by = models.DateField(null=True, blank=True)
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
    #: Keys of those who proposed it or changed it as a proposal: whoever edits becomes the proposer, and lets nobody
    #: off who was it before.
    written_by = models.JSONField(default=list)
    decided_at = models.DateTimeField(null=True)
    #: What the log is searched in. Kept by the database: to fold the letters of every text anew costs a search of ten
    #: thousand decisions most of its time.
    searched = models.GeneratedField(
        expression=Lower(Concat("title", Value("\n"), "context", output_field=models.TextField())),
        output_field=models.TextField(),
        db_persist=True,
    )

    objects = DecisionQuerySet.as_manager()

    class Meta:
        ordering = ["-number"]
        indexes = [
            models.Index(fields=["status", "-number"], name="decision_status"),
            # The rest answer from the index alone what would else read every decision with its texts: the pages of the
            # log, its timeline and counts, and the proposals that are due first.
            models.Index(fields=["-number", "use_case"], name="decision_newest"),
            models.Index(fields=["use_case", "created_at", "status", "id"], name="decision_timeline"),
            models.Index(fields=["status", "sign_by", "proposed_at", "id"], name="decision_due"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(status__in=Status.values), name="decision_known_status"),
            models.CheckConstraint(
                condition=Q(criterion_metric="", criterion_arm="", criterion_threshold__isnull=True)
                | Q(
                    criterion_metric__in=[metric.value for metric in CRITERION_METRICS],
                    criterion_arm__in=[arm.value for arm in Arm],
                    criterion_threshold__gte=0,
                    criterion_threshold__lte=1,
                ),
                name="decision_criterion_whole_or_absent",
            ),
            models.CheckConstraint(
                condition=Q(status=Status.DRAFT) | Q(proposed_by__isnull=False), name="decision_proposed_by_somebody"
            ),
            models.CheckConstraint(
                condition=Q(forecast_probability__isnull=True, forecast_value__isnull=True)
                | Q(
                    forecast_probability__isnull=False,  # a comparison with null would let half a forecast through
                    forecast_value__isnull=False,
                    forecast_probability__gte=0,
                    forecast_probability__lte=1,
                    forecast_value__gte=0,
                    forecast_value__lte=1,
                    criterion_threshold__isnull=False,
                ),
                name="decision_forecast_whole_or_absent",
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

    @property
    def lacks_forecast(self) -> bool:
        """True when something is promised and nobody has said yet how likely it is kept."""
        return self.criterion_threshold is not None and self.forecast_probability is None

    @property
    def test_set(self) -> str:
        """SHA-256 of the test split that the outcome is measured on; empty while none is fixed."""
        return self.locked_test_set or self.criterion_test_set


class Signature(models.Model):
    """An approval or rejection. Appended, never edited, which the database enforces (`guards`): it is void once its
    digest is not the decision's any more, and counts no longer once its role was taken away.

    `covered` is the document that was signed; `digest` is the SHA-256 of its canonical JSON (RFC 8785). `on_behalf_of`
    holds the role when it was delegated, and `on_behalf_of_name` is their name as printed then. `membership_key` is the
    key of the membership under which it was given.
    """

    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="signatures")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    on_behalf_of = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    printed_name = models.CharField(max_length=150)
    on_behalf_of_name = models.CharField(max_length=150, blank=True)
    role = models.CharField(max_length=20, choices=ROLE_CHOICES)
    membership_key = models.BigIntegerField(null=True)
    verdict = models.CharField(max_length=10, choices=Verdict.choices)
    meaning = models.CharField(max_length=500)
    reason = models.TextField(max_length=2000, blank=True)
    covered = models.JSONField()
    digest = models.CharField(max_length=64)
    signed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["decision", "user", "digest", "membership_key"], name="signature_once_per_digest"
            ),
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

    @property
    def principal_id(self) -> int:
        """Key of the person whose role it was: who signed, or for whom."""
        return self.on_behalf_of_id or self.user_id

    @property
    def principal_name(self) -> str | None:
        """For whom it was given, as printed then; as they are called now where that was not kept. None: for nobody."""
        return (self.on_behalf_of_name or str(self.on_behalf_of)) if self.on_behalf_of else None
