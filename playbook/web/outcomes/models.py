"""Outcome reviews: what came of a decision, measured against the criterion fixed before. Appended, never edited,
which the database enforces.

The top of the data flow: reads decisions and jobs; articles show its rows through a panel.
"""

from collections.abc import Collection
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q

from playbook.contracts.metrics import CRITERION_METRICS
from playbook.contracts.run_spec import Arm
from playbook.web.accounts.models import User
from playbook.web.common.kept import Kept
from playbook.web.decisions.criterion import Verdict
from playbook.web.decisions.models import Decision
from playbook.web.jobs.models import Job
from playbook.web.usecases.models import Membership


class Confirmation(models.TextChoices):
    """What people decided to do with the result."""

    ADOPTED = "adopted", "Adopted: it goes into use"
    REJECTED = "rejected", "Rejected: it does not go into use"
    MORE_DATA = "more_data", "More data: measure again before deciding"


class OutcomeReviewQuerySet(models.QuerySet["OutcomeReview"]):
    def visible_to(self, user: User) -> Self:
        """Reviews in use cases that the user belongs to."""
        # Not correlated: a person's use cases are few, and are looked up once for all rows.
        return self.filter(decision__use_case__in=Membership.objects.filter(user=user).values("use_case"))

    def newest_visible_to(self, user: User) -> Self:
        """As `visible_to`, for the first rows in their order: each is looked at in turn until there are enough."""
        return self.filter(Exists(Membership.objects.filter(use_case=OuterRef("decision__use_case"), user=user)))

    def of_articles(self, keys: Collection[str]) -> Self:
        """Reviews of decisions that one of these articles (`area/slug`) led to."""
        return self.filter(Exists(OutcomeArticle.objects.filter(outcome=OuterRef("pk"), key__in=keys)))


class OutcomeReview(models.Model):
    """The criterion's words, the measured share with its 95 % interval, the verdict, and what people made of it.

    `report_sha256` names the very report that was judged.
    """

    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="outcomes")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="outcome")
    criterion_text = models.CharField(max_length=300)
    metric = models.CharField(max_length=20)
    arm = models.CharField(max_length=20)
    value = models.FloatField()
    low = models.FloatField()
    high = models.FloatField()
    rows = models.PositiveIntegerField()
    report_sha256 = models.CharField(max_length=64)
    test_set_sha256 = models.CharField(max_length=64)
    verdict = models.CharField(max_length=15, choices=[(verdict.value, verdict.value) for verdict in Verdict])
    confirmation = models.CharField(max_length=15, choices=Confirmation.choices)
    lessons = models.TextField(max_length=5000)
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField(auto_now_add=True)

    objects = OutcomeReviewQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(low__gte=0, low__lte=models.F("value"), high__gte=models.F("value"), high__lte=1),
                name="outcome_value_within_interval",
            ),
            models.CheckConstraint(condition=Q(verdict__in=list(Verdict)), name="outcome_known_verdict"),
            models.CheckConstraint(
                condition=Q(confirmation__in=Confirmation.values), name="outcome_known_confirmation"
            ),
            models.CheckConstraint(
                condition=Q(
                    metric__in=[metric.value for metric in CRITERION_METRICS], arm__in=[arm.value for arm in Arm]
                ),
                name="outcome_known_metric_and_arm",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verdict}: {self.decision}"

    def get_absolute_url(self) -> str:
        return f"{self.decision.get_absolute_url()}#outcomes"


class OutcomeProposal(models.Model):
    """What the end of a job says about the promise, before anybody has looked: appended by the site itself.

    Without a measurement `verdict` is empty and `problem` says why.
    """

    decision = models.ForeignKey(Decision, on_delete=models.PROTECT, related_name="outcome_proposals")
    job = models.OneToOneField(Job, on_delete=models.PROTECT, related_name="outcome_proposal")
    verdict = models.CharField(
        max_length=15, blank=True, choices=[(verdict.value, verdict.value) for verdict in Verdict]
    )
    value = models.FloatField(null=True)
    low = models.FloatField(null=True)
    high = models.FloatField(null=True)
    rows = models.PositiveIntegerField(null=True)
    report_sha256 = models.CharField(max_length=64, blank=True)
    test_set_sha256 = models.CharField(max_length=64, blank=True)
    problem = models.TextField(blank=True)
    proposed_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(verdict="", value__isnull=True) & ~Q(problem="")
                | Q(verdict__in=list(Verdict), value__isnull=False, low__isnull=False, high__isnull=False, problem=""),
                name="outcome_proposal_measured_or_why_not",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.verdict or 'nothing measured'}: job {self.job_id}"


class OutcomeArticle(models.Model):
    """An article that led to the decision: the one the reader came from, and those that the checklist cites."""

    outcome = models.ForeignKey(OutcomeReview, on_delete=models.CASCADE, related_name="articles")
    key = models.CharField(max_length=250)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["outcome", "key"], name="outcome_article_once")]
        indexes = [models.Index(fields=["key"], name="outcome_article_key")]

    def __str__(self) -> str:
        return self.key


#: The keys of the articles that some outcome belongs to: what most article pages need to know of outcomes.
articles_with_outcomes: Kept[frozenset[str]] = Kept(
    "outcomes", lambda: frozenset(OutcomeArticle.objects.values_list("key", flat=True).distinct())
)
