"""A dataset says what makes an answer right, and every job that is launched on it is judged that way."""

import doctest
import json

import pytest
from django.test import Client

from playbook.contracts.dataset import Split
from playbook.contracts.metrics import Metric, MetricSettings
from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.common.models import AuditEntry
from playbook.web.datasets import metric_form
from playbook.web.datasets.actions import Card, choose_metric, create_dataset
from playbook.web.datasets.models import Dataset
from playbook.web.datasets.reading import read_three_files
from playbook.web.jobs.models import Job
from playbook.web.usecases.actions import add_member
from playbook.web.usecases.models import UseCase
from tests.web import decided
from tests.web.datasets.conftest import CARD

FORM = {"metric": "exact_match", "secondary_metrics": ["json_valid"], "ignore_case": "on"}


@pytest.fixture
def labelled(use_case: UseCase, alice: User) -> Dataset:
    """A dataset whose expected answers are JSON objects with a label."""

    def rows(split: Split) -> bytes:
        answer = json.dumps({"queue": "billing"})
        pairs = [
            ({"role": "user", "content": f"{split} {n}"}, {"role": "assistant", "content": answer}) for n in (1, 2)
        ]
        return b"".join(json.dumps({"messages": pair}).encode() + b"\n" for pair in pairs)

    contents = {split: rows(split) for split in Split}
    return create_dataset(use_case=use_case, card=Card(**CARD), splits=read_three_files(contents), created_by=alice)


@pytest.fixture
def launch_url(use_case: UseCase, alice: User, bob: User, charlie: User) -> str:
    decision = decided.accepted(use_case, author=alice, ml_lead=bob, product_owner=charlie)
    return f"/jobs/new/?decision={decision.number}"


def test_the_examples_in_the_module_hold() -> None:
    assert doctest.testmod(metric_form).failed == 0


def test_a_metric_is_chosen_shown_and_audited(client: Client, dataset: Dataset, alice: User) -> None:
    client.force_login(alice)
    assert (
        "Not chosen: a job takes the metric of its recipe." in client.get(f"/datasets/{dataset.pk}/").content.decode()
    )

    response = client.post(f"/datasets/{dataset.pk}/metric/", FORM)

    assert (response.status_code, response["Location"]) == (302, f"/datasets/{dataset.pk}/")
    dataset.refresh_from_db()
    assert dataset.metric_settings == MetricSettings(
        metric=Metric.EXACT_MATCH, secondary_metrics=(Metric.JSON_VALID,), ignore_case=True
    )
    assert "Exact match, case ignored" in client.get(f"/datasets/{dataset.pk}/").content.decode()
    assert AuditEntry.objects.filter(action="chose metric").count() == 1


def test_every_setting_of_a_metric_comes_through_the_form(client: Client, labelled: Dataset, alice: User) -> None:
    client.force_login(alice)
    schema = {"type": "object", "required": ["queue"]}
    form = {
        "metric": "label_accuracy",
        "secondary_metrics": ["json_schema", "field_f1", "rubric"],
        "ignore_punctuation": "on",
        "fields_that_count": "queue, ",
        "label_field": "queue",
        "labels": "billing, delivery",
        "pass_mark": "0.5",
        "json_schema": json.dumps(schema),
        "rules": '[{"name": "is short", "max_words": 20}]',
    }

    response = client.post(f"/datasets/{labelled.pk}/metric/", form)

    assert response.status_code == 302
    labelled.refresh_from_db()
    assert labelled.metric_settings == MetricSettings.model_validate(
        {
            "metric": "label_accuracy", "secondary_metrics": ["json_schema", "field_f1", "rubric"],
            "ignore_punctuation": True, "fields": ["queue"], "label_field": "queue", "labels": ["billing", "delivery"],
            "pass_mark": 0.5, "json_schema": schema, "rules": [{"name": "is short", "max_words": 20}],
        }
    )  # fmt: skip
    shown = client.get(f"/datasets/{labelled.pk}/metric/").content.decode()
    assert "is short" in shown
    assert 'value="billing, delivery"' in shown


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"metric": "guess"}, "guess is not one of the available choices"),
        ({"json_schema": "{"}, "Not JSON: Expecting property name"),
        ({"json_schema": "[]"}, "Write a JSON object here."),
        ({"metric": "json_schema"}, "needs a json_schema to check answers against"),
        ({"metric": "rubric"}, "the metric rubric needs at least one rule"),
        ({"metric": "rubric", "rules": '[{"name": "x", "must_match": "("}]'}, "Rule &#x27;x&#x27;"),
        ({"metric": "label_accuracy", "labels": "delivery"}, "has a label that is not in labels"),
        ({"metric": "field_f1"}, "is not JSON, so it has no fields"),
        ({"pass_mark": "2"}, "less than or equal to 1"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_the_reason(
    client: Client, dataset: Dataset, alice: User, change: dict[str, str], words: str
) -> None:
    client.force_login(alice)

    response = client.post(f"/datasets/{dataset.pk}/metric/", {**FORM, **change})

    assert response.status_code == 422
    assert words in response.content.decode()
    dataset.refresh_from_db()
    assert dataset.metric == {}


def test_viewers_and_samples_are_refused(
    client: Client, dataset: Dataset, use_case: UseCase, alice: User, mallory: User
) -> None:
    add_member(use_case, user=mallory, role=Role.VIEWER, actor=alice)
    client.force_login(mallory)

    assert client.post(f"/datasets/{dataset.pk}/metric/", FORM).status_code == 403
    dataset.refresh_from_db()
    assert dataset.metric == {}


def test_a_job_is_launched_with_the_metric_of_its_dataset(
    client: Client, labelled: Dataset, launch_url: str, alice: User
) -> None:
    chosen = MetricSettings(metric=Metric.FIELD_F1, fields=("queue",), pass_mark=0.7)
    choose_metric(labelled, chosen, actor=alice)
    client.force_login(alice)
    form = {"title": "By fields", "recipe": "support-tickets-lora", "dataset": str(labelled.pk)}

    response = client.post(launch_url, form)

    assert response.status_code == 302
    evaluation = Job.objects.get().run_spec.evaluation
    assert MetricSettings.model_validate(evaluation.model_dump(include=set(MetricSettings.model_fields))) == chosen


def test_the_launcher_may_choose_another_metric(
    client: Client, labelled: Dataset, launch_url: str, alice: User
) -> None:
    choose_metric(labelled, MetricSettings(metric=Metric.FIELD_F1), actor=alice)
    client.force_login(alice)
    form = {"title": "By hand", "recipe": "support-tickets-lora", "dataset": str(labelled.pk), "metric": "exact_match"}

    assert client.post(launch_url, form).status_code == 302

    assert Job.objects.get().run_spec.evaluation.metric is Metric.EXACT_MATCH


def test_a_job_that_was_launched_keeps_its_metric(
    client: Client, labelled: Dataset, launch_url: str, alice: User
) -> None:
    client.force_login(alice)
    form = {"title": "First", "recipe": "support-tickets-lora", "dataset": str(labelled.pk)}
    client.post(launch_url, form)

    choose_metric(labelled, MetricSettings(metric=Metric.FIELD_F1), actor=alice)

    assert Job.objects.get().run_spec.evaluation.metric is Metric.EXACT_MATCH
