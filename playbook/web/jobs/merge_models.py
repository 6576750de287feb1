"""Merges: which job makes the merged model of which run, and how it compared. Imported by `models`."""

from django.db import models


class Merge(models.Model):
    """A job that makes one model of a run's adapter and its base. `compared`: a `MergeCheck`, None until it is made."""

    job = models.OneToOneField("jobs.Job", on_delete=models.CASCADE, related_name="merge")
    source = models.ForeignKey("jobs.Job", on_delete=models.PROTECT, related_name="merges")
    compared = models.JSONField(null=True)

    class Meta:
        ordering = ["-pk"]

    def __str__(self) -> str:
        return f"merge of job {self.source_id}"
