"""Reads on jobs that are more than a QuerySet: the log, what attempts announced, artifacts, what workers offer.

Chainable reads (`Job.objects.for_member(…)`, `.queued()`, `.active()`, `.ended()`) stand beside the models; points of
curves are read by `curves`.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from operator import or_

from django.db.models import OuterRef, Q, QuerySet, Subquery

from playbook.contracts.events import EVENT, Configured, Predicted, Preflight
from playbook.contracts.merging import MergeSpec
from playbook.contracts.playground import PlaygroundSpec
from playbook.contracts.run_spec import RunSpec
from playbook.web.datasets.models import Dataset, DatasetVersion
from playbook.web.jobs.models import Announcement, Artifact, Attempt, Job, JobKind, LogEntry, Worker
from playbook.web.jobs.uploads import CHECKPOINT
from playbook.web.prompts.models import PromptVersion


@dataclass(frozen=True)
class LogLine:
    """One line of the log as people read it."""

    attempt: int
    at: datetime
    level: str
    text: str


@dataclass(frozen=True)
class Announced:
    """What the newest attempt has said of the whole run so far."""

    configured: Configured | None = None
    preflight: Preflight | None = None
    predicted: Predicted | None = None


def log_tail(job: Job, *, lines: int = 200, search: str = "", level: str = "") -> list[LogLine]:
    """Return the last lines of the job's log over all attempts, oldest first, one query.

    `search`: only lines that contain this text, in any case of letters. `level`: only lines of this level.
    """
    rows = LogEntry.objects.filter(attempt__job=job)
    if search:
        # SQLite knows the two cases of ASCII alone.
        written = {search} if search.isascii() else {search, search.lower(), search.upper(), search.capitalize()}
        rows = rows.filter(reduce(or_, (Q(text__icontains=text) for text in sorted(written))))
    if level:
        rows = rows.filter(level=level)
    newest = rows.order_by("-attempt__number", "-pk").values_list("attempt__number", "at", "level", "text")[:lines]
    return [LogLine(*row) for row in newest][::-1]


def announced(attempt: Attempt | None) -> Announced:
    """Return what an attempt has announced; one query."""
    if attempt is None:
        return Announced()
    rows = Announcement.objects.filter(attempt=attempt).values_list("kind", "data")
    return Announced(**{kind: EVENT.validate_json(data) for kind, data in rows})  # type: ignore[arg-type]


def downloads(job: Job) -> QuerySet[Artifact]:
    """Artifacts for people, one a name: of several attempts the newest. Checkpoints are for the next attempt alone."""
    newest = Artifact.objects.filter(job=job, name=OuterRef("name")).order_by("-attempt__number").values("pk")[:1]
    return Artifact.objects.filter(job=job, pk=Subquery(newest)).exclude(name=CHECKPOINT).order_by("name")


def checkpoint_before(attempt: Attempt) -> Artifact | None:
    """Return the checkpoint that this attempt resumes from: the newest that an earlier attempt handed over."""
    earlier = Artifact.objects.filter(job=attempt.job_id, name=CHECKPOINT, attempt__number__lt=attempt.number)
    return earlier.order_by("-attempt__number").first()


def prompt_version(job: Job, spec: RunSpec) -> PromptVersion | None:
    """Return the version of a prompt of the use case that this job asks with; None when it was typed for the job."""
    found = PromptVersion.objects.filter(prompt__use_case=job.use_case_id, digest=spec.prompt.digest)
    return found.select_related("prompt").first()


def dataset_version(job: Job, spec: RunSpec) -> DatasetVersion | None:
    """Return the first version of a dataset that a job of the use case may take with all the files of this one; None
    when they belong to none. One query."""
    found = DatasetVersion.objects.filter(dataset__in=Dataset.objects.for_use_case(job.use_case))
    for file in spec.inputs:
        found = found.filter(files__split=file.split, files__sha256=file.sha256)
    return found.select_related("dataset").order_by("pk").first()


def offers_base_model(base_model: str) -> bool:
    """True when a worker that is online has the base model; a queued job of another one waits for a new worker."""
    return any(base_model in worker.base_models for worker in Worker.objects.online())


def spec_of(job: Job) -> RunSpec | PlaygroundSpec | MergeSpec:
    """Return what the job asks of a worker, by its kind. Raises UnreadableSpec."""
    match job.kind:
        case JobKind.PLAYGROUND:
            return job.playground_spec
        case JobKind.MERGE:
            return job.merge_spec
        case _:
            return job.run_spec
