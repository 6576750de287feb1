"""The trainer as a process: killed and resumed, and cancelled."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from playbook.contracts.events import CheckpointSaved, Ended, Log, MetricPoint
from playbook.contracts.report import Report
from playbook.contracts.states import EndReason
from tests.trainer.conftest import MakeRun, events_of, start_trainer

DEADLINE_SECONDS = 120
STEPS = 100
LONG_RUN = {"max_steps": 4000, "save_steps": 3, "eval_steps": 4000}


def wait_for_step(folder: Path, process: "subprocess.Popen[str]", step: int) -> None:
    """Return once `step` is in the events. Fails when the trainer ends first or the deadline passes."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        path = folder / "events.jsonl"
        if path.exists() and f'"kind":"metric","step":{step},' in path.read_text():
            return
        time.sleep(0.02)
    pytest.fail(f"step {step} did not come within {DEADLINE_SECONDS} s")


def curve(folder: Path) -> dict[int, float]:
    """Return the train loss by step; of a step that was made twice the later one."""
    return {
        event.step: event.values["train_loss"]
        for event in events_of(folder)
        if isinstance(event, MetricPoint) and "train_loss" in event.values
    }


def test_a_killed_run_resumes_on_the_same_loss_curve(make_run: MakeRun, tiny_models_dir: Path) -> None:
    training = {"max_steps": STEPS, "save_steps": 5, "eval_steps": STEPS, "learning_rate": 0.001}
    whole = make_run(name="whole", training=training, lora={"lora_dropout": 0.1})
    killed = make_run(name="killed", training=training, lora={"lora_dropout": 0.1})
    reference_run = start_trainer(whole, tiny_models_dir)
    _, errors = reference_run.communicate(timeout=DEADLINE_SECONDS)
    assert reference_run.returncode == 0, errors

    first = start_trainer(killed, tiny_models_dir)
    wait_for_step(killed, first, 12)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    saved = [event.step for event in events_of_killed(killed) if isinstance(event, CheckpointSaved)]
    second = start_trainer(killed, tiny_models_dir)
    _, errors = second.communicate(timeout=DEADLINE_SECONDS)

    assert second.returncode == 0, errors
    assert saved[-1] < STEPS
    assert f"Going on from step-{saved[-1]:06d}; {STEPS - saved[-1]} steps are left." in logs_of(killed)
    assert curve(killed) == pytest.approx(curve(whole), abs=1e-4)
    resumed = Report.model_validate_json((killed / "report.json").read_bytes()).training
    assert resumed is not None
    reference = Report.model_validate_json((whole / "report.json").read_bytes()).training
    assert reference is not None
    assert (resumed.steps, resumed.tokens, resumed.supervised_tokens) == (
        reference.steps,
        reference.tokens,
        reference.supervised_tokens,
    )


def logs_of(folder: Path) -> list[str]:
    return [event.message for event in events_of(folder) if isinstance(event, Log)]


def events_of_killed(folder: Path) -> list[object]:
    """The events without a last half line, which the next start cuts off."""
    path = folder / "events.jsonl"
    path.write_bytes(path.read_bytes()[: path.read_bytes().rfind(b"\n") + 1])
    return list(events_of(folder))


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


def test_a_lease_that_nobody_renews_ends_the_run(make_run: MakeRun, tiny_models_dir: Path) -> None:
    folder = make_run(training=LONG_RUN)
    (folder / "lease").touch()
    process = start_trainer(folder, tiny_models_dir, "--max-lease-age", "60")
    wait_for_step(folder, process, 1)

    os.utime(folder / "lease", (time.time() - 100, time.time() - 100))
    process.communicate(timeout=DEADLINE_SECONDS)

    last = events_of(folder)[-1]
    assert process.returncode == 1
    assert isinstance(last, Ended)
    assert last.reason is EndReason.LEASE_LOST


def test_a_run_folder_that_is_none_is_a_wrong_command(tmp_path: Path, tiny_models_dir: Path) -> None:
    process = start_trainer(tmp_path / "nowhere", tiny_models_dir)
    _, errors = process.communicate(timeout=DEADLINE_SECONDS)

    assert process.returncode == 2
    assert "is not a folder; create it with a spec.json and inputs/." in errors
