"""Spinning threads on an idle machine, sleeping ones beside other work, and never against the user's own setting."""

import os
from pathlib import Path

import pytest

from playbook.trainer import threads

TICKS = 100  # a second


@pytest.fixture(autouse=True)
def _unset(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (threads.POLICY, threads.SPIN_COUNT):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: {0, 1})
    monkeypatch.setattr("os.sysconf", lambda name: TICKS)


def looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, idle_ticks: int) -> None:
    """A second in which two cores were idle for `idle_ticks` ticks together, a tick of it waiting for a disk."""
    stat = tmp_path / "stat"
    stat.write_text("cpu  500 0 90 4000 10 0 3 0 0 0\ncpu0 1 1 1 1 1\n")
    monkeypatch.setattr(threads, "_STAT", stat)
    later = f"cpu  700 0 95 {4000 + idle_ticks - 1} 11 0 3 0 0 0\ncpu0 1 1 1 1 1\n"
    monkeypatch.setattr("time.sleep", lambda seconds: stat.write_text(later))


@pytest.mark.parametrize(
    ("idle_ticks", "chosen", "name", "value"),
    [(198, "spin", threads.SPIN_COUNT, threads.SPIN), (110, "sleep", threads.POLICY, "PASSIVE")],
)
def test_threads_spin_only_on_an_idle_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, idle_ticks: int, chosen: str, name: str, value: str
) -> None:
    looked_at(tmp_path, monkeypatch, idle_ticks=idle_ticks)

    assert threads.choose_waiting(look_seconds=1.0) == chosen

    assert os.environ[name] == value


def test_what_somebody_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(threads.POLICY, "ACTIVE")

    assert threads.choose_waiting() == "as set"

    assert (os.environ[threads.POLICY], threads.SPIN_COUNT in os.environ) == ("ACTIVE", False)


def test_threads_sleep_where_the_kernel_does_not_tell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_STAT", tmp_path / "missing")

    assert threads.choose_waiting(look_seconds=0.0) == "sleep"
