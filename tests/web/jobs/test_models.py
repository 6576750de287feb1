"""Invariants that the database itself keeps, and the chainable reads."""

import pytest
from django.db import IntegrityError, transaction
from django.utils import timezone

from playbook.contracts.states import EndReason, JobState
from playbook.web.accounts.models import User
from playbook.web.jobs.actions import claim_next_job, create_worker
from playbook.web.jobs.models import Attempt, AttemptEnd, Job, Worker
from playbook.web.usecases.actions import create_use_case
from playbook.web.usecases.models import UseCase
from tests.web.jobs.factories import make_capabilities, make_job


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "sleeping"},
        {"state": JobState.FAILED},
        {"state": JobState.FAILED, "end_reason": EndReason.DIVERGED},
        {"state": JobState.FAILED, "ended_at": timezone.now(), "end_reason": "unknown"},
        {"end_reason": EndReason.COMPLETED},
        {"ended_at": timezone.now()},
    ],
)
def test_job_refuses_an_unknown_state_and_an_end_without_reason(job: Job, fields: dict[str, object]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Job.objects.filter(pk=job.pk).update(**fields)


def test_job_has_one_live_attempt(job: Job) -> None:
    worker, _ = create_worker(name="gpu-1", created_by=None)
    now = timezone.now()
    fields = {"job": job, "worker": worker, "claimed_at": now, "lease_expires_at": now}
    Attempt.objects.create(number=1, job_token_hash="1", ended_at=now, end=AttemptEnd.LEASE_LOST, **fields)
    Attempt.objects.create(number=2, job_token_hash="2", **fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        Attempt.objects.create(number=3, job_token_hash="3", **fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        Attempt.objects.create(number=1, job_token_hash="4", ended_at=now, end=AttemptEnd.FINISHED, **fields)


def test_queued_is_in_the_order_of_claims_and_counts_the_whole_queue(
    use_case: UseCase, alice: User, mallory: User
) -> None:
    first = make_job(use_case, alice)
    other = create_use_case(name="Other", description="", created_by=mallory, members={})
    urgent = make_job(other, mallory, priority=5)
    last = make_job(use_case, alice)

    everything = [(job.pk, job.position) for job in Job.objects.queued().with_position()]
    of_alice = [(job.pk, job.position) for job in Job.objects.for_member(alice).queued().with_position()]

    assert everything == [(urgent.pk, 1), (first.pk, 2), (last.pk, 3)]
    assert of_alice == [(first.pk, 2), (last.pk, 3)]


def test_active_and_ended_split_the_jobs(job: Job) -> None:
    worker, _ = create_worker(name="gpu-1", created_by=None)
    claim_next_job(worker, make_capabilities())
    assert (list(Job.objects.queued()), list(Job.objects.active()), list(Job.objects.ended())) == ([], [job], [])


def test_online_workers_are_those_seen_lately_and_not_disabled(db: None) -> None:
    for name in ("silent", "disabled", "online"):
        create_worker(name=name, created_by=None)
    Worker.objects.exclude(name="silent").update(last_seen_at=timezone.now())
    Worker.objects.filter(name="disabled").update(disabled_at=timezone.now())
    assert [worker.name for worker in Worker.objects.online()] == ["online"]
