"""Each write on a job: its one state change, its audit row, and who wins a race."""

from datetime import timedelta

import pytest
from django.utils import timezone

from playbook.contracts.dataset import Split
from playbook.contracts.states import EndReason, JobState
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.models import AuditEntry
from playbook.web.common.permissions import Conflict
from playbook.web.jobs import actions
from playbook.web.jobs.errors import Refused, StaleAttempt
from playbook.web.jobs.models import Attempt, Job, Worker
from playbook.web.jobs.tokens import digest
from playbook.web.usecases.models import UseCase
from tests.web.jobs.factories import make_capabilities, make_job, make_spec


@pytest.fixture
def worker(db: None) -> Worker:
    return actions.create_worker(name="gpu-1", created_by=None)[0]


def claimed(worker: Worker) -> Attempt:
    claim = actions.claim_next_job(worker, make_capabilities())
    assert claim is not None
    return claim.attempt


def expire(attempt: Attempt) -> None:
    Attempt.objects.filter(pk=attempt.pk).update(lease_expires_at=timezone.now() - timedelta(seconds=1))


def state_of(job: Job) -> tuple[str, str]:
    job.refresh_from_db()
    return job.state, job.end_reason


def audit_of(job: Job) -> list[str]:
    rows = AuditEntry.objects.filter(subject="jobs.job", subject_id=job.pk).order_by("pk")
    return list(rows.values_list("action", flat=True))


def test_launch_queues_the_validated_spec(use_case: UseCase, alice: User) -> None:
    job = make_job(use_case, alice)
    assert (job.state, job.base_model, job.run_spec) == (JobState.QUEUED, "tiny", make_spec())
    assert audit_of(job) == ["launched"]


def test_launch_refuses_inputs_that_are_not_on_the_site(use_case: UseCase, alice: User) -> None:
    spec = make_spec()
    lost = spec.inputs[0].model_copy(update={"sha256": "0" * 64})
    spec = spec.model_copy(update={"inputs": (lost, *spec.inputs[1:])})
    with pytest.raises(Conflict, match=r"train split \(000000000000…\) is not on this site; upload the dataset again"):
        actions.launch_job(use_case=use_case, created_by=alice, title="x", spec=spec)
    assert Job.objects.count() == 0


def test_launch_refuses_a_test_split_whose_file_was_altered(use_case: UseCase, alice: User) -> None:
    spec = make_spec()
    test = spec.input(Split.TEST)
    content = blobs.path_of(test.sha256).read_bytes()
    blobs.path_of(test.sha256).write_bytes(content.replace(b'"content"', b'"content" ', 1))
    with pytest.raises(Conflict, match=f"the test split is not the one that was locked: .* {test.sha256[:12]}…"):
        actions.launch_job(use_case=use_case, created_by=alice, title="x", spec=spec)
    assert Job.objects.count() == 0
    blobs.store([content])  # as an upload of the same rows does
    assert actions.launch_job(use_case=use_case, created_by=alice, title="x", spec=spec).state == JobState.QUEUED


def test_create_worker_again_rotates_the_token_and_enables(worker: Worker) -> None:
    Worker.objects.filter(pk=worker.pk).update(disabled_at=timezone.now())
    again, token = actions.create_worker(name="gpu-1", created_by=None)
    again.refresh_from_db()
    assert again.pk == worker.pk
    assert (again.token_hash, again.disabled_at) == (digest(token), None)
    assert again.token_hash != worker.token_hash


def test_claim_takes_priority_then_age_and_only_offered_base_models(
    use_case: UseCase, alice: User, worker: Worker
) -> None:
    old = make_job(use_case, alice)
    make_job(use_case, alice, base_model="huge", priority=9)
    urgent = make_job(use_case, alice, priority=1)

    taken = [claimed(worker).job_id, claimed(worker).job_id]

    assert taken == [urgent.pk, old.pk]
    assert actions.claim_next_job(worker, make_capabilities()) is None
    assert state_of(old) == (JobState.VALIDATING_FILES, "")
    assert audit_of(old) == ["launched", "claimed"]


def test_claim_notes_what_the_worker_offers(worker: Worker) -> None:
    actions.claim_next_job(worker, make_capabilities("tiny", "small"))
    worker.refresh_from_db()
    assert worker.base_models == ["tiny", "small"]
    assert worker.last_seen_at is not None


def test_heartbeat_extends_the_lease(job: Job, worker: Worker) -> None:
    attempt = claimed(worker)
    expire(attempt)
    assert actions.heartbeat(attempt) is False
    assert actions.reap_expired_leases() == 0
    assert state_of(job) == (JobState.VALIDATING_FILES, "")


def test_lost_lease_requeues_then_fails_after_max_attempts(job: Job, worker: Worker) -> None:
    states = []
    for _ in range(3):
        attempt = claimed(worker)
        expire(attempt)
        assert actions.reap_expired_leases() == 1
        states.append(state_of(job))
        with pytest.raises(StaleAttempt):
            actions.heartbeat(attempt)
    assert states == [("queued", ""), ("queued", ""), (JobState.FAILED, EndReason.LEASE_LOST)]
    assert job.end_message == "3 attempts lost their lease; the last one ran on worker gpu-1."
    assert audit_of(job) == ["launched", *["claimed", "lost lease"] * 3]


def test_claim_reaps_first_so_the_lost_job_is_given_again(job: Job, worker: Worker) -> None:
    first = claimed(worker)
    expire(first)
    second = claimed(worker)
    assert (second.job_id, second.number) == (job.pk, 2)


def test_released_attempts_do_not_count_against_max_attempts(job: Job, worker: Worker) -> None:
    for _ in range(4):
        assert actions.release(claimed(worker)) is JobState.QUEUED
    assert state_of(job) == ("queued", "")
    assert list(job.attempts.values_list("number", "end")) == [(n, "released") for n in (1, 2, 3, 4)]


def test_cancel_of_a_queued_job_is_immediate(job: Job, alice: User) -> None:
    assert actions.request_cancel(job, actor=alice) is JobState.CANCELLED
    assert state_of(job) == (JobState.CANCELLED, EndReason.CANCELLED_BY_USER)
    assert (job.cancel_requested_by, job.ended_at is not None) == (alice, True)
    with pytest.raises(Conflict, match="is cancelled and can no longer be cancelled"):
        actions.request_cancel(job, actor=alice)


def test_cancel_of_an_active_job_asks_its_worker(job: Job, alice: User, worker: Worker) -> None:
    attempt = claimed(worker)
    assert actions.request_cancel(job, actor=alice) is JobState.CANCELLING
    assert actions.heartbeat(attempt) is True
    actions.finish(attempt, state=JobState.CANCELLED, reason=EndReason.CANCELLED_BY_USER, message="stopped")
    assert state_of(job) == (JobState.CANCELLED, EndReason.CANCELLED_BY_USER)
    assert audit_of(job) == ["launched", "claimed", "asked to cancel", "cancelled"]


@pytest.mark.parametrize("how", ["lease lost", "released"])
def test_cancelling_job_whose_worker_goes_away_is_cancelled(job: Job, alice: User, worker: Worker, how: str) -> None:
    attempt = claimed(worker)
    actions.request_cancel(job, actor=alice)
    if how == "released":
        assert actions.release(attempt) is JobState.CANCELLED
    else:
        expire(attempt)
        actions.reap_expired_leases()
    assert state_of(job) == (JobState.CANCELLED, EndReason.CANCELLED_BY_USER)


def test_finish_as_cancelled_needs_somebody_who_asked(job: Job, worker: Worker) -> None:
    attempt = claimed(worker)
    with pytest.raises(Refused, match="nobody asked to cancel"):
        actions.finish(attempt, state=JobState.CANCELLED, reason=EndReason.CANCELLED_BY_USER, message="")
    assert state_of(job) == (JobState.VALIDATING_FILES, "")
    assert actions.heartbeat(attempt) is False


def test_finish_twice_is_stale_the_second_time(job: Job, worker: Worker) -> None:
    attempt = claimed(worker)
    actions.finish(attempt, state=JobState.FAILED, reason=EndReason.DIVERGED, message="loss\x00 is nan")
    with pytest.raises(StaleAttempt):
        actions.finish(attempt, state=JobState.FAILED, reason=EndReason.DISK_FULL, message="")
    assert state_of(job) == (JobState.FAILED, EndReason.DIVERGED)
    assert job.end_message == "loss\N{REPLACEMENT CHARACTER} is nan"
