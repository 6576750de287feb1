from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("common", "0003_chain_earlier_entries")]

    operations = [migrations.AlterField("auditentry", "number", models.PositiveBigIntegerField(unique=True))]
