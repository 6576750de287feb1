"""Curves over attempts, the end of the log, and the last event of a kind."""

from django.test import Client

from playbook.contracts import events
from playbook.contracts.states import Stage
from playbook.web.jobs import actions, curves, queries
from playbook.web.jobs.models import Attempt, Job
from playbook.web.jobs.queries import Announced, LogLine
from tests.web.jobs.conftest import Caller
from tests.web.jobs.factories import AT, event_file
from tests.web.jobs.test_protocol import lines, metric


def test_curve_of_a_later_attempt_replaces_from_its_first_step(caller: Caller, job: Job) -> None:
    first = caller.claimed()
    caller.events(first, lines(*(metric(step, train_loss=2.0, grad_norm=1.0) for step in range(1, 6))))
    actions.release(Attempt.objects.get())
    second = caller.claimed()
    caller.events(second, lines(*(metric(step, train_loss=1.0) for step in (4, 5, 6))))

    assert curves.of_jobs([job], ["train_loss", "grad_norm", "validation_loss"])[job.pk] == {
        "train_loss": [(1, 2.0), (2, 2.0), (3, 2.0), (4, 1.0), (5, 1.0), (6, 1.0)],
        "grad_norm": [(1, 1.0), (2, 1.0), (3, 1.0)],
        "validation_loss": [],
    }


def test_curve_is_thinned_and_keeps_both_ends_and_the_spike(caller: Caller, job: Job) -> None:
    points = [metric(step, train_loss=99.0 if step == 613 else float(step % 10)) for step in range(1, 1001)]
    caller.events(caller.claimed(), lines(*points))
    found = curves.of_jobs([job], ["train_loss"], max_points=6)[job.pk]["train_loss"]
    assert found == [(1, 1.0), (9, 9.0), (10, 0.0), (510, 0.0), (613, 99.0), (1000, 0.0)]


def test_log_tail_reads_the_last_lines_over_chunks_and_attempts(caller: Caller, job: Job) -> None:
    first = caller.claimed()
    one = lines(events.StageStarted(at=AT, stage=Stage.DATA), events.Log(at=AT, message="one"), metric(1, train_loss=1))
    caller.events(first, one)
    two = lines(events.Log(at=AT, level=events.LogLevel.WARNING, message="two"))
    caller.events(first, two, offset=len(one))
    actions.release(Attempt.objects.get())
    caller.events(caller.claimed(), lines(events.CheckpointSaved(at=AT, step=10, name="step-000010")))

    everything = [
        LogLine(1, AT, "info", "Stage data started."),
        LogLine(1, AT, "info", "one"),
        LogLine(1, AT, "warning", "two"),
        LogLine(2, AT, "info", "Checkpoint step-000010 saved."),
    ]
    assert queries.log_tail(job) == everything
    assert queries.log_tail(job, lines=2) == everything[-2:]


def test_log_tail_searches_without_regard_to_case_and_by_level(caller: Caller, job: Job) -> None:
    warning = events.Log(at=AT, level=events.LogLevel.WARNING, message="Row 7 was CUT, by 100 % of \x00 it")
    caller.events(caller.claimed(), lines(events.Log(at=AT, message="one"), warning))
    found = [LogLine(1, AT, "warning", "Row 7 was CUT, by 100 % of \N{REPLACEMENT CHARACTER} it")]
    assert queries.log_tail(job, search="cut, by 100 %") == found
    assert queries.log_tail(job, level="warning") == found
    assert queries.log_tail(job, search="_") == []


def test_what_was_announced_is_the_last_of_each_kind_of_the_attempt(caller: Caller, job: Job) -> None:
    configured = events.Configured(
        at=AT, effective={"compute_dtype": "bfloat16"}, trainable_parameters=1, total_parameters=2
    )
    assert queries.announced(None) == Announced()
    claim = caller.claimed()
    first = lines(configured.model_copy(update={"trainable_parameters": 9}))
    caller.events(claim, first)
    caller.events(claim, lines(configured, metric(1, train_loss=1.0)), offset=len(first))
    assert queries.announced(Attempt.objects.get()) == Announced(configured=configured)


def test_event_file_is_empty_before_the_first_attempt(job: Job, client: Client) -> None:
    assert event_file(job) == b""
