"""Jobs that have run: events, report and adapter as a worker would have left them, through the same actions."""

import json

from playbook.contracts.dataset import Message
from playbook.contracts.report import ArmReport, ItemResult, Report
from playbook.contracts.run_spec import Arm, Metric, RunSpec
from playbook.contracts.states import EndReason, JobState
from playbook.scoring.compare import compare_all, score_of
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.decisions.models import Decision
from playbook.web.jobs import actions, ingest
from playbook.web.jobs.models import Artifact, Attempt, Job
from playbook.web.usecases.models import UseCase
from tests.web.jobs.factories import AT, asking_for, make_capabilities, make_report, make_spec, with_rows


def arm_report(arm: Arm, right: list[bool], *, output: str = "an answer") -> ArmReport:
    """An arm whose rows are right or wrong as given."""
    items = tuple(
        ItemResult(
            index=index,
            prompt=(Message(role="user", content=f"ticket <{index}>"),),
            expected=f"expected {index}",
            output=f"{output} {index}",
            correct=correct,
            json_valid=correct,
            prompt_tokens=50,
            output_tokens=20,
            natural_stop=correct,
        )
        for index, correct in enumerate(right)
    )
    score = score_of(Metric.EXACT_MATCH, sum(right), len(right))
    return ArmReport(arm=arm, items=items, scores=(score,), seconds=2.0)


def report_with(spec: RunSpec, *, base: list[bool], tuned: list[bool]) -> Report:
    arms = (arm_report(Arm.ZERO_SHOT, base), arm_report(Arm.LORA, tuned))
    return make_report(spec).model_copy(update={"arms": arms, "comparisons": compare_all(arms)})


def claimed_job(
    use_case: UseCase, created_by: User, *, decision: Decision | None = None, spec: RunSpec | None = None
) -> Attempt:
    """Launch a job and have a worker claim it."""
    actions.launch_job(
        use_case=use_case, created_by=created_by, title="LoRA on tickets", spec=spec or make_spec(), decision=decision
    )
    worker, _ = actions.create_worker(name="gpu-1", created_by=None)
    claim = actions.claim_next_job(worker, make_capabilities())
    assert claim is not None
    return claim.attempt


def event_lines(*events: dict[str, object]) -> bytes:
    return b"".join(json.dumps({"at": AT.isoformat(), **event}).encode() + b"\n" for event in events)


def send_events(attempt: Attempt, *events: dict[str, object]) -> None:
    attempt.refresh_from_db()
    ingest.append_events(attempt, offset=attempt.event_bytes, data=event_lines(*events))


def succeeded_job(
    use_case: UseCase,
    created_by: User,
    *,
    decision: Decision | None = None,
    base: list[bool] | None = None,
    tuned: list[bool] | None = None,
) -> Job:
    """A job with a report of `base` and `tuned` rows (default: 2 of 40 and 38 of 40 right) and an adapter."""
    base = base if base is not None else [True] * 2 + [False] * 38
    tuned = tuned if tuned is not None else [False] * 1 + [True] * 38 + [False] * 1
    spec = asking_for(with_rows(make_spec(), len(base)), Arm.ZERO_SHOT, Arm.LORA)
    attempt = claimed_job(use_case, created_by, decision=decision, spec=spec)
    send_events(
        attempt,
        {"kind": "stage_started", "stage": "training"},
        {"kind": "metric", "step": 1, "values": {"train_loss": 1.25, "validation_loss": 1.3}},
        {"kind": "metric", "step": 2, "values": {"train_loss": 0.5}},
        {"kind": "log", "message": "Step 2 of 2."},
    )
    report = report_with(attempt.job.run_spec, base=base, tuned=tuned)
    return finished_with(attempt, report)


def finished_with(attempt: Attempt, report: Report) -> Job:
    """Hand over a report and an adapter, and end the job; as cancelled when the report is partial."""
    hand_over(attempt, report)
    if report.partial:
        actions.request_cancel(attempt.job, actor=attempt.job.created_by)
        actions.finish(attempt, state=JobState.CANCELLED, reason=EndReason.CANCELLED_BY_USER, message="")
    else:
        actions.finish(attempt, state=JobState.SUCCEEDED, reason=EndReason.COMPLETED, message="")
    return Job.objects.get(pk=attempt.job_id)


def hand_over(attempt: Attempt, report: Report) -> None:
    """Keep a report and an adapter, as the worker hands them over before it ends the job."""
    for name, content in (("report.json", report.model_dump_json().encode()), ("adapter.zip", b"PK adapter")):
        blob = blobs.store([content])
        Artifact.objects.create(
            job=attempt.job, attempt=attempt, name=name, sha256=blob.sha256, size_bytes=blob.size_bytes
        )
