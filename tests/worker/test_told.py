"""A signal may come between any two instructions of the thread that waits for it."""

import sys
from types import FrameType
from typing import Any

import pytest

from playbook.worker.told import Told


def test_a_signal_between_any_two_lines_of_the_wait_ends_it() -> None:
    """`Event.set` would wait here for a lock that its own thread holds."""
    met = 0
    for at in range(1, 9):
        stopping, lines = Told(), 0

        def handler(frame: FrameType, event: str, _: Any, stopping: Told = stopping, at: int = at) -> Any:
            nonlocal lines
            if frame.f_code.co_name in ("wait", "is_set", "set") and event == "line":
                lines += 1
                if lines == at:
                    stopping.set()
            return handler

        before = sys.gettrace()
        sys.settrace(handler)
        try:
            stopping.wait(0.3)
        finally:
            sys.settrace(before)
        met += lines >= at
        assert stopping.is_set() == (lines >= at)

    assert met >= 3


def test_a_wait_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    now = [0.0]

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    monkeypatch.setattr("time.sleep", sleep)
    monkeypatch.setattr("time.monotonic", lambda: now[0])

    Told().wait(0.25)

    assert slept == pytest.approx([0.1, 0.1, 0.05])
