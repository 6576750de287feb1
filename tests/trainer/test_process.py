"""The trainer as a process: killed and resumed, and cancelled."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from playbook.contracts.events import CheckpointSaved, Ended, Log, MetricPoint
from playbook.contracts.report import TrainingSummary
from playbook.contracts.states import EndReason
from tests.trainer.conftest import MakeRun, Train, events_of, events_so_far, meanwhile, report_of, start_trainer
from tests.waiting import DEADLINE_SECONDS, wait_for

STEPS = 100
LONG_RUN = {"max_steps": 4000, "save_steps": 3, "eval_steps": 4000}


def wait_for_step(folder: Path, process: "subprocess.Popen[str]", step: int) -> None:
    """Return once `step` is in the events. Fails when the trainer ends first or the deadline passes."""
    wait_for(lambda: has_step(folder, step), during=process)


def has_step(folder: Path, step: int) -> bool:
    path = folder / "events.jsonl"
    return path.exists() and f'"kind":"metric","step":{step},'.encode() in path.read_bytes()


def curve(folder: Path) -> dict[int, float]:
    """Return the train loss by step; of a step that was made twice the later one."""
    return {
        event.step: event.values["train_loss"]
        for event in events_of(folder)
        if isinstance(event, MetricPoint) and "train_loss" in event.values
    }


#: Steps until the kill, steps between checkpoints, and whether a process of its own goes on: one of that is enough,
#: for each loads torch anew, and goes on by the same function.
KILLS = [
    pytest.param(1, 5, False, id="before the first checkpoint"),
    pytest.param(5, 5, False, id="as a checkpoint is saved"),
    pytest.param(12, 5, True, id="between two checkpoints, then as a process"),
    pytest.param(30, 1, False, id="while every step is saved"),
]


@pytest.fixture(scope="module")
def uninterrupted() -> dict[str, object]:
    """The loss curve and the report of a run that nobody killed, kept by the first test that makes it."""
    return {}


@pytest.mark.parametrize(("kill_at", "save_steps", "as_a_process"), KILLS)
def test_a_killed_run_resumes_on_the_same_loss_curve(
    make_run: MakeRun,
    train: Train,
    tiny_models_dir: Path,
    uninterrupted: dict[str, object],
    kill_at: int,
    save_steps: int,
    as_a_process: bool,
) -> None:
    training = {"max_steps": STEPS, "save_steps": save_steps, "eval_steps": STEPS, "learning_rate": 0.001}
    if not uninterrupted:
        whole = make_run(name="whole", training=training, lora={"lora_dropout": 0.1})
        assert train(whole) == 0
        uninterrupted |= {"report": report_of(whole).training, "curve": curve(whole)}
    killed = make_run(name="killed", training=training, lora={"lora_dropout": 0.1})

    first = start_trainer(killed, tiny_models_dir)
    wait_for_step(killed, first, kill_at)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    saved = [event.step for event in events_so_far(killed) if isinstance(event, CheckpointSaved)]
    if as_a_process:
        second = start_trainer(killed, tiny_models_dir)
        _, errors = second.communicate(timeout=DEADLINE_SECONDS)
        assert second.returncode == 0, errors
    else:
        assert train(killed) == 0

    assert not saved or saved[-1] < STEPS
    went_on = [text for text in logs_of(killed) if text.startswith("Going on from")]
    # A checkpoint may be complete whose event was not yet written when the process died.
    assert len(went_on) == 1 if saved else len(went_on) <= 1
    assert curve(killed) == pytest.approx(uninterrupted["curve"], abs=1e-4)
    resumed, reference = report_of(killed).training, uninterrupted["report"]
    assert isinstance(resumed, TrainingSummary)
    assert isinstance(reference, TrainingSummary)
    assert (resumed.steps, resumed.tokens, resumed.supervised_tokens) == (
        reference.steps,
        reference.tokens,
        reference.supervised_tokens,
    )


def logs_of(folder: Path) -> list[str]:
    return [event.message for event in events_of(folder) if isinstance(event, Log)]


def test_sigterm_ends_the_run_at_the_next_step_as_cancelled(make_run: MakeRun, tiny_models_dir: Path) -> None:
    folder = make_run(training=LONG_RUN)
    process = start_trainer(folder, tiny_models_dir)
    wait_for_step(folder, process, 1)

    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=DEADLINE_SECONDS)

    last = events_of(folder)[-1]
    assert process.returncode == 1
    assert isinstance(last, Ended)
    assert (last.reason, last.message) == (EndReason.CANCELLED_BY_USER, "The run was stopped (SIGTERM).")
    assert not (folder / "report.json").exists()
    assert "cancelled_by_user" in errors


def test_a_lease_that_nobody_renews_ends_the_run(make_run: MakeRun, train: Train) -> None:
    folder = make_run(training=LONG_RUN)
    (folder / "lease").touch()
    long_ago = time.time() - 7200

    with meanwhile(lambda: has_step(folder, 1), lambda: os.utime(folder / "lease", (long_ago, long_ago))):
        assert train(folder, "--max-lease-age", "3600") == 1

    last = events_of(folder)[-1]
    assert isinstance(last, Ended)
    assert last.reason is EndReason.LEASE_LOST


def test_a_run_folder_that_is_none_is_a_wrong_command(tmp_path: Path, tiny_models_dir: Path) -> None:
    process = start_trainer(tmp_path / "nowhere", tiny_models_dir)
    _, errors = process.communicate(timeout=DEADLINE_SECONDS)

    assert process.returncode == 2
    assert "is not a folder; create it with a spec.json and inputs/." in errors
