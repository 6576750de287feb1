"""The jobs of the world of `bench_decisions`: most decisions that were accepted have one, with its report and outcome.

Written in bulk, in the shape that the actions leave. Imported only once Django is set up.
"""

from datetime import datetime, timedelta
from functools import cache

from django.utils import timezone

from playbook.contracts.report import Report
from playbook.contracts.run_spec import Arm, RunSpec
from playbook.contracts.states import EndReason, JobState
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.blobs import Blob
from playbook.web.decisions.criterion import Verdict
from playbook.web.decisions.models import Decision
from playbook.web.jobs import curves
from playbook.web.jobs.models import Artifact, Attempt, AttemptEnd, Job, Prediction, Worker
from playbook.web.outcomes.models import Confirmation, OutcomeArticle, OutcomeProposal, OutcomeReview
from tests.web.decided import ARTICLE
from tests.web.jobs.ended import report_with
from tests.web.jobs.factories import asking_for, make_spec, with_rows

#: In turn: of twenty jobs twelve have an outcome, three wait for one, one failed, one runs and three are queued.
RECORDED, TO_RECORD, FAILED, RUNNING, QUEUED = "recorded", "to record", "failed", "running", "queued"
TURNS = (RECORDED,) * 12 + (TO_RECORD,) * 3 + (FAILED, RUNNING) + (QUEUED,) * 3
STATES = {
    RECORDED: (JobState.SUCCEEDED, EndReason.COMPLETED.value),
    TO_RECORD: (JobState.SUCCEEDED, EndReason.COMPLETED.value),
    FAILED: (JobState.FAILED, EndReason.LEASE_LOST.value),
    RUNNING: (JobState.RUNNING, ""),
    QUEUED: (JobState.QUEUED, ""),
}
#: Reports, each of another content, that the jobs share, and the rows of each.
REPORTS, ROWS = 6, 200
#: Jobs whose curves are there to be compared.
WITH_CURVES = 12
#: What every job foretold; it took 0.8 to 1.3 times as long.
FORETOLD_SECONDS = 100.0


def launch(decisions: list[Decision], author: User) -> None:
    """Add a job for each of the decisions."""
    now = timezone.now()
    jobs = Job.objects.bulk_create(_job(decision, author, now) for decision in decisions)
    for place, job in enumerate(jobs):  # `auto_now_add` has set the same moment for all
        job.created_at = now - timedelta(days=1 + place % 600)
    Job.objects.bulk_update(jobs, ["created_at"])
    worker, _ = Worker.objects.get_or_create(name="gpu-1", defaults={"token_hash": "0" * 64})
    attempts = Attempt.objects.bulk_create(_attempt(job, worker, now) for job in jobs if _turn(job) != QUEUED)
    ended = [attempt for attempt in attempts if attempt.job.state == JobState.SUCCEEDED]
    Artifact.objects.bulk_create(_artifact(attempt) for attempt in ended)
    Prediction.objects.bulk_create(_prediction(attempt) for attempt in ended)
    OutcomeProposal.objects.bulk_create(OutcomeProposal(**_judged(attempt)) for attempt in ended)
    recorded = [attempt for attempt in ended if _turn(attempt.job) == RECORDED]
    outcomes = OutcomeReview.objects.bulk_create(_outcome(attempt, author) for attempt in recorded)
    OutcomeArticle.objects.bulk_create(OutcomeArticle(outcome=each, key=ARTICLE) for each in outcomes)
    for attempt in ended[:WITH_CURVES]:
        points = [(name, step, 2.0 / step) for name in ("train_loss", "validation_loss") for step in range(1, 61)]
        curves.keep(attempt, points, at=now)


def _turn(job: Job) -> str:
    assert job.decision is not None
    return _turn_of(job.decision)


def _turn_of(decision: Decision) -> str:
    # 7 has no divisor in common with the rounds of statuses and use cases, so that all turns come everywhere.
    return TURNS[(decision.number // 7) % len(TURNS)]


def _job(decision: Decision, author: User, now: datetime) -> Job:
    state, reason = STATES[_turn_of(decision)]
    spec = _spec()
    return Job(
        use_case=decision.use_case,
        decision=decision,
        created_by=author,
        title=f"LoRA for D-{decision.number}",
        spec=spec.model_dump(mode="json"),
        base_model=spec.base_model.id,
        test_set_sha256=spec.measured_rows.sha256,
        state=state,
        end_reason=reason,
        started_at=None if state == JobState.QUEUED else now,
        ended_at=now if reason else None,
        estimated_seconds=240,
    )


def _attempt(job: Job, worker: Worker, now: datetime) -> Attempt:
    return Attempt(
        job=job,
        number=1,
        worker=worker,
        job_token_hash=f"{job.pk:064d}",
        claimed_at=now,
        lease_expires_at=now + timedelta(days=1),
        ended_at=job.ended_at,
        end=AttemptEnd.FINISHED if job.ended_at else "",
    )


def _artifact(attempt: Attempt) -> Artifact:
    blob = _stored()[attempt.job_id % REPORTS]
    return Artifact(
        job=attempt.job, attempt=attempt, name="report.json", sha256=blob.sha256, size_bytes=blob.size_bytes
    )


def _prediction(attempt: Attempt) -> Prediction:
    return Prediction(
        attempt=attempt,
        after_steps=5,
        seconds=FORETOLD_SECONDS,
        seconds_per_step=1.0,
        peak_memory_bytes=2 * 10**9,
        hour_rate=0,
        currency="EUR",
        actual_seconds=FORETOLD_SECONDS * (0.8 + attempt.job_id % 50 / 100),
        actual_peak_memory_bytes=2 * 10**9,
    )


def _judged(attempt: Attempt) -> dict[str, object]:
    """Return what a proposal says of the job, measured as its report is."""
    report, blob = _reports()[attempt.job_id % REPORTS], _stored()[attempt.job_id % REPORTS]
    arm = report.arm(Arm.LORA)
    assert arm is not None
    score = arm.scores[0]
    return {
        "decision": attempt.job.decision,
        "job": attempt.job,
        "verdict": Verdict.MET if score.low >= 0.8 else Verdict.INCONCLUSIVE,
        "value": score.value,
        "low": score.low,
        "high": score.high,
        "rows": score.n,
        "report_sha256": blob.sha256,
        "test_set_sha256": report.test_set_sha256,
    }


def _outcome(attempt: Attempt, author: User) -> OutcomeReview:
    return OutcomeReview(
        **_judged(attempt),
        criterion_text="exact match of LoRA on the test set ≥ 0.80",
        metric="exact_match",
        arm=Arm.LORA,
        confirmation=Confirmation.ADOPTED,
        lessons="Fewer steps were enough.",
        recorded_by=author,
    )


@cache
def _spec() -> RunSpec:
    return asking_for(with_rows(make_spec(), ROWS), Arm.ZERO_SHOT, Arm.LORA)


@cache
def _reports() -> tuple[Report, ...]:
    """Reports of the same rows with more and more of them right."""
    base = [place % 10 == 0 for place in range(ROWS)]
    return tuple(
        report_with(_spec(), base=base, tuned=[place % 20 >= wrong for place in range(ROWS)])
        for wrong in range(1, REPORTS + 1)
    )


@cache
def _stored() -> tuple[Blob, ...]:
    return tuple(blobs.store([report.model_dump_json().encode()]) for report in _reports())
