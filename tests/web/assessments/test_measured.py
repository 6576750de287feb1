"""A question answered by a measurement: what it answers, what it shows, and when it goes stale."""

import json
from pathlib import Path

import pytest
from django.test import Client

from playbook.contracts.dataset import Split
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import InvalidAnswer, answer_by_measurement
from playbook.web.assessments.models import Answer, Assessment
from playbook.web.common import blobs
from playbook.web.common.measurements import measurements_of
from playbook.web.datasets.actions import Card, add_version, create_dataset
from playbook.web.datasets.reading import read_three_files
from playbook.web.jobs.models import Artifact, Job
from playbook.web.usecases.models import UseCase
from tests.web.assessments.conftest import say
from tests.web.assessments.filled import measured_by
from tests.web.datasets.conftest import CARD, jsonl
from tests.web.jobs.ended import report_with, succeeded_job
from tests.web.jobs.factories import split_bytes


@pytest.fixture
def ready(kinds: Assessment, alice: User) -> Assessment:
    """`kinds` with everything answered up to the measured question."""
    say(kinds, alice, goal="x", often="daily", rows="120")
    return kinds


def job_with(use_case: UseCase, author: User, *, right: int, of: int = 40) -> Job:
    return succeeded_job(use_case, author, base=[True] * right + [False] * (of - right), tuned=[True] * of)


def replace_report(job: Job, *, right: int) -> None:
    """What a second attempt of the job would leave."""
    report = report_with(job.run_spec, base=[True] * right + [False] * (40 - right), tuned=[True] * 40)
    blob = blobs.store([report.model_dump_json().encode()])
    Artifact.objects.filter(job=job, name="report.json").update(sha256=blob.sha256, size_bytes=blob.size_bytes)


def question_page(assessment: Assessment) -> str:
    return f"/decide/assessments/{assessment.pk}/questions/fits/"


@pytest.mark.parametrize(
    ("right", "answer", "outcome"),
    [(39, "yes", "Prompt"), (10, "no", "Tune"), (33, "unknown", "Tune")],
)
def test_the_interval_of_a_job_answers_the_question(
    client: Client, ready: Assessment, use_case: UseCase, alice: User, right: int, answer: str, outcome: str
) -> None:
    client.force_login(alice)
    job = job_with(use_case, alice, right=right)
    page = client.get(question_page(ready)).content.decode()
    assert f"answers <strong>{answer}</strong>" in page
    response = client.post(f"{question_page(ready)}measure/", {"job": str(job.pk)})
    assert response["Location"] == question_page(ready)
    kept = ready.answers.get(question_id="fits")
    assert kept.value == answer
    assert kept.measured == measurements_of(use_case.pk)[0][0]
    page = client.get(ready.get_absolute_url()).content.decode()
    assert f"<h2>{outcome}</h2>" in page
    measured = kept.measured
    assert measured is not None
    assert f"{measured.value:.2f} ({measured.low:.2f}–{measured.high:.2f}) on 40 rows" in page
    assert f'<code title="{measured.test_set_sha256}">{measured.test_set_sha256[:12]}</code>' in page


def test_what_would_flip_it_names_the_threshold(
    client: Client, ready: Assessment, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    measured_by(job_with(use_case, alice, right=10), ready, alice)
    page = " ".join(client.get(ready.get_absolute_url()).content.decode().split())
    assert "If exact match of zero-shot reached 0.80" in page
    assert "the advice would be: <strong>Prompt</strong>" in page


def test_a_job_of_another_use_case_or_arm_answers_nothing(
    client: Client, ready: Assessment, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    job = job_with(use_case, alice, right=39)
    for chosen in ("", "999", "x", f"{job.pk + 1}"):
        page = client.post(f"{question_page(ready)}measure/", {"job": chosen}, follow=True).content.decode()
        assert "Choose a job of this use case whose report measured it." in page
    tuned = next(one for one in measurements_of(use_case.pk)[0] if one.arm == "lora")
    with pytest.raises(InvalidAnswer, match=f"Job {job.pk} measured exact_match of lora, not exact match of zero-shot"):
        answer_by_measurement(ready, question_id="fits", measurement=tuned, author=alice)
    assert not ready.answers.filter(question_id="fits").exists()


def test_it_goes_stale_when_the_report_is_replaced_and_fresh_when_measured_again(
    client: Client, ready: Assessment, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    job = job_with(use_case, alice, right=39)
    measured_by(job, ready, alice)
    assert "Stale" not in client.get(ready.get_absolute_url()).content.decode()
    replace_report(job, right=12)
    page = client.get(ready.get_absolute_url()).content.decode()
    assert '<span class="badge warn">Stale</span>' in page
    assert f"The report of job {job.pk} was replaced, so number and interval may differ." in page
    assert "It rests on a measurement that does not stand any more" in page
    client.post(f"{question_page(ready)}measure/", {"job": str(job.pk)})
    assert "Stale" not in client.get(ready.get_absolute_url()).content.decode()
    assert list(ready.answers.filter(question_id="fits").values_list("value", flat=True)) == ["yes", "no"]


def test_it_goes_stale_when_the_report_is_gone(
    client: Client, ready: Assessment, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    job = job_with(use_case, alice, right=39)
    measured_by(job, ready, alice)
    Artifact.objects.filter(job=job).delete()
    assert f"The report of job {job.pk} is gone." in client.get(ready.get_absolute_url()).content.decode()


def test_it_goes_stale_when_the_dataset_gets_another_test_set(
    client: Client, ready: Assessment, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    measured_by(job_with(use_case, alice, right=39), ready, alice)
    splits = {split: split_bytes(split) for split in Split}
    dataset = create_dataset(use_case=use_case, card=Card(**CARD), splits=read_three_files(splits), created_by=alice)
    assert "Stale" not in client.get(ready.get_absolute_url()).content.decode()
    new = {**splits, Split.TEST: jsonl("another question")}
    add_version(dataset, splits=read_three_files(new), created_by=alice)
    page = client.get(ready.get_absolute_url()).content.decode()
    assert f"“{dataset.name}” version 2 has another test set" in page
    add_version(dataset, splits=read_three_files(splits), created_by=alice)
    assert "Stale" not in client.get(ready.get_absolute_url()).content.decode()


def test_a_report_that_was_tampered_with_answers_nothing(
    client: Client, ready: Assessment, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    job = job_with(use_case, alice, right=10)
    path = blobs.path_of(Artifact.objects.get(job=job, name="report.json").sha256)
    Path(path).write_bytes(Path(path).read_bytes().replace(b'"value":0.25', b'"value":0.99'))
    page = client.get(question_page(ready)).content.decode()
    assert "The report was altered on disk" in page
    client.post(f"{question_page(ready)}measure/", {"job": str(job.pk)})
    assert not ready.answers.filter(question_id="fits").exists()


def test_an_answer_by_hand_ends_the_measurement_and_a_comment_does_not(
    client: Client, ready: Assessment, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    measured_by(job_with(use_case, alice, right=33), ready, alice)
    address = f"/decide/assessments/{ready.pk}/answers/fits/"
    client.post(address, {"value": "unknown", "comment": "Too few rows.", "seen_revision": 1})
    newest = Answer.objects.latest("pk")
    assert (newest.revision, newest.comment, newest.measured is not None) == (2, "Too few rows.", True)


def test_a_job_is_evidence_with_its_report_and_arm(
    client: Client, ready: Assessment, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    job = job_with(use_case, alice, right=39)
    page = f"/decide/assessments/{ready.pk}/questions/goal/"
    client.post(f"{page}evidence/", {"kind": "report", "report": f"{job.pk}:lora:exact_match"})
    (piece,) = Answer.objects.latest("pk").evidence
    report = Artifact.objects.get(job=job, name="report.json").sha256
    assert (piece["kind"], piece["measurement"]["arm"], piece["measurement"]["report_sha256"]) == (
        "report",
        "lora",
        report,
    )
    assert json.dumps(piece)
    shown = client.get(page).content.decode()
    assert f"report {report[:12]}, test set" in shown
    assert "was replaced" not in shown
    replace_report(job, right=12)
    assert f"The report of job {job.pk} was replaced" in client.get(page).content.decode()
