"""Runs that end badly, at each of their stages: told to stop, killed, without memory, on a full disk.

Each ends with its reason, keeps what it had, and goes on when the same command is given again.
"""

import hashlib
import json
import os
import resource
import shutil
import signal
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from playbook.contracts.report import Report
from playbook.contracts.states import EndReason
from tests.trainer.conftest import MakeRun, Train, ended, report_of
from tests.trainer.test_bad_input import steps_of

#: Moments of a run of four steps, by the function that is about to be called, in its module, for the so-many-th time.
DATA = ("prepare", "build_questions", 1)
CHECK = ("__main__", "check", 1)
LOAD = ("run", "load_for_training", 1)
LAST_STEP = ("train", "_one_step", 4)
SAVING = ("run", "save_tuned", 1)
HALF_SAVED = ("artifacts", "_describe", 1)
BASE_ARM = ("measure", "_measure", 1)
TUNED_ARM = ("measure", "_measure", 2)
EXPORT = ("run", "compare_export", 1)
REPORT = ("run", "_write_report", 1)
Moment = tuple[str, str, int]


def at(moment: Moment, act: Callable[[], object], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have `act` called when a run comes to this moment; once."""
    name, function, number = moment
    module = import_module(f"playbook.trainer.{name}")
    real, calls = getattr(module, function), list[int]()

    def acting(*arguments: Any, **named: Any) -> Any:
        calls.append(1)
        if len(calls) == number:
            act()
        return real(*arguments, **named)

    monkeypatch.setattr(module, function, acting)


def is_whole(folder: Path) -> bool:
    """Tell whether a run left what a completed one leaves, and nothing half written."""
    adapter = folder / "artifacts" / "adapter"
    files = json.loads((adapter / "manifest.json").read_bytes())["files"]
    assert files == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in adapter.iterdir()
        if path.name != "manifest.json"
    }
    assert sorted(path.name for path in (folder / "artifacts").iterdir()) == ["adapter"]
    return not report_of(folder).partial and not list(folder.rglob("*.partial"))


def answers_of(report: Report) -> list[list[str]]:
    return [[item.output for item in arm.items] for arm in report.arms]


@pytest.mark.parametrize("moment", [DATA, CHECK, LOAD, LAST_STEP, SAVING, BASE_ARM, TUNED_ARM], ids=lambda one: one[1])
def test_a_run_that_is_told_to_stop_is_cancelled_at_any_stage_and_goes_on_later(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch, moment: Moment
) -> None:
    folder = make_run()
    at(moment, lambda: os.kill(os.getpid(), signal.SIGTERM), monkeypatch)

    assert train(folder) == 1

    last = ended(folder)
    assert (last.reason, last.message) == (EndReason.CANCELLED_BY_USER, "The run was stopped (SIGTERM).")
    recorded = (folder / "events.jsonl").read_bytes()
    # A base arm that was not begun has answered nothing.
    assert (folder / "report.json").exists() == (moment == TUNED_ARM)
    assert train(folder) == 0
    assert (folder / "events.jsonl").read_bytes().startswith(recorded)
    # Those after the last checkpoint are made again.
    assert steps_of(folder) == [1, 2, 3, 4] + ([3, 4] if moment == LAST_STEP else [])
    assert is_whole(folder)


@pytest.mark.parametrize("moment", [SAVING, HALF_SAVED, BASE_ARM, TUNED_ARM, REPORT], ids=lambda one: one[1])
def test_a_run_killed_after_its_training_measures_without_training_again(
    make_run: MakeRun, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: Moment
) -> None:
    """What a process that is killed leaves is what lies on the disk at that moment."""
    folder, killed = make_run(), tmp_path / "killed"
    at(moment, lambda: shutil.copytree(folder, killed), monkeypatch)
    assert train(folder) == 0

    assert not (killed / "artifacts" / "adapter").exists() or moment not in (SAVING, HALF_SAVED)
    assert train(killed) == 0

    assert steps_of(killed) == [1, 2, 3, 4]
    assert is_whole(killed)
    assert answers_of(report_of(killed)) == answers_of(report_of(folder))


def test_answers_of_a_run_that_is_told_to_stop_among_them_are_judged_by_every_metric(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluation = {"max_new_tokens": 4, "batch_size": 1, "metric": "json_valid", "secondary_metrics": ["perplexity"]}
    folder = make_run(training={"max_steps": 1}, evaluation=evaluation)
    at(("generate", "generate", 3), lambda: os.kill(os.getpid(), signal.SIGTERM), monkeypatch)

    assert train(folder) == 1

    (arm,) = report_of(folder).arms
    assert [(item.error, item.expected_nats is not None) for item in arm.items] == [(None, True)] * 2


def test_a_run_that_ends_while_it_measures_keeps_what_came_of_its_forecast(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The time was foretold for the whole run, so there is nothing to hold it against."""
    folder = make_run()
    at(TUNED_ARM, lambda: os.kill(os.getpid(), signal.SIGTERM), monkeypatch)

    assert train(folder) == 1

    training = report_of(folder).training
    assert training is not None
    assert training.forecast is not None
    assert training.forecast.peak_memory_bytes == training.peak_memory_bytes
    assert training.forecast.seconds is None


def fails(error: Exception) -> Callable[[], None]:
    """Return what raises `error` when it is called."""

    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("moment", "error", "advice", "arms"),
    [
        (DATA, MemoryError(), "Bring fewer or shorter rows", None),
        (CHECK, RuntimeError("std::bad_alloc"), "Bring fewer or shorter rows", None),
        (LAST_STEP, MemoryError(), "The checkpoint of step 2 is kept", None),
        (SAVING, MemoryError(), "Training is over and its last checkpoint is kept: use a worker with more", None),
        (TUNED_ARM, MemoryError(), "Lower batch_size and max_new_tokens of the measurement", ["zero_shot"]),
        (EXPORT, RuntimeError("std::bad_alloc"), "Lower batch_size and max_new_tokens", ["zero_shot", "lora"]),
    ],
    ids=lambda one: one[1] if isinstance(one, tuple) else "",
)
def test_memory_that_runs_out_at_any_stage_says_what_to_change_there_and_keeps_what_there_was(
    make_run: MakeRun,
    train: Train,
    monkeypatch: pytest.MonkeyPatch,
    moment: Moment,
    error: Exception,
    advice: str,
    arms: list[str] | None,
) -> None:
    folder = make_run()
    at(moment, fails(error), monkeypatch)

    assert train(folder) == 1

    assert ended(folder).reason is EndReason.OUT_OF_MEMORY
    assert advice in ended(folder).message
    kept = report_of(folder) if (folder / "report.json").exists() else None
    assert (None if kept is None else [str(arm.arm) for arm in kept.arms]) == arms


def _let_files_grow_to(size_bytes: int) -> None:
    """Have the system refuse more, as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.fixture
def disk() -> Iterator[None]:
    """Gives a full disk room again after the test."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _fill_up_for(path: Path) -> None:
    """Have no room for what is written beside its final name."""
    path.with_name(f".{path.name}.partial").symlink_to("/dev/full")


@pytest.mark.usefixtures("disk")
@pytest.mark.parametrize("what", ["adapter", "best", "manifest", "report"])
def test_a_disk_that_is_full_keeps_what_there_was_and_the_run_goes_on_once_there_is_room(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    folder = make_run(training={"load_best_model_at_end": True})
    moment, fill = {
        "adapter": (SAVING, lambda: _let_files_grow_to(100_000)),
        "best": (("train", "save_best", 2), lambda: _let_files_grow_to(100_000)),
        "manifest": (EXPORT, lambda: _fill_up_for(folder / "artifacts" / "adapter" / "manifest.json")),
        "report": (REPORT, lambda: _fill_up_for(folder / "report.json")),
    }[what]
    at(moment, fill, monkeypatch)

    assert train(folder) == 1

    assert ended(folder).reason is EndReason.DISK_FULL
    assert ended(folder).message.endswith("Free space on the worker and launch again.")
    assert not list(folder.rglob("*.partial"))
    assert (folder / "artifacts" / "adapter").exists() == (what in ("manifest", "report"))
    recorded = (folder / "events.jsonl").read_bytes()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert train(folder) == 0
    assert (folder / "events.jsonl").read_bytes().startswith(recorded)
    assert is_whole(folder)
