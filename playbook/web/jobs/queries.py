"""Reads on jobs that are more than a QuerySet: curves for plots, the end of the log, events, artifacts.

Chainable reads (`Job.objects.for_member(…)`, `.queued()`, `.active()`, `.ended()`) stand beside the models.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db.models import OuterRef, QuerySet, Subquery

from playbook.contracts import events
from playbook.contracts.events import EVENT, Configured, Event
from playbook.web.jobs.models import Artifact, Attempt, EventChunk, Job, MetricPoint, Worker
from playbook.web.jobs.uploads import CHECKPOINT

Point = tuple[int, float]
#: Chunks arrive each fifth of a second; the data stage, which ends before the configuration, takes seconds.
_CHUNKS_BEFORE_TRAINING = 200


@dataclass(frozen=True)
class LogLine:
    """One line of the log as people read it."""

    attempt: int
    at: datetime
    level: str
    text: str


def curve(job: Job, names: Collection[str], *, max_points: int = 400) -> dict[str, list[Point]]:
    """Return `(step, value)` by metric name, steps rising, at most `max_points` each; a name without points is [].

    Attempts are joined: a later one resumes from a checkpoint, so from its first step on it replaces what the earlier
    ones recorded. Thinned by taking the last point of equal stretches, the very first and last always among them.
    """
    rows = (
        MetricPoint.objects.filter(attempt__job=job, name__in=names)
        .order_by("attempt__number", "step")
        .values_list("attempt__number", "name", "step", "value")
    )
    first_steps: dict[int, int] = {}
    joined: dict[str, dict[int, float]] = {name: {} for name in names}
    for attempt, name, step, value in rows:
        if attempt not in first_steps:
            first_steps[attempt] = step
            joined = {kept: {s: v for s, v in points.items() if s < step} for kept, points in joined.items()}
        joined[name][step] = value
    return {name: _thinned(list(points.items()), max_points) for name, points in joined.items()}


def _thinned(points: list[Point], max_points: int) -> list[Point]:
    if len(points) <= max_points:
        return points
    stretches = max_points - 1
    return points[:1] + [points[-1 + (index + 1) * len(points) // stretches] for index in range(stretches)]


def log_tail(job: Job, *, lines: int = 200) -> list[LogLine]:
    """Return the last lines of the job's log over all attempts, oldest first. Reads only the chunks it needs."""
    found: list[LogLine] = []
    for attempt, event in _events_backwards(job):
        if (line := _log_line(attempt, event)) is not None:
            found.append(line)
        if len(found) == lines:
            break
    return found[::-1]


def configuration(job: Job) -> Configured | None:
    """Return the configuration that the newest attempt really uses, once its trainer has said so.

    The trainer says it before the first step, so only the beginning of the events is read.
    """
    attempt = job.latest_attempt
    if attempt is None:
        return None
    chunks = attempt.event_chunks.values_list("data", flat=True)[:_CHUNKS_BEFORE_TRAINING]
    found = (event for data in chunks for event in _parsed(bytes(data)))
    return next((event for event in found if isinstance(event, Configured)), None)


def event_file(job: Job) -> bytes:
    """Return events.jsonl of the newest attempt, byte for byte as far as it has arrived."""
    attempt = job.latest_attempt
    if attempt is None:
        return b""
    return b"".join(bytes(data) for data in attempt.event_chunks.values_list("data", flat=True))


def downloads(job: Job) -> QuerySet[Artifact]:
    """Artifacts for people, one a name: of several attempts the newest. Checkpoints are for the next attempt alone."""
    newest = Artifact.objects.filter(job=job, name=OuterRef("name")).order_by("-attempt__number").values("pk")[:1]
    return Artifact.objects.filter(job=job, pk=Subquery(newest)).exclude(name=CHECKPOINT).order_by("name")


def checkpoint_before(attempt: Attempt) -> Artifact | None:
    """Return the checkpoint that this attempt resumes from: the newest that an earlier attempt handed over."""
    earlier = Artifact.objects.filter(job=attempt.job_id, name=CHECKPOINT, attempt__number__lt=attempt.number)
    return earlier.order_by("-attempt__number").first()


def offers_base_model(base_model: str) -> bool:
    """True when a worker that is online has the base model; a queued job of another one waits for a new worker."""
    return any(base_model in worker.base_models for worker in Worker.objects.online())


def _events_backwards(job: Job) -> Iterator[tuple[int, Event]]:
    """Yield every event with its attempt number, the last first, reading chunk by chunk."""
    chunks = EventChunk.objects.filter(attempt__job=job).order_by("-attempt__number", "-offset")
    for attempt, data in chunks.values_list("attempt__number", "data").iterator(chunk_size=20):
        for event in reversed(list(_parsed(bytes(data)))):
            yield attempt, event


def _parsed(data: bytes) -> Iterator[Event]:
    for line in data.splitlines():
        yield EVENT.validate_json(line)


def _log_line(attempt: int, event: Event) -> LogLine | None:
    match event:
        case events.Log():
            return LogLine(attempt, event.at, event.level, event.message)
        case events.StageStarted():
            return LogLine(attempt, event.at, "info", f"Stage {event.stage} started.")
        case events.StageFinished():
            return LogLine(attempt, event.at, "info", f"Stage {event.stage} finished after {event.seconds:.1f} s.")
        case events.CheckpointSaved():
            return LogLine(attempt, event.at, "info", f"Checkpoint {event.name} saved.")
        case events.Ended():
            level = "info" if event.reason == "completed" else "error"
            return LogLine(attempt, event.at, level, event.message)
        case _:
            return None
