"""Searches that found nothing: what readers miss, as a list of things to write. Nobody's name stands in it."""

from django.db import models
from django.utils import timezone


class MissedSearch(models.Model):
    """A query in small letters, how often it found nothing, and when last."""

    query = models.CharField(max_length=200, unique=True)
    count = models.PositiveIntegerField(default=1)
    last_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-count", "-last_at", "pk"]
        verbose_name_plural = "missed searches"

    def __str__(self) -> str:
        return self.query
