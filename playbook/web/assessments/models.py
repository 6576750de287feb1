"""Assessments: one team's run through one version of a checklist. Answers are appended, never edited.

Above datasets, below decisions, which lock an assessment when they are accepted.
"""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef
from django.urls import reverse

from playbook.web.accounts.models import User
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


class Answer(models.Model):
    """One answer to one question. The highest `revision` counts; the earlier ones are its history.

    The unique revision is also the guard against two people who save at the same moment: the second one writes a
    revision that is already taken.
    """

    assessment = models.ForeignKey(Assessment, on_delete=models.PROTECT, related_name="answers")
    question_id = models.CharField(max_length=80)
    revision = models.PositiveIntegerField()
    value = models.CharField(max_length=200)
    comment = models.TextField(max_length=2000, blank=True)
    author = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    answered_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["assessment", "question_id", "revision"], name="answer_revision_once"),
        ]

    def __str__(self) -> str:
        return f"{self.question_id} = {self.value}"
