"""Each test runs a small supervisor as a real process, because it changes signal handlers and adopts orphans."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.waiting import DEADLINE_SECONDS, wait_for

#: Says no to SIGTERM, as does its grandchild, which has a session of its own, as a trainer has.
STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)  # which the grandchild inherits
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
signal.signal(signal.SIGTERM, lambda *_: print("no", flush=True))
print("up", flush=True)
time.sleep(600)
"""
SUPERVISOR = """
import pathlib, signal, sys
from playbook.demo import processes
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which a test run under nohup hands down as ignored
processes.GRACE_SECONDS = 1.0
folder = pathlib.Path(sys.argv[1])
try:
    with processes.Processes(cwd=folder, environment={}, log_dir=folder / "log") as running:
        running.start("service one", [sys.executable, "-c", sys.argv[2]])
        print("started", flush=True)
        running.watch()
except processes.ChildFailed as failure:
    print(failure)
except processes.Stopped as stopped:
    print("stopped by", stopped)
"""


def _supervisor(folder: Path, service: str, script: str = SUPERVISOR) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(folder), service],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path.cwd())},
    )


def _wait_for(file: Path, text: str) -> None:
    """Wait until this line stands in the file."""
    wait_for(lambda: file.exists() and text in file.read_text().splitlines())


def _all_below(supervisor: subprocess.Popen[str], folder: Path) -> list[psutil.Process]:
    """Return the processes below the supervisor, once it and its service have said that they run."""
    assert supervisor.stdout is not None
    assert supervisor.stdout.readline() == "started\n"
    _wait_for(folder / "log/service-one.log", "up")
    return psutil.Process(supervisor.pid).children(recursive=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_stop_signal_ends_a_stubborn_service_and_its_detached_child(tmp_path: Path, number: signal.Signals) -> None:
    with _supervisor(tmp_path, STUBBORN) as supervisor:
        below = _all_below(supervisor, tmp_path)
        supervisor.send_signal(number)
        output, _ = supervisor.communicate(timeout=DEADLINE_SECONDS)
    assert len(below) == 2
    assert [process for process in below if process.is_running()] == []
    assert output == f"stopped by {number.name}\n"


def test_second_ctrl_c_does_not_wait_for_the_grace_period(tmp_path: Path) -> None:
    with _supervisor(tmp_path, STUBBORN, SUPERVISOR.replace("= 1.0", "= 600.0")) as supervisor:
        below = _all_below(supervisor, tmp_path)
        supervisor.send_signal(signal.SIGINT)
        _wait_for(tmp_path / "log/service-one.log", "no")
        supervisor.send_signal(signal.SIGINT)
        supervisor.communicate(timeout=DEADLINE_SECONDS)
    assert [process for process in below if process.is_running()] == []


def test_service_that_ends_is_named_with_its_code_and_the_end_of_its_log(tmp_path: Path) -> None:
    with _supervisor(tmp_path, "import sys; [print('line', n) for n in range(30)]; sys.exit(3)") as supervisor:
        output, _ = supervisor.communicate(timeout=DEADLINE_SECONDS)
    tail = "".join(f"    line {n}\n" for n in range(15, 30))
    assert output == (
        f"started\nservice one ended with exit code 3; the end of {tmp_path}/log/service-one.log:\n{tail}"
    )


def test_service_killed_by_a_signal_is_named_with_the_signal(tmp_path: Path) -> None:
    with _supervisor(tmp_path, "import os; os.kill(os.getpid(), 9)") as supervisor:
        output, _ = supervisor.communicate(timeout=DEADLINE_SECONDS)
    assert output.splitlines()[1] == (
        f"service one ended with signal SIGKILL; the end of {tmp_path}/log/service-one.log:"
    )


def test_killed_supervisor_takes_a_willing_service_with_it(tmp_path: Path) -> None:
    with _supervisor(tmp_path, "import time; print('up', flush=True); time.sleep(600)") as supervisor:
        below = _all_below(supervisor, tmp_path)
        supervisor.kill()
    gone, alive = psutil.wait_procs(below, timeout=DEADLINE_SECONDS)
    assert (len(gone), alive) == (1, [])


def test_log_of_the_previous_run_is_kept(tmp_path: Path) -> None:
    for text in ("first", "second"):
        with _supervisor(tmp_path, f"print('{text}')") as supervisor:
            supervisor.communicate(timeout=DEADLINE_SECONDS)
    logs = {file.name: file.read_text() for file in (tmp_path / "log").iterdir()}
    assert logs == {"service-one.log": "second\n", "service-one.log.1": "first\n"}
