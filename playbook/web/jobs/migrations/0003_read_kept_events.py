"""Read the events that are kept already into the rows that pages now ask for: curves, log lines, announcements.

Uses plain dictionaries, not the contracts: an event of today's files must not fail a migration of tomorrow.
"""

import json
from collections import defaultdict
from typing import Any

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

from playbook.web.jobs.levels import gather

BATCH = 2000
KINDS = ("configured", "preflight", "predicted")


def read_all(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    Attempt = apps.get_model("jobs", "Attempt")
    for attempt in Attempt.objects.order_by("pk").iterator():
        _read_log(apps, attempt)
        _read_curves(apps, attempt)


def _read_log(apps: Apps, attempt: Any) -> None:
    EventChunk, LogEntry = apps.get_model("jobs", "EventChunk"), apps.get_model("jobs", "LogEntry")
    Announcement = apps.get_model("jobs", "Announcement")
    entries, announced = [], {}
    chunks = EventChunk.objects.filter(attempt=attempt).order_by("offset").values_list("data", flat=True)
    for data in chunks.iterator(chunk_size=20):
        for line in bytes(data).splitlines():
            event = json.loads(line)
            if event["kind"] in KINDS:
                announced[event["kind"]] = line.decode()
            elif found := _line(event):
                level, text = found
                text = text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
                entries.append(LogEntry(attempt=attempt, at=event["at"], level=level, text=text))
    LogEntry.objects.bulk_create(entries, batch_size=BATCH)
    Announcement.objects.bulk_create(
        Announcement(attempt=attempt, kind=kind, data=data) for kind, data in announced.items()
    )


def _line(event: dict[str, Any]) -> tuple[str, str] | None:
    match event["kind"]:
        case "log":
            return event.get("level", "info"), event["message"]
        case "stage_started":
            return "info", f"Stage {event['stage']} started."
        case "stage_finished":
            return "info", f"Stage {event['stage']} finished after {event['seconds']:.1f} s."
        case "checkpoint_saved":
            return "info", f"Checkpoint {event['name']} saved."
        case "ended":
            return "info" if event["reason"] == "completed" else "error", event["message"]
    return None


def _read_curves(apps: Apps, attempt: Any) -> None:
    MetricPoint, Curve = apps.get_model("jobs", "MetricPoint"), apps.get_model("jobs", "Curve")
    CurveBucket = apps.get_model("jobs", "CurveBucket")
    points = defaultdict(list)
    rows = MetricPoint.objects.filter(attempt=attempt).order_by("step").values_list("name", "step", "value")
    for name, step, value in rows.iterator():
        points[name].append((step, value))
    # When each point came in was not recorded: the attempt's own times are the nearest that is known.
    last_at = attempt.ended_at or attempt.progress_at or attempt.claimed_at
    for name, found in points.items():
        curve = Curve.objects.create(
            attempt=attempt,
            name=name,
            points=len(found),
            first_step=found[0][0],
            last_step=found[-1][0],
            last_value=found[-1][1],
            first_at=attempt.claimed_at,
            last_at=last_at,
        )
        CurveBucket.objects.bulk_create(
            (
                CurveBucket(
                    curve=curve,
                    level=level,
                    bucket=number,
                    low_step=bucket.lowest[0],
                    low_value=bucket.lowest[1],
                    high_step=bucket.highest[0],
                    high_value=bucket.highest[1],
                )
                for (level, number), bucket in gather(found).items()
            ),
            batch_size=BATCH,
        )


class Migration(migrations.Migration):
    dependencies = [("jobs", "0002_records")]
    operations = [migrations.RunPython(read_all, migrations.RunPython.noop)]
