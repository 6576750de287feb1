"""Merged models: ask for one, take in how it compared, and keep no more of them than fit.

A merge waits in the same queue as every job, under the same lease and attempt number; whoever may launch may ask for
one. A merged model is as large as its base model, so the site keeps the newest `KEPT`; another is made again any time.
"""

import json
import zipfile
from dataclasses import dataclass

from django.db import transaction
from pydantic import ValidationError

from playbook.contracts.merging import CHECK, MANIFEST, MERGED, MergeCheck, MergeSpec, ReportFile
from playbook.contracts.playground import AdapterFile
from playbook.contracts.protocol import MAX_ARTIFACT_BYTES
from playbook.contracts.run_spec import Method
from playbook.contracts.states import ENDED_STATES, JobState
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.content import library
from playbook.web.common.models import record
from playbook.web.common.permissions import Conflict
from playbook.web.jobs import policy, uploads
from playbook.web.jobs.errors import Refused
from playbook.web.jobs.models import Artifact, Attempt, Job, JobKind, Merge
from playbook.web.jobs.playground import adapter_of

#: Merged models on the site, all use cases together; when another one comes, the oldest goes.
KEPT = 5
#: A weight in bfloat16, as base models are published.
_BYTES_A_WEIGHT = 2
_MAX_MANIFEST_BYTES = 1024 * 1024


@dataclass(frozen=True)
class Merged:
    """The newest merge of a run. `file` is None while it is being made, or when it made room for newer ones."""

    job: Job
    check: MergeCheck | None
    file: Artifact | None


def request_merge(source: Job, *, actor: User) -> Merge:
    """Queue a job that makes the merged model of `source`.

    Raises Conflict when that run left no adapter, a merge of it waits or is there, the policy asks for a decision about
    the base model, or the model is over what the site takes.
    """
    policy.refuse_model(source.base_model, source=source)
    adapter, report = adapter_of(source), source.artifacts.filter(name=uploads.REPORT).last()
    if source.kind != JobKind.RUN or source.state != JobState.SUCCEEDED or adapter is None or report is None:
        raise Conflict(f"Job {source.pk} left no adapter to merge: only a run that succeeded with one can be merged.")
    if gone := [one.name for one in (adapter, report) if not blobs.path_of(one.sha256).is_file()]:
        raise Conflict(f"{' and '.join(gone)} of job {source.pk} is gone from the data folder; run the job again.")
    spec = MergeSpec(
        run=source.run_spec,
        adapter=AdapterFile(sha256=adapter.sha256, size_bytes=adapter.size_bytes),
        report=ReportFile(sha256=report.sha256, size_bytes=report.size_bytes),
    )
    if problem := too_large(spec):
        raise Conflict(problem)
    with transaction.atomic():
        Job.objects.select_for_update().get(pk=source.pk)
        before = merged_of(source)
        if before is not None and before.job.state not in ENDED_STATES:
            raise Conflict(f"The merged model of job {source.pk} is being made already (job {before.job.pk}).")
        if before is not None and before.file is not None:
            raise Conflict(f"The merged model of job {source.pk} is there already; download it.")
        job = Job.objects.create(
            kind=JobKind.MERGE,
            use_case_id=source.use_case_id,
            created_by=actor,
            title=f"Merged model: {source.title}"[:200],
            spec=spec.model_dump(mode="json"),
            base_model=source.base_model,
        )
        merge = Merge.objects.create(job=job, source=source)
        record("asked for merged model", job, actor=actor, source=source.pk)
    return merge


def too_large(spec: MergeSpec) -> str | None:
    """Return why the site cannot take the merged model, or None. A base model that nobody listed is taken to fit."""
    listed = library().base_models.get(spec.run.base_model.id)
    if listed is None or listed.parameters * _BYTES_A_WEIGHT < MAX_ARTIFACT_BYTES:
        return None
    return (
        f"The merged model would take about {listed.parameters * _BYTES_A_WEIGHT / 1e9:.0f} GB, and the site takes "
        f"files of up to {MAX_ARTIFACT_BYTES / 1e9:.1f} GB. Make it on the worker's machine: "
        "python -m playbook.trainer.merge RUN_DIR."
    )


def merged_of(source: Job) -> Merged | None:
    """Return the newest merge of a run, or None. Two queries at most."""
    merge = Merge.objects.filter(source=source).select_related("job").first()
    if merge is None:
        return None
    file = merge.job.artifacts.filter(name=MERGED).last() if merge.job.state == JobState.SUCCEEDED else None
    return Merged(merge.job, check_of(merge), file)


def check_of(merge: Merge) -> MergeCheck | None:
    return None if merge.compared is None else MergeCheck.model_validate(merge.compared)


def may_merge(job: Job) -> bool:
    """Tell whether a run could have left an adapter that is mergeable: all but a whole model."""
    return job.kind == JobKind.RUN and job.state == JobState.SUCCEEDED and job.run_spec.method is not Method.FULL


def read_check(attempt: Attempt) -> MergeCheck:
    """Return what `merged.zip` of the attempt says about itself. Raises Refused when it is missing or silent."""
    artifact = Artifact.objects.filter(attempt=attempt, name=MERGED).first()
    if artifact is None:
        raise Refused(f"no {MERGED} was uploaded by attempt {attempt.number}; upload it, then finish")
    try:
        with zipfile.ZipFile(blobs.path_of(artifact.sha256)) as archive, archive.open(MANIFEST) as file:
            return MergeCheck.model_validate(json.loads(file.read(_MAX_MANIFEST_BYTES))[CHECK])
    except (KeyError, TypeError, ValueError, ValidationError, zipfile.BadZipFile) as error:
        raise Refused(f"{MERGED} holds no {MANIFEST} with a {CHECK} ({error}); merge again") from error


def settle(attempt: Attempt, check: MergeCheck) -> None:
    """Keep how the merged model compared, and remove the oldest beyond `KEPT`. Within the caller's transaction."""
    Merge.objects.filter(job=attempt.job_id).update(compared=check.model_dump(mode="json"))
    kept = Artifact.objects.filter(name=MERGED).order_by("-pk").values_list("pk", flat=True)[:KEPT]
    oldest = Artifact.objects.filter(name=MERGED).exclude(pk__in=list(kept))
    removed = list(oldest.select_related("job"))
    uploads.remove(oldest)
    for artifact in removed:
        record("removed merged model", artifact.job, actor=None, name=artifact.name, sha256=artifact.sha256)
