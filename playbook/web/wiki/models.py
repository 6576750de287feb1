"""Flags: a reader says that an article is out of date. The articles themselves are files, never rows."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q


class FlagQuerySet(models.QuerySet["Flag"]):
    def open(self) -> Self:
        """Flags that nobody has resolved."""
        return self.filter(resolved_at__isnull=True)


class Flag(models.Model):
    """One reader's remark on one state of an article. Its words are never edited; resolving it is said once.

    `digest` is the SHA-256 of the file as the reader saw it, so that the owner knows whether it has changed since.
    """

    article = models.CharField(max_length=250)
    digest = models.CharField(max_length=64)
    comment = models.TextField(max_length=2000)
    by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    at = models.DateTimeField(auto_now_add=True)
    resolved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    resolved_at = models.DateTimeField(null=True)

    objects = FlagQuerySet.as_manager()

    class Meta:
        ordering = ["-pk"]
        indexes = [models.Index(fields=["article"], condition=Q(resolved_at__isnull=True), name="flag_open_article")]
        constraints = [
            models.CheckConstraint(
                condition=Q(resolved_at__isnull=True, resolved_by__isnull=True)
                | Q(resolved_at__isnull=False, resolved_by__isnull=False),
                name="flag_resolved_by_somebody",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.article}: {self.comment[:80]}"
