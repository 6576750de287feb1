"""Fill in the test set that each job measures on from its spec."""

from typing import Any

from django.db import migrations


def name_test_sets(apps: Any, _schema_editor: Any) -> None:
    jobs = apps.get_model("jobs", "Job").objects
    for pk, spec in jobs.values_list("pk", "spec").iterator(chunk_size=100):
        if spec["evaluation"].get("split", "test") != "test":
            continue
        test = next(file["sha256"] for file in spec["inputs"] if file["split"] == "test")
        jobs.filter(pk=pk).update(test_set_sha256=test)


class Migration(migrations.Migration):
    dependencies = [("jobs", "0004_test_sets_and_ratings")]
    operations = [migrations.RunPython(name_test_sets, migrations.RunPython.noop)]
