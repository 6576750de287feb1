"""The audit log: one row for each write, appended by `record`, never edited."""

from typing import Any

from django.conf import settings
from django.db import models

from playbook.web.accounts.models import User


class AuditEntry(models.Model):
    """Who did what to which object. `actor` is null for a worker or the system; `detail` says which."""

    at = models.DateTimeField(auto_now_add=True)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    action = models.CharField(max_length=60)
    subject = models.CharField(max_length=60)
    subject_id = models.BigIntegerField()
    detail = models.JSONField(default=dict)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["subject", "subject_id", "-id"], name="audit_subject")]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.action} {self.subject} {self.subject_id}"


def record(action: str, subject: models.Model, *, actor: User | None, **detail: Any) -> AuditEntry:
    """Append one audit row about `subject`. Call it inside the transaction of the write that it records.

    `action` is a past participle phrase ("answered", "signed"); `detail` holds JSON values.
    """
    return AuditEntry.objects.create(
        action=action,
        subject=subject._meta.label_lower,
        subject_id=subject.pk,
        actor=actor,
        detail=detail,
    )
