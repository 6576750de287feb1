"""Entries from before the chain are chained in the order in which they were appended."""

import rfc8785
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import StateApps

from playbook.web.common.chain import GENESIS, entry_hash, moment_text

BATCH = 1000


def chain_all(apps: StateApps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    AuditEntry = apps.get_model("common", "AuditEntry")
    number, last_hash, batch = 0, GENESIS, []
    for entry in AuditEntry.objects.order_by("id").iterator(chunk_size=BATCH):
        number += 1
        entry.number, entry.previous_hash = number, last_hash
        entry.hash = last_hash = entry_hash(
            number=number,
            at=moment_text(entry.at),
            actor_id=entry.actor_id,
            action=entry.action,
            subject=entry.subject,
            subject_id=entry.subject_id,
            detail=rfc8785.dumps(entry.detail).decode(),
            previous_hash=entry.previous_hash,
        )
        batch.append(entry)
        if len(batch) == BATCH:
            AuditEntry.objects.bulk_update(batch, FIELDS, batch_size=BATCH)
            batch = []
    AuditEntry.objects.bulk_update(batch, FIELDS, batch_size=BATCH)
    apps.get_model("common", "AuditHead").objects.create(id=1, number=number, hash=last_hash)


FIELDS = ["number", "previous_hash", "hash", "detail"]


class Migration(migrations.Migration):
    dependencies = [("common", "0002_audit_chain")]

    operations = [migrations.RunPython(chain_all, migrations.RunPython.noop)]
