"""The steps of `make demo`, one line each, in the order in which they happen."""

import contextlib
import http.client
import json
import os
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playbook.demo.install import install, is_installed
from playbook.demo.preflight import FIRST_INSTALL_BYTES, Refused, lock, require_free_disk, require_free_port
from playbook.demo.processes import ChildFailed, Processes, Stopped
from playbook.demo.settings import EXTRAS, DemoSettings

READY_SECONDS = 60.0


def main() -> int:
    """Run the demo until it is told to stop. Returns the exit code: 0 after a stop, 1 after a failure."""
    try:
        settings = DemoSettings.from_environ()
        if not settings.runs_in_venv:
            _prepare_venv(settings)
            # The same command again, now in the virtual environment. The lock is closed by exec and taken anew.
            os.execv(settings.venv_python, [str(settings.venv_python), "-m", "playbook.demo"])  # noqa: S606
        _run(settings)
    except (Refused, ChildFailed) as failure:
        _say(f"\n{failure}")
        return 1
    except (Stopped, KeyboardInterrupt):
        _say("Stopped.")
    return 0


def _prepare_venv(settings: DemoSettings) -> None:
    """Check the machine, and install the packages unless they are there."""
    require_free_port(settings.port)
    with lock(settings.data_dir), _processes(settings) as processes:
        _say(f"Python {platform.python_version()}, port {settings.port} is free.")
        if is_installed(settings, EXTRAS):
            return
        free_bytes = require_free_disk(settings.root, FIRST_INSTALL_BYTES)
        _say(f"{free_bytes / 1e9:.0f} GB of disk are free.")
        with _step("Installing packages into .venv, some minutes the first time"):
            install(settings, EXTRAS, processes)


def _run(settings: DemoSettings) -> None:
    """Prepare model, database and people, start site and worker, then wait until one ends or we are told to stop."""
    require_free_port(settings.port)
    python = str(settings.venv_python)
    token = settings.data_dir / "worker-token"
    with lock(settings.data_dir), _processes(settings) as processes:
        processes.run(
            "sample model",
            [python, "-m", "playbook.trainer.sample_model", "--models-dir", str(settings.models_dir)],
            shown=True,
        )
        with _step("Preparing database, static files and demo people"):
            processes.run("prepare", [python, "manage.py", "prepare_demo", str(token)])
        with _step(f"Starting the site and one worker on {settings.address}"):
            processes.start("site", _site_command(settings))
            processes.start("worker", _worker_command(settings, token))
            health = _wait_until_ready(settings, processes)
        _say(_welcome(settings, health))
        try:
            processes.watch()
        except Stopped:
            _say("Stopping. A running job goes on at the next start.")
            raise


def _site_command(settings: DemoSettings) -> list[str]:
    """gunicorn. Two processes use two cores; threads, because most requests wait: for SQLite's one write lock, or for
    the next 8 MiB chunk of an artifact."""
    shared_memory = Path("/dev/shm")  # noqa: S108 - gunicorn's heartbeat file, which must not wait for a disk
    return [
        *(str(settings.venv_python), "-m", "gunicorn", "playbook.web.wsgi", "--bind", f"127.0.0.1:{settings.port}"),
        *("--config", "python:playbook.web.gunicorn_conf"),
        *("--workers", "2", "--threads", "8", "--graceful-timeout", "5", "--no-control-socket"),
        *(("--worker-tmp-dir", str(shared_memory)) if shared_memory.is_dir() else ()),
    ]


def _worker_command(settings: DemoSettings, token: Path) -> list[str]:
    return [
        *(str(settings.venv_python), "-m", "playbook.worker", "--site", settings.address, "--token-file", str(token)),
        *("--work-dir", str(settings.data_dir / "runs"), "--models-dir", str(settings.models_dir)),
    ]


def _wait_until_ready(settings: DemoSettings, processes: Processes) -> dict[str, Any]:
    """Return the answer of /healthz once it is 200. Raises ChildFailed when a service ends, Refused after a minute."""
    deadline = time.monotonic() + READY_SECONDS
    answer = "no answer yet"
    while time.monotonic() < deadline:
        processes.check()
        with contextlib.suppress(OSError, http.client.HTTPException):
            connection = http.client.HTTPConnection("127.0.0.1", settings.port, timeout=5)
            connection.request("GET", "/healthz")
            response = connection.getresponse()
            answer = response.read().decode(errors="replace")
            connection.close()
            if response.status == 200:
                health: dict[str, Any] = json.loads(answer)
                return health
        time.sleep(0.2)
    raise Refused(
        f"{settings.address}/healthz was not ready after {READY_SECONDS:.0f} s and answers {answer}; "
        f"read the logs in {settings.log_dir}."
    )


def _welcome(settings: DemoSettings, health: dict[str, Any]) -> str:
    people = json.loads((settings.data_dir / "demo-people.json").read_text())
    lines = [
        "",
        f"  Playbook is ready: {settings.address}",
        "",
        *(f"    {person['username']:<9} {person['name']:<20} {person['part']}" for person in people["people"]),
        f"    password for each: {people['password']}",
        "",
        f"  Logs: {settings.log_dir}   Stop: Ctrl-C",
    ]
    if problems := health["content"]["problems"]:
        lines.append(f"  {problems} problems in the content files; see {settings.address}/healthz")
    return "\n".join(lines)


def _processes(settings: DemoSettings) -> Processes:
    return Processes(cwd=settings.root, environment=settings.environment, log_dir=settings.log_dir)


@contextlib.contextmanager
def _step(text: str) -> Iterator[None]:
    """Print a line for a step, and its seconds when it is done."""
    _say(f"{text} …", end="")
    started = time.monotonic()
    try:
        yield
    except BaseException:
        _say("")
        raise
    _say(f" {time.monotonic() - started:.1f} s")


def _say(text: str, *, end: str = "\n") -> None:
    with contextlib.suppress(OSError):  # the terminal was closed; stopping must go on
        print(text, end=end, flush=True)
