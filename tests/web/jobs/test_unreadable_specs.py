"""Jobs whose settings are another version's, or were altered: their pages say so, and they are in nobody's way."""

from typing import Any

import pytest
from django.test import Client

from playbook.contracts.states import EndReason, JobState
from playbook.web.accounts.models import User
from playbook.web.jobs import actions
from playbook.web.jobs.estimate import estimate
from playbook.web.jobs.models import Job
from playbook.web.usecases.models import UseCase
from tests.web.jobs.factories import make_capabilities, make_job, make_spec


def altered(job: Job, **training: object) -> Job:
    job.spec["training"] |= training
    job.save(update_fields=["spec"])
    return job


@pytest.fixture
def job(use_case: UseCase, alice: User) -> Job:
    """A job with a setting that this version does not know, and one beyond its range."""
    return altered(make_job(use_case, alice), galore_rank=8, max_steps=0)


REASONS = ("training.max_steps is 0; it must be", "training.galore_rank is no setting of this version; remove it.")


@pytest.mark.parametrize("address", ["/jobs/{}/", "/jobs/new/?clone={}"])
def test_the_page_and_the_clone_say_what_is_wrong_and_lead_to_a_fresh_form(
    client: Client, job: Job, alice: User, address: str
) -> None:
    client.force_login(alice)
    answer = client.get(address.format(job.pk))
    page = answer.content.decode()
    assert answer.status_code == 409
    assert all(reason in page for reason in REASONS)
    fresh = f"/jobs/new/?use_case={job.use_case.slug}"
    assert f'href="{fresh}"' in page
    assert client.get(fresh).status_code == 200


def test_a_clone_that_is_sent_is_refused_too(client: Client, job: Job, alice: User) -> None:
    client.force_login(alice)
    assert client.post(f"/jobs/new/?clone={job.pk}", {"title": "Again"}).status_code == 409
    assert Job.objects.count() == 1


def test_strangers_learn_nothing_of_it(client: Client, job: Job, mallory: User) -> None:
    client.force_login(mallory)
    assert client.get(f"/jobs/{job.pk}/").status_code == 404


@pytest.mark.parametrize("spec", ["no object", [], {}])
def test_what_is_no_spec_at_all_is_told_too(client: Client, job: Job, alice: User, spec: Any) -> None:
    client.force_login(alice)
    Job.objects.filter(pk=job.pk).update(spec=spec)
    assert client.get(f"/jobs/{job.pk}/").status_code == 409
    assert client.get("/jobs/").status_code == 200


def test_no_worker_gets_it_and_those_behind_it_do_not_wait(use_case: UseCase, alice: User, job: Job) -> None:
    behind = make_job(use_case, alice)
    worker, _ = actions.create_worker(name="gpu-1", created_by=None)
    claim = actions.claim_next_job(worker, make_capabilities())
    assert claim is not None
    assert claim.attempt.job == behind
    job.refresh_from_db()
    assert (job.state, job.end_reason) == (JobState.FAILED, EndReason.INVALID_SPEC)
    assert all(reason in job.end_message for reason in REASONS)


def test_other_jobs_are_estimated_all_the_same(use_case: UseCase, alice: User, job: Job) -> None:
    before = estimate(make_spec(), parameters=135_000_000)
    Job.objects.filter(pk=job.pk).update(
        state=JobState.SUCCEEDED, started_at=job.created_at, ended_at=job.created_at, end_reason=EndReason.COMPLETED
    )
    assert estimate(make_spec(), parameters=135_000_000) == before


def test_its_curves_are_compared_with_those_of_others(client: Client, use_case: UseCase, alice: User, job: Job) -> None:
    client.force_login(alice)
    Job.objects.filter(pk=job.pk).update(spec={"seed": 1})
    other = make_job(use_case, alice)
    page = client.get("/jobs/compare/", {"jobs": f"{job.pk},{other.pk}", "by": "share"})
    assert page.status_code == 200
