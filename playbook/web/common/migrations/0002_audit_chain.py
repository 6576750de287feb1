import django.utils.timezone
from django.db import migrations, models

import playbook.web.common.fields


class Migration(migrations.Migration):
    dependencies = [("common", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="AuditHead",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("number", models.PositiveBigIntegerField(default=0)),
                ("hash", models.CharField(default="0" * 64, max_length=64)),
            ],
            options={
                "constraints": [models.CheckConstraint(condition=models.Q(("id", 1)), name="audit_one_head")],
            },
        ),
        migrations.AlterField("auditentry", "at", models.DateTimeField(default=django.utils.timezone.now)),
        migrations.AlterField("auditentry", "detail", playbook.web.common.fields.CanonicalJSONField(default=dict)),
        migrations.AddField("auditentry", "number", models.PositiveBigIntegerField(null=True)),
        migrations.AddField(
            "auditentry", "previous_hash", models.CharField(default="", max_length=64), preserve_default=False
        ),
        migrations.AddField("auditentry", "hash", models.CharField(default="", max_length=64), preserve_default=False),
    ]
