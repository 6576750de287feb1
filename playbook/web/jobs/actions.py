"""Writes on jobs, attempts and workers: each one transaction, one state change, one audit row.

A job's state changes in `_move` alone: one conditional UPDATE over the transitions of `contracts.states`, so that of
two callers who race for the same change one wins and the other is told. Events come in through `ingest`, files through
`uploads`. Rows are always taken in the order attempt, then job, which keeps PostgreSQL free of deadlocks.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from playbook.contracts.dataset import Split
from playbook.contracts.protocol import Capabilities, Telemetry
from playbook.contracts.run_spec import RunSpec
from playbook.contracts.states import ENDED_STATES, TRANSITIONS, EndReason, JobState
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.models import record
from playbook.web.common.permissions import Conflict
from playbook.web.decisions.actions import lock_criterion
from playbook.web.decisions.models import Decision
from playbook.web.jobs import curves, merging, policy, predictions, queries, tokens, uploads
from playbook.web.jobs.budget import budget_of
from playbook.web.jobs.endings import job_ended
from playbook.web.jobs.errors import Refused, StaleAttempt
from playbook.web.jobs.models import Attempt, AttemptEnd, Job, JobKind, Worker
from playbook.web.jobs.specs import UnreadableSpec
from playbook.web.usecases.models import UseCase

#: `last_seen_at` is written at most this often: a worker polls each second.
SEEN_EVERY_SECONDS = 5
#: Queued jobs looked at in one claim. More are needed only when as many workers claim in the same moment.
CANDIDATES = 20


@dataclass(frozen=True)
class Claim:
    attempt: Attempt
    job_token: str


def create_worker(*, name: str, created_by: User | None) -> tuple[Worker, str]:
    """Create a worker, or give the one of this name a new token, and return it with the token.

    The token is not kept and cannot be shown again. A rotated worker that was disabled is enabled.
    """
    token = tokens.new_token("worker")
    with transaction.atomic():
        worker, created = Worker.objects.update_or_create(
            name=name,
            defaults={"token_hash": tokens.digest(token), "disabled_at": None},
            create_defaults={"token_hash": tokens.digest(token), "created_by": created_by},
        )
        record("created worker" if created else "rotated token", worker, actor=created_by, name=name)
    return worker, token


def launch_job(
    *,
    use_case: UseCase,
    created_by: User,
    title: str,
    spec: RunSpec,
    recipe: str = "",
    decision: Decision | None = None,
    priority: int = 0,
    estimated_seconds: int | None = None,
    cloned_from: Job | None = None,
) -> Job:
    """Queue a job; the criterion of its decision is fixed from now on. A higher `priority` is claimed first.

    Raises Conflict when the decision is another use case's or is not accepted, when there is none though the policy
    asks for one, when the estimate does not fit its budget, or when an input file is not on this site or was altered.
    Who may launch is the view's question.
    """
    if decision is not None and decision.use_case_id != use_case.pk:
        raise Conflict(f"Decision “{decision}” belongs to another use case than “{use_case}”; choose one of its own.")
    if decision is None and (met := policy.rules_for(spec)):
        raise Conflict(policy.sentence(met))
    if spec.documents is not None and not blobs.path_of(spec.documents.sha256).is_file():
        raise Conflict(
            f"The documents ({spec.documents.sha256[:12]}…) are not on this site; bring them again, then launch."
        )
    for file in spec.inputs:
        if not blobs.path_of(file.sha256).is_file():
            raise Conflict(
                f"The {file.split} split ({file.sha256[:12]}…) is not on this site; "
                "upload the dataset again, then launch."
            )
        if not blobs.is_intact(file.sha256):
            raise Conflict(
                f"The file of the {file.split} split is not the one that was locked: its SHA-256 is no longer "
                f"{file.sha256[:12]}…. Upload the same rows again, which puts it right, then launch."
            )
    with transaction.atomic():
        if decision is not None:
            lock_criterion(decision, test_set=spec.input(Split.TEST).sha256)
            _keep_within_budget(decision, estimated_seconds)
        job = Job.objects.create(
            use_case=use_case,
            decision=decision,
            created_by=created_by,
            title=title,
            spec=spec.model_dump(mode="json"),
            base_model=spec.base_model.id,
            test_set_sha256=spec.measured_rows.sha256 if spec.evaluation.split is Split.TEST else "",
            recipe=recipe,
            priority=priority,
            estimated_seconds=estimated_seconds,
            cloned_from=cloned_from,
        )
        record("launched", job, actor=created_by, recipe=recipe, base_model=job.base_model)
    return job


def _keep_within_budget(decision: Decision, estimated_seconds: int | None) -> None:
    """Raise Conflict when the job does not fit. Behind the lock on the decision, so that launches queue for it."""
    budget = budget_of(Decision.objects.get(pk=decision.pk), asked_seconds=estimated_seconds)
    if budget and budget.refusal:
        raise Conflict(budget.refusal)


def see_worker(worker: Worker, capabilities: Capabilities | None = None) -> None:
    """Note that the worker called, at most each `SEEN_EVERY_SECONDS`, and what it offers when that changed."""
    now = timezone.now()
    stale = Q(last_seen_at=None) | Q(last_seen_at__lt=now - timedelta(seconds=SEEN_EVERY_SECONDS))
    offered = capabilities.model_dump(mode="json") if capabilities else worker.capabilities
    if offered != worker.capabilities:
        Worker.objects.filter(pk=worker.pk).update(last_seen_at=now, capabilities=offered)
    elif worker.last_seen_at is None or now - worker.last_seen_at > timedelta(seconds=SEEN_EVERY_SECONDS):
        Worker.objects.filter(stale, pk=worker.pk).update(last_seen_at=now)


def claim_next_job(worker: Worker, capabilities: Capabilities) -> Claim | None:
    """Give the worker the first queued job whose base model it has, or None. A job is given exactly once.

    Of workers that claim at the same moment each gets another job: the conditional update lets one through per job.
    """
    see_worker(worker, capabilities)
    reap_expired_leases()
    waiting = Job.objects.queued().filter(base_model__in=capabilities.base_models)
    for job_pk in waiting.values_list("pk", flat=True)[:CANDIDATES]:
        if claim := _claim(job_pk, worker):
            return claim
    return None


@transaction.atomic
def _claim(job_pk: int, worker: Worker) -> Claim | None:
    now = timezone.now()
    if not _move(job_pk, JobState.VALIDATING_FILES):
        return None
    Job.objects.filter(pk=job_pk, started_at=None).update(started_at=now)
    job = Job.objects.get(pk=job_pk)
    try:
        queries.spec_of(job)
    except UnreadableSpec as problem:  # no worker could ever run it, and the jobs behind it would wait with it
        _end_job(job_pk, JobState.FAILED, reason=EndReason.INVALID_SPEC, message=str(problem))
        record(JobState.FAILED, job, actor=None, reason=EndReason.INVALID_SPEC)
        return None
    token = tokens.new_token("job")
    attempt = Attempt.objects.create(
        job=job,
        number=job.attempts.count() + 1,
        worker=worker,
        job_token_hash=tokens.digest(token),
        claimed_at=now,
        lease_expires_at=now + lease(),
    )
    record("claimed", job, actor=None, worker=worker.name, attempt=attempt.number)
    return Claim(attempt=attempt, job_token=token)


def heartbeat(attempt: Attempt, telemetry: Telemetry | None = None) -> bool:
    """Extend the lease, keep the telemetry, return whether the job is to be cancelled. Raises StaleAttempt."""
    now = timezone.now()
    with transaction.atomic():
        extended = Attempt.objects.live().filter(pk=attempt.pk).update(lease_expires_at=now + lease())
        if extended != 1:
            raise StaleAttempt
        if telemetry is not None:
            second = int((now - attempt.claimed_at).total_seconds())
            curves.keep(attempt, ((name, second, value) for name, value in telemetry.values().items()), at=now)
    see_worker(attempt.worker)
    return Job.objects.filter(pk=attempt.job_id, state=JobState.CANCELLING).exists()


def start_running(attempt: Attempt) -> None:
    """Move the job from validating files to running. Without effect when it already runs or is being cancelled."""
    with transaction.atomic():
        if _move(attempt.job_id, JobState.RUNNING):
            record("started running", attempt.job, actor=None, attempt=attempt.number)


def finish(attempt: Attempt, *, state: JobState, reason: EndReason, message: str) -> JobState:
    """End the attempt and its job as the worker reports. `state` is one of `ENDED_STATES`.

    A job that was cancelled or failed keeps the report of what was measured by then, if one came that can be read.

    Raises StaleAttempt; Refused when it succeeded without a valid report or merged model, or cancelled what nobody
    cancelled.
    """
    kind, succeeded = attempt.job.kind, state is JobState.SUCCEEDED
    report = uploads.read_report(attempt) if succeeded and kind == JobKind.RUN else None
    check = merging.read_check(attempt) if succeeded and kind == JobKind.MERGE else None
    if report is not None and report.partial:
        raise Refused("report.json says that it is partial, and a job that succeeded has measured everything")
    if not succeeded:
        uploads.drop_unsound_report(attempt)
    with transaction.atomic():
        _end_attempt(attempt, AttemptEnd.FINISHED)
        if report is not None:
            predictions.settle(attempt, report)
        if check is not None:
            merging.settle(attempt, check)
        if not _end_job(attempt.job_id, state, reason=reason, message=message):
            raise Refused(f"job {attempt.job_id} cannot become {state}: nobody asked to cancel it; report failed")
        record(state, attempt.job, actor=None, worker=attempt.worker.name, attempt=attempt.number, reason=reason)
    return state


def release(attempt: Attempt) -> JobState:
    """Take the job back from a worker that was told to stop: it waits again, or is cancelled if that was asked.

    A released attempt does not count against `max_attempts`. Raises StaleAttempt.
    """
    with transaction.atomic():
        _end_attempt(attempt, AttemptEnd.RELEASED)
        state = _requeue_or_cancel(attempt)
        record("released", attempt.job, actor=None, worker=attempt.worker.name, attempt=attempt.number)
    return state


def request_cancel(job: Job, *, actor: User) -> JobState:
    """Cancel a queued job at once; ask the worker of an active one to stop. Return the new state.

    Raises Conflict when the job has ended or is being cancelled already.
    """
    asked: dict[str, Any] = {"cancel_requested_at": timezone.now(), "cancel_requested_by": actor}
    with transaction.atomic():
        if _end_job(
            job.pk,
            JobState.CANCELLED,
            reason=EndReason.CANCELLED_BY_USER,
            only_from=JobState.QUEUED,
            message="",
            **asked,
        ):
            state = JobState.CANCELLED
        elif _move(job.pk, JobState.CANCELLING, **asked):
            state = JobState.CANCELLING
        else:
            now_state = Job.objects.values_list("state", flat=True).get(pk=job.pk)
            raise Conflict(f"“{job}” is {now_state} and can no longer be cancelled.")
        record("asked to cancel", job, actor=actor, state=state)
    return state


def reap_expired_leases() -> int:
    """End every attempt whose worker fell silent, and return how many. One indexed query when there is none.

    The job waits again, or fails with `lease_lost` after `max_attempts` lost leases; a cancelling one is cancelled.
    Called by each claim, by the job pages and by /healthz, so that no job stays active without a worker.
    """
    now = timezone.now()
    expired = Attempt.objects.expired(now).select_related("job", "worker")
    return sum(_reap(attempt) for attempt in expired)


@transaction.atomic
def _reap(attempt: Attempt) -> bool:
    # The lease is compared once more in the update: a heartbeat may have come in between.
    now = timezone.now()
    if Attempt.objects.expired(now).filter(pk=attempt.pk).update(ended_at=now, end=AttemptEnd.LEASE_LOST) != 1:
        return False
    uploads.discard_after_commit(attempt)
    job = attempt.job
    lost = job.attempts.filter(end=AttemptEnd.LEASE_LOST).count()
    if lost >= job.max_attempts and not _is_cancelling(job.pk):
        message = f"{lost} attempts lost their lease; the last one ran on worker {attempt.worker.name}."
        _end_job(job.pk, JobState.FAILED, reason=EndReason.LEASE_LOST, message=message)
    else:
        _requeue_or_cancel(attempt)
    record("lost lease", job, actor=None, worker=attempt.worker.name, attempt=attempt.number)
    return True


def _requeue_or_cancel(attempt: Attempt) -> JobState:
    if _move(attempt.job_id, JobState.QUEUED):
        return JobState.QUEUED
    _end_job(
        attempt.job_id,
        JobState.CANCELLED,
        reason=EndReason.CANCELLED_BY_USER,
        message=f"Worker {attempt.worker.name} was gone before it confirmed the cancellation.",
    )
    return JobState.CANCELLED


def _is_cancelling(job_pk: int) -> bool:
    return Job.objects.filter(pk=job_pk, state=JobState.CANCELLING).exists()


def _end_attempt(attempt: Attempt, end: AttemptEnd) -> None:
    ended = Attempt.objects.live().filter(pk=attempt.pk).update(ended_at=timezone.now(), end=end)
    if ended != 1:
        raise StaleAttempt
    uploads.discard_after_commit(attempt)


def _end_job(
    job_pk: int, state: JobState, *, reason: EndReason, message: str, only_from: JobState | None = None, **fields: Any
) -> bool:
    # NUL is the one character that PostgreSQL text cannot hold; a crashed trainer's log may contain it.
    ended = _move(
        job_pk,
        state,
        only_from=only_from,
        end_reason=reason,
        end_message=message.replace("\x00", "\N{REPLACEMENT CHARACTER}"),
        ended_at=timezone.now(),
        **fields,
    )
    if ended:
        uploads.discard_checkpoints(job_pk)
        job_ended.send(sender=Job, job_pk=job_pk)
    return ended


def _move(job_pk: int, new: JobState, *, only_from: JobState | None = None, **fields: Any) -> bool:
    """Change the job's state if the transition is legal now; return whether it was."""
    legal = {old for old, following in TRANSITIONS.items() if new in following}
    if only_from is not None:
        legal &= {only_from}
    return Job.objects.filter(pk=job_pk, state__in=sorted(legal - ENDED_STATES)).update(state=new, **fields) == 1


def lease() -> timedelta:
    """Return how long an attempt lives without a heartbeat."""
    return timedelta(seconds=settings.PLAYBOOK_LEASE_SECONDS)
