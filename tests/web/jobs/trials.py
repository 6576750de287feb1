"""Trials of prompts, launched and reported as a worker would, through the same actions."""

from collections.abc import Sequence

from playbook.contracts.report import ArmReport
from playbook.contracts.run_spec import BaseModelRef
from playbook.contracts.states import EndReason, JobState
from playbook.scoring.compare import scores_of
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.datasets.models import Dataset
from playbook.web.jobs import actions
from playbook.web.jobs.models import Artifact, Attempt, Job
from playbook.web.jobs.prompt_trials import measure_prompt
from playbook.web.prompts.models import PromptVersion
from tests.web.jobs.ended import arm_report
from tests.web.jobs.factories import make_capabilities, make_report
from tests.web.jobs.measured import answered


def launched_prompt(version: PromptVersion, dataset: Dataset, actor: User, *, base_model: str = "tiny") -> Job:
    assert dataset.latest is not None
    return measure_prompt(
        version,
        dataset_version=dataset.latest,
        base_model=BaseModelRef(id=base_model),
        max_new_tokens=32,
        actor=actor,
    )


def measured_prompt(
    version: PromptVersion,
    dataset: Dataset,
    actor: User,
    right: list[bool],
    *,
    tokens: int = 50,
    base_model: str = "tiny",
) -> Job:
    """Launch a trial and have a worker report it; each prompt has `tokens` tokens."""
    job = launched_prompt(version, dataset, actor, base_model=base_model)
    worker, _ = actions.create_worker(name="gpu-1", created_by=None)
    claim = actions.claim_next_job(worker, make_capabilities(base_model))
    assert claim is not None
    assert claim.attempt.job_id == job.pk
    (name,) = job.run_spec.evaluation.arms
    arm: ArmReport = arm_report(name, right)
    items = tuple(item.model_copy(update={"prompt_tokens": tokens}) for item in arm.items)
    return hand_over(job, claim.attempt, arm.model_copy(update={"items": items}))


def answered_prompt(version: PromptVersion, dataset: Dataset, actor: User, answers: Sequence[tuple[str, str]]) -> Job:
    """As `measured_prompt`, with answers given as (output, expected) and judged by the job's own settings."""
    job = launched_prompt(version, dataset, actor)
    worker, _ = actions.create_worker(name="gpu-1", created_by=None)
    claim = actions.claim_next_job(worker, make_capabilities())
    assert claim is not None
    settings = job.run_spec.evaluation
    items = tuple(
        answered(index, output=output, expected=expected, settings=settings)
        for index, (output, expected) in enumerate(answers)
    )
    (name,) = settings.arms
    return hand_over(job, claim.attempt, ArmReport(arm=name, items=items, scores=scores_of(items, settings), seconds=1))


def hand_over(job: Job, attempt: Attempt, arm: ArmReport) -> Job:
    """Report the arm and end the job; as cancelled when the arm ended early."""
    report = make_report(job.run_spec).model_copy(update={"arms": (arm,), "partial": arm.partial})
    blob = blobs.store([report.model_dump_json().encode()])
    Artifact.objects.create(
        job=job, attempt=attempt, name="report.json", sha256=blob.sha256, size_bytes=blob.size_bytes
    )
    if arm.partial:
        actions.request_cancel(job, actor=job.created_by)
        actions.finish(attempt, state=JobState.CANCELLED, reason=EndReason.CANCELLED_BY_USER, message="")
    else:
        actions.finish(attempt, state=JobState.SUCCEEDED, reason=EndReason.COMPLETED, message="")
    return Job.objects.get(pk=job.pk)
