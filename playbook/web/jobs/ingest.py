"""Events on their way in: whole lines, each checked, kept as bytes at their offset, and read for what pages show.

Called by `protocol_api`; changes a job's state through `actions` alone.
"""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.utils import timezone
from pydantic import ValidationError

from playbook.contracts import events
from playbook.contracts.events import EVENT, Event
from playbook.contracts.protocol import MAX_EVENT_CHUNK_BYTES
from playbook.contracts.states import EndReason, Stage
from playbook.web.jobs import actions, curves, playground, predictions
from playbook.web.jobs.errors import Refused, StaleAttempt, TooLarge, WrongOffset
from playbook.web.jobs.models import Announcement, Attempt, EventChunk, Job, LogEntry

#: Far beyond the largest float32. What is larger, infinite or NaN has diverged.
_LARGEST = 1e100


def append_events(attempt: Attempt, *, offset: int, data: bytes) -> int:
    """Append whole lines to the attempt's events at `offset` and return the new length: the next offset.

    All or nothing. Raises WrongOffset when `offset` is not the present length (a replay, or a gap), StaleAttempt,
    TooLarge over `MAX_EVENT_CHUNK_BYTES`, and Refused when a line is not an event or the last one is not complete.
    """
    if len(data) > MAX_EVENT_CHUNK_BYTES:
        raise TooLarge(f"{len(data):,} bytes of events in one call; send at most {MAX_EVENT_CHUNK_BYTES:,}")
    if offset != attempt.event_bytes:
        raise WrongOffset(attempt.event_bytes)
    if not data:
        return offset
    parsed = _parse(data)
    with transaction.atomic():
        _advance(attempt, offset, len(data), parsed)
        EventChunk.objects.create(attempt=attempt, offset=offset, data=data)
        curves.keep(attempt, _points(parsed), at=timezone.now())
        _keep_log(attempt, parsed)
        _keep_announcements(attempt, parsed)
        _note_first_step(attempt, parsed)
        _note_not_finite(attempt, parsed)
        playground.keep_answers(attempt, (event for event in parsed if isinstance(event, events.Said)))
        if any(_is_under_way(event) for event in parsed):
            actions.start_running(attempt)
    return offset + len(data)


def _parse(data: bytes) -> list[Event]:
    if not data.endswith(b"\n"):
        raise Refused("the last event line is not complete; send whole lines, each ended by a newline")
    parsed = []
    for number, line in enumerate(data[:-1].split(b"\n"), start=1):
        try:
            parsed.append(EVENT.validate_json(line))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"]) or "line"
            shown = line[:200].decode(errors="replace")
            raise Refused(
                f"event line {number} of this call, {where}: {first['msg']}. The line is {shown!r}"
            ) from error
    return parsed


def _advance(attempt: Attempt, offset: int, size_bytes: int, parsed: list[Event]) -> None:
    """Move the acknowledged offset, and the progress that lists show, in one conditional update."""
    changes: dict[str, object] = {"event_bytes": offset + size_bytes}
    if stages := [stage for event in parsed if (stage := _stage(event))]:
        changes["stage"] = stages[-1]
    for event in parsed:
        if isinstance(event, events.StageStarted):  # what was done of the stage before says nothing of this one
            changes |= {"progress_done": None, "progress_total": None, "progress_unit": ""}
        elif isinstance(event, events.Progress):
            changes |= {
                "progress_done": event.done,
                "progress_total": event.total,
                "progress_unit": event.unit,
                "remaining_seconds": event.remaining_seconds,
                "progress_at": timezone.now(),
            }
    if Attempt.objects.live().filter(pk=attempt.pk, event_bytes=offset).update(**changes) == 1:
        return
    attempt.refresh_from_db()
    if attempt.ended_at is not None:
        raise StaleAttempt
    raise WrongOffset(attempt.event_bytes)


def _stage(event: Event) -> Stage | None:
    return event.stage if isinstance(event, events.StageStarted | events.Progress) else None


def _is_under_way(event: Event) -> bool:
    """Whether the work itself has begun: whatever comes after checking files or, in the playground, loading."""
    return isinstance(event, events.Ready) or _stage(event) not in (None, Stage.DATA)


def _points(parsed: Iterable[Event]) -> list[tuple[str, int, float]]:
    # A database cannot keep NaN everywhere (SQLite turns it into NULL), and no axis reaches what is as large as numbers
    # get; the chunk has it, the curve leaves it out.
    return [
        (name, event.step, value)
        for event in parsed
        if isinstance(event, events.MetricPoint)
        for name, value in event.values.items()
        if abs(value) < _LARGEST
    ]


def _note_not_finite(attempt: Attempt, parsed: Iterable[Event]) -> None:
    steps = [
        event.step
        for event in parsed
        if isinstance(event, events.MetricPoint) and not all(abs(value) < _LARGEST for value in event.values.values())
    ]
    if steps:
        Attempt.objects.filter(pk=attempt.pk, not_finite_step=None).update(not_finite_step=min(steps))


def _keep_log(attempt: Attempt, parsed: Iterable[Event]) -> None:
    lines = (line for event in parsed if (line := log_line(event)) is not None)
    LogEntry.objects.bulk_create(
        LogEntry(attempt=attempt, at=at, level=level, text=text.replace("\x00", "\N{REPLACEMENT CHARACTER}"))
        for at, level, text in lines
    )


def log_line(event: Event) -> tuple[datetime, str, str] | None:
    """Return (time, level, text) of an event that people read as a line of the log; None of the others."""
    match event:
        case events.Log():
            return event.at, event.level, event.message
        case events.StageStarted():
            return event.at, "info", f"Stage {event.stage} started."
        case events.StageFinished():
            return event.at, "info", f"Stage {event.stage} finished after {event.seconds:.1f} s."
        case events.CheckpointSaved():
            return event.at, "info", f"Checkpoint {event.name} saved."
        case events.Ended():
            # A cancelled run ended as it was asked to. Where nobody had asked, the state of the job says so.
            wanted = event.reason in (EndReason.COMPLETED, EndReason.CANCELLED_BY_USER)
            return event.at, "info" if wanted else "error", event.message
        case _:
            return None


def _keep_announcements(attempt: Attempt, parsed: Iterable[Event]) -> None:
    """Keep the last event of each kind that says something of the whole run."""
    announced = {
        event.kind: event
        for event in parsed
        if isinstance(event, events.Configured | events.Preflight | events.Predicted)
    }
    for kind, event in announced.items():
        Announcement.objects.update_or_create(attempt=attempt, kind=kind, defaults={"data": event.model_dump_json()})
        if isinstance(event, events.Predicted):
            predictions.keep(attempt, event)


def _note_first_step(attempt: Attempt, parsed: Iterable[Event]) -> None:
    trained = any(
        isinstance(event, events.MetricPoint) and event.step > 0 and "train_loss" in event.values for event in parsed
    )
    if trained:
        Job.objects.filter(pk=attempt.job_id, first_step_at=None).update(first_step_at=timezone.now())
