"""Prompts of a use case and their versions. Versions are appended, never edited.

Above datasets, whose rows become worked examples; below jobs. A job holds the whole prompt in its run spec, where the
digest of `PromptSettings` names the version: nothing here has to be kept in step.
"""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef
from django.urls import reverse

from playbook.contracts.prompting import PromptSettings
from playbook.web.accounts.models import User
from playbook.web.usecases.models import Membership, UseCase


class PromptQuerySet(models.QuerySet["Prompt"]):
    def for_member(self, user: User) -> Self:
        """Prompts of the use cases that the user belongs to."""
        return self.filter(Exists(Membership.objects.filter(use_case=OuterRef("use_case_id"), user=user)))


class Prompt(models.Model):
    """A name under which versions of one prompt are collected."""

    use_case = models.ForeignKey(UseCase, on_delete=models.PROTECT, related_name="prompts")
    name = models.CharField(max_length=120)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = PromptQuerySet.as_manager()

    class Meta:
        ordering = ["name", "id"]
        constraints = [models.UniqueConstraint(fields=["use_case", "name"], name="prompt_name_once_per_use_case")]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("prompts:workbench", args=[self.pk])

    @property
    def latest(self) -> "PromptVersion | None":
        """The newest version. Uses prefetched `versions` where there are any."""
        return max(self.versions.all(), key=lambda version: version.number, default=None)


class PromptVersion(models.Model):
    """What a model is asked with: a dumped `PromptSettings`, named by its digest. `number` counts from 1."""

    prompt = models.ForeignKey(Prompt, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    content = models.JSONField()
    digest = models.CharField(max_length=64)
    note = models.CharField(max_length=500, blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["prompt", "number"], name="prompt_version_number_once"),
            # Going back to an earlier wording is going back to that version, with what was measured of it.
            models.UniqueConstraint(fields=["prompt", "digest"], name="prompt_version_content_once"),
        ]

    def __str__(self) -> str:
        return f"{self.prompt} v{self.number}"

    def get_absolute_url(self) -> str:
        return reverse("prompts:version", args=[self.prompt_id, self.number])

    @property
    def prompt_settings(self) -> PromptSettings:
        return PromptSettings.model_validate(self.content)
