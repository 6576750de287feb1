"""Assessments: one team's run through one version of a checklist. Answers and remarks are appended, never edited.

Above datasets, below decisions, which lock an assessment when they are accepted.
"""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, F, Max, OuterRef, Window
from django.urls import reverse
from django.utils import timezone

from playbook.contracts.roles import WRITING_ROLES
from playbook.web.accounts.models import User
from playbook.web.assessments.evidence import Evidence, read_evidence
from playbook.web.common.measurements import Measurement
from playbook.web.usecases.models import Membership, UseCase


class AssessmentQuerySet(models.QuerySet["Assessment"]):
    def visible_to(self, user: User) -> Self:
        """The assessments of use cases that the user belongs to."""
        return self.filter(Exists(Membership.objects.filter(use_case=OuterRef("use_case"), user=user)))


class Assessment(models.Model):
    """`definition` is the checklist as it was at the start: an open assessment keeps its version."""

    use_case = models.ForeignKey(UseCase, on_delete=models.PROTECT, related_name="assessments")
    checklist_slug = models.SlugField(max_length=120)
    checklist_version = models.PositiveIntegerField()
    checklist_digest = models.CharField(max_length=64)
    definition = models.JSONField()
    #: The article ("area/slug") from which the reader came; the outcome is shown there. Empty when none.
    article = models.CharField(max_length=250, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    locked_at = models.DateTimeField(null=True)
    #: Ids of the questions whose answers need another look since the assessment was moved to a newer version.
    look_again = models.JSONField(default=list)

    objects = AssessmentQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["article"], name="assessment_article")]

    def __str__(self) -> str:
        return f"{self.title} · {self.use_case}"

    def get_absolute_url(self) -> str:
        return reverse("assessments:detail", args=[self.pk])

    @property
    def title(self) -> str:
        return str(self.definition["title"])

    @property
    def is_locked(self) -> bool:
        return self.locked_at is not None


class AnswerQuerySet(models.QuerySet["Answer"]):
    def recent(self, revisions: int = 1) -> Self:
        """The newest revisions of the answer to each question: pages cost the same however often it was changed."""
        newest = Window(Max("revision"), partition_by=[F("assessment"), F("question_id")])
        return self.annotate(newest=newest).filter(revision__gt=F("newest") - revisions)


class Answer(models.Model):
    """One answer to one question. The highest `revision` counts; the earlier ones are its history, which the database
    refuses to change or delete.

    The unique revision is also the guard against two people who save at the same moment: the second one writes a
    revision that is already taken. `evidence` is a list of `evidence.Evidence`; `measurement` is a
    `common.measurements.Measurement` when a job's report gave the answer, null when a person did.
    """

    assessment = models.ForeignKey(Assessment, on_delete=models.PROTECT, related_name="answers")
    question_id = models.CharField(max_length=80)
    revision = models.PositiveIntegerField()
    value = models.TextField(max_length=2000)
    comment = models.TextField(max_length=2000, blank=True)
    evidence = models.JSONField(default=list)
    measurement = models.JSONField(null=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    answered_at = models.DateTimeField(auto_now_add=True)

    objects = AnswerQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["assessment", "question_id", "revision"], name="answer_revision_once"),
        ]

    def __str__(self) -> str:
        return f"{self.question_id} = {self.value}"

    @property
    def pieces(self) -> tuple[Evidence, ...]:
        return read_evidence(self.evidence)

    @property
    def measured(self) -> Measurement | None:
        return Measurement.model_validate(self.measurement) if self.measurement else None


class AssignmentQuerySet(models.QuerySet["Assignment"]):
    def waiting(self) -> Self:
        """What waits for somebody's answer, in use cases in which they still may answer."""
        member = Membership.objects.filter(
            use_case=OuterRef("assessment__use_case"), user=OuterRef("assignee"), role__in=WRITING_ROLES
        )
        return self.filter(Exists(member), assignee__is_active=True, ended_at=None, assessment__locked_at=None)

    def open_for(self, user: User) -> Self:
        """What waits for the user's answer; what is due first comes first."""
        return self.waiting().filter(assignee=user).order_by(F("due_on").asc(nulls_last=True), "id")


class Assignment(models.Model):
    """A question given to a person, until it is answered, taken back or given to somebody else."""

    assessment = models.ForeignKey(Assessment, on_delete=models.PROTECT, related_name="assignments")
    question_id = models.CharField(max_length=80)
    assignee = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    due_on = models.DateField(null=True)
    assigned_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    assigned_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True)

    objects = AssignmentQuerySet.as_manager()

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["assignee", "ended_at"], name="assignment_open")]
        constraints = [
            models.UniqueConstraint(
                fields=["assessment", "question_id"],
                condition=models.Q(ended_at__isnull=True),
                name="assignment_one_open",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.question_id} for {self.assignee}"

    @property
    def is_overdue(self) -> bool:
        return self.ended_at is None and self.due_on is not None and self.due_on < timezone.localdate()


class Remark(models.Model):
    """A message in the discussion of a question. Appended, never edited."""

    assessment = models.ForeignKey(Assessment, on_delete=models.PROTECT, related_name="remarks")
    question_id = models.CharField(max_length=80)
    text = models.TextField(max_length=4000)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    made_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        indexes = [models.Index(fields=["assessment", "question_id"], name="remark_question")]

    def __str__(self) -> str:
        return f"{self.author} on {self.question_id}"
