"""The estimate: larger with more work, and learning from jobs that have run."""

from datetime import timedelta

import pytest

from playbook.web.accounts.models import User
from playbook.web.jobs.estimate import FIXED_SECONDS, estimate
from playbook.web.jobs.models import Job
from playbook.web.usecases.models import UseCase
from tests.web.jobs.ended import succeeded_job
from tests.web.jobs.factories import make_spec

PARAMETERS = 135_000_000


def test_more_steps_take_longer(db: None) -> None:
    few, many = (estimate(make_spec(max_steps=steps), parameters=PARAMETERS) for steps in (10, 1000))
    assert few.seconds < many.seconds
    assert many.training_tokens == 100 * few.training_tokens


def test_without_history_the_assumption_is_stated(db: None) -> None:
    assert estimate(make_spec(), parameters=PARAMETERS).basis.startswith("No finished job with this base model yet")


def test_with_history_the_same_job_takes_as_long_as_it_took(use_case: UseCase, alice: User) -> None:
    job = succeeded_job(use_case, alice)
    assert job.started_at is not None
    Job.objects.filter(pk=job.pk).update(ended_at=job.started_at + timedelta(seconds=FIXED_SECONDS + 123))
    found = estimate(job.run_spec, parameters=PARAMETERS)
    assert found.seconds == pytest.approx(FIXED_SECONDS + 123)
    assert found.basis == "Scaled from 1 finished job with this base model."
