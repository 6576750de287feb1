"""The counter of looks at a locked test set: what counts, who is named, and where it is shown."""

import importlib
from dataclasses import replace

import pytest
from django.apps import apps
from django.db import connection
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from playbook.contracts.dataset import Split
from playbook.contracts.run_spec import Arm
from playbook.scoring.reuse import Reuse
from playbook.web.accounts.models import User
from playbook.web.datasets.actions import Card, create_dataset
from playbook.web.datasets.models import Dataset
from playbook.web.datasets.reading import read_three_files
from playbook.web.jobs import measurements
from playbook.web.jobs.models import Job, Rating
from playbook.web.jobs.test_sets import looks_at
from playbook.web.usecases.actions import create_use_case
from playbook.web.usecases.models import UseCase
from tests.web.datasets.conftest import CARD, jsonl
from tests.web.jobs.ended import claimed_job, finished_with, succeeded_job
from tests.web.jobs.factories import make_job
from tests.web.jobs.measured import SETTINGS, five_arm_job, measured_arm, measured_report, measured_spec


def hash_of(job: Job) -> str:
    return job.run_spec.input(Split.TEST).sha256


def test_a_job_that_measured_is_a_look_and_one_that_did_not_is_none(use_case: UseCase, alice: User) -> None:
    first, second = succeeded_job(use_case, alice), succeeded_job(use_case, alice)
    make_job(use_case, alice)
    claimed_job(use_case, alice)
    found = looks_at(hash_of(first), rows=1, user=alice)
    assert (found.reuse.looks, [job.pk for job in found.jobs], found.unseen) == (2, [second.pk, first.pk], 0)


def test_looks_of_other_teams_count_and_stay_unnamed(use_case: UseCase, alice: User, mallory: User) -> None:
    own = succeeded_job(use_case, alice)
    foreign = succeeded_job(create_use_case(name="Other", description="", created_by=mallory, members={}), mallory)
    assert hash_of(own) == hash_of(foreign)
    found = looks_at(hash_of(own), rows=1, user=alice)
    assert (found.reuse.looks, [job.pk for job in found.jobs], found.unseen) == (2, [own.pk], 1)


def test_raters_are_counted_once_each(use_case: UseCase, alice: User, bob: User) -> None:
    job = succeeded_job(use_case, alice)
    for rater, row in ((alice, 0), (alice, 1), (bob, 0)):
        Rating.objects.create(
            job=job,
            rater=rater,
            report_sha256="0" * 64,
            first_arm="zero_shot",
            second_arm="lora",
            row_index=row,
            first_on_left=True,
            preferred="equal",
        )
    assert looks_at(hash_of(job), rows=1, user=alice).raters == 2


@pytest.mark.parametrize(
    ("looks", "said"),
    [
        (1, "Each job that measures on these locked rows counts"),
        (5, "keep these rows for the last word"),
        (14, "Bring fresh test rows before the next decision"),
    ],
)
def test_the_report_warns_as_the_looks_grow(
    client: Client, use_case: UseCase, alice: User, looks: int, said: str
) -> None:
    jobs = [succeeded_job(use_case, alice) for _ in range(looks)]
    client.force_login(alice)
    page = client.get(f"/jobs/{jobs[0].pk}/report/").content.decode()
    assert f'data-looks="{looks}"' in page
    assert said in page
    assert "https://doi.org/10.1126/science.aaa9375" in page
    assert f"Job {jobs[-1].pk}: LoRA on tickets" in page


def test_the_optimism_of_many_looks_is_told_in_points(use_case: UseCase, alice: User) -> None:
    succeeded_job(use_case, alice)
    sha256 = Job.objects.get().test_set_sha256
    found = looks_at(sha256, rows=40, user=alice)
    worn = replace(found, reuse=Reuse(looks=5, rows=8_000))
    assert (found.optimism, worn.optimism) == ("0 points", "1 point")


@pytest.fixture
def dataset(use_case: UseCase, alice: User) -> Dataset:
    splits = read_three_files({split: jsonl(f"{split} row") for split in Split})
    return create_dataset(use_case=use_case, card=Card(**CARD), splits=splits, created_by=alice)


def test_the_page_of_the_dataset_and_the_launch_form_show_the_counter(
    client: Client, use_case: UseCase, alice: User, dataset: Dataset
) -> None:
    version = dataset.latest
    assert version is not None
    job = succeeded_job(use_case, alice)
    Job.objects.filter(pk=job.pk).update(test_set_sha256=version.test_set_sha256)
    client.force_login(alice)
    assert "Test set looked at 1 time<" in client.get(dataset.get_absolute_url()).content.decode()
    query = {"use_case": use_case.slug, "dataset": str(dataset.pk), "title": "x", "recipe": "support-tickets-lora"}
    page = client.get("/jobs/new/", query).content.decode()
    assert "Test set looked at 1 time<" in page
    assert "This job will be the 2nd look." in page


def test_nobody_has_looked_yet(client: Client, alice: User, dataset: Dataset) -> None:
    client.force_login(alice)
    assert "Nobody has looked at this test set yet" in client.get(dataset.get_absolute_url()).content.decode()


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_counter_asks_three_queries(
    use_case: UseCase, alice: User, django_assert_num_queries: DjangoAssertNumQueries, jobs: int
) -> None:
    found = [succeeded_job(use_case, alice) for _ in range(jobs)]
    with django_assert_num_queries(3):
        [str(job.created_by) for job in looks_at(hash_of(found[0]), rows=1, user=alice).jobs]


def test_jobs_of_an_older_site_get_their_test_set_named(use_case: UseCase, alice: User) -> None:
    job = succeeded_job(use_case, alice)
    Job.objects.update(test_set_sha256="")
    migration = importlib.import_module("playbook.web.jobs.migrations.0005_name_test_sets")
    migration.name_test_sets(apps, connection.schema_editor())
    assert looks_at(hash_of(job), rows=1, user=alice).reuse.looks == 1


def test_a_job_on_validation_rows_is_no_look_and_stands_beside_no_test_result(
    client: Client, use_case: UseCase, alice: User
) -> None:
    first = five_arm_job(use_case, alice)
    settings = SETTINGS.model_copy(update={"arms": (Arm.FEW_SHOT,), "split": Split.VALIDATION})
    spec = measured_spec(settings=settings)
    report = measured_report(spec, (measured_arm(Arm.FEW_SHOT),))
    tried = finished_with(claimed_job(use_case, alice, spec=spec), report)
    assert tried.test_set_sha256 == ""
    assert looks_at(hash_of(first), rows=60, user=alice).reuse.looks == 1
    assert {one.job for one in measurements.of_use_case(use_case.pk)[0]} == {first.pk}
    client.force_login(alice)
    page = client.get(f"/jobs/{tried.pk}/report/").content.decode()
    assert "The locked test set was left unread" in page
    assert "data-looks" not in page
    page = client.get(f"/jobs/compare/?jobs={first.pk},{tried.pk}").content.decode()
    assert f"Job {tried.pk} was measured on another test set than Job {first.pk}" in page
    assert client.get(f"/jobs/{tried.pk}/report/print/").status_code == 200
