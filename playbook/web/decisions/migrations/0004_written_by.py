from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("decisions", "0003_promises_and_capacities")]

    operations = [
        migrations.AddField(model_name="decision", name="written_by", field=models.JSONField(default=list)),
    ]
