"""How the demo starts and ends. What it shows is `test_whole_loop`'s matter."""

import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.demo import Demo, database
from tests.waiting import DEADLINE_SECONDS

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder for all starts of this module: the first fills it, and a later start is a matter of seconds."""
    return tmp_path_factory.mktemp("demo")


@pytest.fixture(scope="module")
def environ() -> Iterator[dict[str, str]]:
    with database() as found:
        yield found


def _kill(demo: Demo, name: str, *words: str) -> None:
    """Kill the service whose command line holds the words: it is named, and the rest is stopped."""
    try:
        below = demo.below()
        demo.child(*words).kill()
        assert demo.process.wait(DEADLINE_SECONDS) == 1
    finally:
        demo.stop()
    assert f"\n{name} ended with signal SIGKILL; the end of {demo.data_dir}/log/{name}.log:\n" in demo.output
    assert [process for process in below if process.is_running()] == []


def test_second_start_after_a_worker_that_died_keeps_the_data_and_a_closed_terminal_leaves_no_process(
    data_dir: Path, environ: dict[str, str]
) -> None:
    first = Demo(data_dir, environ)
    password = first.password
    _kill(first, "worker", "playbook.worker")
    second = Demo(data_dir, environ)
    health = httpx.get(f"{second.address}/healthz", trust_env=False, timeout=DEADLINE_SECONDS).json()
    assert second.stop(signal.SIGHUP) == (0, [])
    assert second.password == password
    assert f"password for each: {password}" in second.output
    assert (health["status"], health["base_models"]) == ("ok", ["smollm2-135m-instruct"])
    assert second.output.endswith("Stopped.\n")


def test_site_that_dies_is_named_and_the_rest_is_stopped(data_dir: Path, environ: dict[str, str]) -> None:
    _kill(Demo(data_dir, environ), "site", "gunicorn", "playbook.web.wsgi")
