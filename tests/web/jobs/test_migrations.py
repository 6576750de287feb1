"""What an older site kept as event bytes is read into the rows that pages ask for now."""

import importlib

import pytest
from django.apps import apps
from django.db import connection

from playbook.web.accounts.models import User
from playbook.web.jobs.models import Announcement, Curve, CurveBucket, LogEntry
from playbook.web.usecases.models import UseCase
from tests.web.jobs.announced import configured, metric
from tests.web.jobs.ended import claimed_job, send_events

MODELS = (LogEntry, Announcement, CurveBucket, Curve)


def rows() -> list[list[tuple[object, ...]]]:
    return [
        list(LogEntry.objects.values_list("attempt", "at", "level", "text")),
        list(Announcement.objects.values_list("attempt", "kind")),
        list(Curve.objects.values_list("attempt", "name", "points", "first_step", "last_step", "last_value")),
        list(
            CurveBucket.objects.order_by("curve__name", "level", "bucket").values_list("level", "bucket", "low_value")
        ),
    ]


@pytest.mark.django_db
def test_kept_events_are_read_as_if_they_came_today(use_case: UseCase, alice: User) -> None:
    attempt = claimed_job(use_case, alice)
    send_events(
        attempt,
        {"kind": "stage_started", "stage": "training"},
        configured(),
        *(metric(step, train_loss=1 / step, grad_norm=2.0) for step in range(1, 30)),
        {"kind": "log", "level": "warning", "message": "a \x00 byte"},
        {"kind": "checkpoint_saved", "step": 10, "name": "step-000010"},
        {"kind": "stage_finished", "stage": "training", "seconds": 1.25},
        {"kind": "ended", "reason": "diverged", "message": "NaN"},
    )
    today = rows()
    for model in MODELS:
        model.objects.all().delete()
    migration = importlib.import_module("playbook.web.jobs.migrations.0003_read_kept_events")
    migration.read_all(apps, connection.schema_editor())
    assert rows() == today
