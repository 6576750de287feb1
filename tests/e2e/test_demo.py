"""How the demo starts and ends. What it shows is `test_whole_loop`'s matter."""

import signal
from pathlib import Path

import httpx
import pytest

from tests.e2e.demo import Demo, database
from tests.waiting import DEADLINE_SECONDS

pytestmark = pytest.mark.model


def test_second_start_keeps_the_data_and_a_closed_terminal_leaves_no_process(tmp_path: Path) -> None:
    with database() as environ:
        first = Demo(tmp_path, environ)
        password = first.password
        assert first.stop(signal.SIGTERM) == (0, [])
        second = Demo(tmp_path, environ)
        health = httpx.get(f"{second.address}/healthz", trust_env=False, timeout=DEADLINE_SECONDS).json()
        assert second.stop(signal.SIGHUP) == (0, [])
    assert second.password == password
    assert f"password for each: {password}" in second.output
    assert (health["status"], health["base_models"]) == ("ok", ["smollm2-135m-instruct"])
    assert second.output.endswith("Stopped.\n")


@pytest.mark.parametrize(
    ("name", "words"), [("worker", ["playbook.worker"]), ("site", ["gunicorn", "playbook.web.wsgi"])]
)
def test_service_that_dies_is_named_and_the_rest_is_stopped(tmp_path: Path, name: str, words: list[str]) -> None:
    with database() as environ:
        demo = Demo(tmp_path, environ)
        try:
            below = demo.below()
            demo.child(*words).kill()
            assert demo.process.wait(DEADLINE_SECONDS) == 1
        finally:
            demo.stop()
    assert f"\n{name} ended with signal SIGKILL; the end of {tmp_path}/log/{name}.log:\n" in demo.output
    assert [process for process in below if process.is_running()] == []
