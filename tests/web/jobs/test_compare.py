"""Jobs beside each other: curves, differences, scores; only those that one may see."""

import doctest

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.jobs import compare
from playbook.web.jobs.models import Job
from playbook.web.usecases.actions import create_use_case
from playbook.web.usecases.models import UseCase
from tests.web.jobs.ended import succeeded_job
from tests.web.jobs.factories import make_job


def test_the_examples_in_the_module_hold() -> None:
    assert doctest.testmod(compare).failed == 0


def test_curves_settings_and_scores_stand_beside_each_other(client: Client, use_case: UseCase, alice: User) -> None:
    first, second = (succeeded_job(use_case, alice) for _ in range(2))
    Job.objects.filter(pk=second.pk).update(spec={**second.spec, "seed": 9})
    client.force_login(alice)
    page = client.get(f"/jobs/compare/?jobs={first.pk},{second.pk}").content.decode()
    assert f"Job {first.pk}: from 1.25 at 1 to 0.5 at 2. Job {second.pk}: from 1.25" in page
    assert '<mark class="changed">9<span class="visually-hidden"> (differs)</span></mark>' in page
    assert page.count('<mark class="changed">') == 1
    assert f"{second.pk} · LoRA: 95 % (83–99)" in page
    assert "different test sets" not in page


def test_other_test_sets_are_said(client: Client, use_case: UseCase, alice: User) -> None:
    first, second = (make_job(use_case, alice) for _ in range(2))
    inputs = [{**file, "sha256": "0" * 64} if file["split"] == "test" else file for file in second.spec["inputs"]]
    Job.objects.filter(pk=second.pk).update(spec={**second.spec, "inputs": inputs})
    client.force_login(alice)
    page = client.get(f"/jobs/compare/?jobs={first.pk}&jobs={second.pk}").content.decode()
    assert "measured on different test sets" in page
    assert "None of these jobs has a curve yet." in page


def test_a_strangers_job_is_left_out_and_counted(client: Client, use_case: UseCase, alice: User, mallory: User) -> None:
    own = make_job(use_case, alice)
    other = create_use_case(name="Other", description="", created_by=mallory, members={})
    foreign = make_job(other, mallory)
    Job.objects.filter(pk=foreign.pk).update(title="Secret plan")
    client.force_login(alice)
    page = client.get(f"/jobs/compare/?jobs={own.pk},{foreign.pk},999").content.decode()
    assert "2 of the jobs in the address are not there, or not yours to see." in page
    assert "Secret plan" not in page


@pytest.mark.parametrize("query", ["", "?jobs=", "?jobs=x,,-1", "?jobs=" + "9" * 30, "?jobs=" + ",".join("123456789")])
def test_any_address_is_answered(client: Client, alice: User, query: str) -> None:
    client.force_login(alice)
    page = client.get(f"/jobs/compare/{query}")
    assert page.status_code == 200
    assert "No job to compare yet" in page.content.decode()


def test_an_altered_report_is_named(client: Client, use_case: UseCase, alice: User) -> None:
    job = succeeded_job(use_case, alice)
    blobs.path_of(job.artifacts.get(name="report.json").sha256).write_text("{}")
    client.force_login(alice)
    assert f"Job {job.pk}: The report was altered" in client.get(f"/jobs/compare/?jobs={job.pk}").content.decode()


@pytest.mark.parametrize("jobs", [1, 3])
def test_comparing_asks_the_same_queries_for_one_and_three_jobs(
    client: Client, use_case: UseCase, alice: User, django_assert_num_queries: DjangoAssertNumQueries, jobs: int
) -> None:
    chosen = [succeeded_job(use_case, alice) for _ in range(jobs)]
    client.force_login(alice)
    with django_assert_num_queries(7):
        client.get("/jobs/compare/", {"jobs": ",".join(str(job.pk) for job in chosen)})
