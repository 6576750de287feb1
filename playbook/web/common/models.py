"""The audit log: one row for each write, appended by `record`, never edited.

The rows form a hash chain (`chain`), the database refuses to change them (`guards`), and `manage.py verify_audit`
names every row that was altered, removed or moved all the same.
"""

from typing import Any

import rfc8785
from django.conf import settings
from django.db import models, transaction
from django.utils import timezone

from playbook.web.accounts.models import User
from playbook.web.common.chain import GENESIS, entry_hash, moment_text
from playbook.web.common.fields import CanonicalJSONField


class AuditEntry(models.Model):
    """Who did what to which object. `actor` is null for a worker or the system; `detail` says which.

    `number` counts from 1 without a gap; `hash` covers all the other columns and `previous_hash`.
    """

    number = models.PositiveBigIntegerField(unique=True)
    at = models.DateTimeField(default=timezone.now)
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    action = models.CharField(max_length=60)
    subject = models.CharField(max_length=60)
    subject_id = models.BigIntegerField()
    detail = CanonicalJSONField(default=dict)
    previous_hash = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["subject", "subject_id", "-id"], name="audit_subject")]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.action} {self.subject} {self.subject_id}"


class AuditHead(models.Model):
    """One row: number and hash of the newest entry. Whoever appends locks it, so that appends queue; and it tells
    when the newest entries were removed, which the chain alone cannot."""

    number = models.PositiveBigIntegerField(default=0)
    hash = models.CharField(max_length=64, default=GENESIS)

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="audit_one_head")]

    def __str__(self) -> str:
        return f"{self.number}:{self.hash}"


class ReminderLetter(models.Model):
    """A person was sent the reminders of a day (`reminders`)."""

    person = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="+")
    day = models.DateField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["person", "day"], name="reminder_letter_once")]

    def __str__(self) -> str:
        return f"{self.person}, {self.day}"


def record(action: str, subject: models.Model, *, actor: User | None, **detail: Any) -> AuditEntry:
    """Append one audit row about `subject`. Call it inside the transaction of the write that it records, at its end:
    from here to the commit no other row can be appended.

    `action` is a past participle phrase ("answered", "signed"); `detail` holds JSON values.
    """
    with transaction.atomic(savepoint=False):
        head = AuditHead.objects.select_for_update().get()
        entry = AuditEntry(
            number=head.number + 1,
            actor=actor,
            action=action,
            subject=subject._meta.label_lower,
            subject_id=subject.pk,
            detail=detail,
            previous_hash=head.hash,
        )
        entry.hash = entry_hash(
            number=entry.number,
            at=moment_text(entry.at),
            actor_id=actor.pk if actor else None,
            action=action,
            subject=entry.subject,
            subject_id=entry.subject_id,
            detail=rfc8785.dumps(detail).decode(),
            previous_hash=head.hash,
        )
        entry.save(force_insert=True)
        AuditHead.objects.filter(pk=head.pk).update(number=entry.number, hash=entry.hash)
    return entry
