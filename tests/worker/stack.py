"""A real site (gunicorn, its own database) and real worker processes, with a fake trainer script."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dj_database_url
import httpx
from django.conf import settings
from django.db import connections
from django.db.utils import load_backend

from playbook.demo.processes import end_with_parent
from tests.ports import port_of, reserve_port
from tests.waiting import DEADLINE_SECONDS, wait_for

ROOT = Path(__file__).resolve().parent.parent.parent
FAKE_TRAINER = Path(__file__).with_name("fake_trainer.py")
#: No lease runs out on a busy machine; a test that needs one to have run out says so in the database.
LEASE_SECONDS = 600


class Site:
    """One site on one port; stopped and started again it is the same site."""

    def __init__(self, data_dir: Path, environ: Mapping[str, str]) -> None:
        self._port = reserve_port()
        self.data_dir = data_dir
        self.address = f"http://127.0.0.1:{port_of(self._port)}"
        self.environ = {
            **environ,
            "PLAYBOOK_DATA_DIR": str(data_dir),
            "PLAYBOOK_LEASE_SECONDS": str(LEASE_SECONDS),
        }
        self.log = data_dir / "site.log"
        self._process: subprocess.Popen[bytes] | None = None
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=self.environ, check=True)
        (data_dir / "static").mkdir()

    def start(self) -> None:
        bind = self.address.removeprefix("http://")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "playbook.web.wsgi", "--bind", bind, "--no-control-socket"),
                    *("--config", "python:playbook.web.gunicorn_conf"),
                    *("--workers", "2", "--threads", "8", "--graceful-timeout", "1"),
                ],
                cwd=ROOT,
                env=self.environ,
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,  # a killed test run takes its processes with it
            )
        wait_for(self._answers)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(DEADLINE_SECONDS)
            self._process = None

    def close(self) -> None:
        """Stop it for good."""
        self.stop()
        self._port.close()

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.address}/api/worker/v1/openapi.json", trust_env=False).status_code == 200
        except httpx.TransportError:
            return False

    @contextmanager
    def database(self) -> Iterator[None]:
        """Make the ORM of this process look at the site's database."""
        url = self.environ.get("DATABASE_URL", f"sqlite:///{self.data_dir / 'playbook.sqlite3'}")
        configured: dict[str, Any] = {**settings.DATABASES["default"], **dj_database_url.parse(url)}
        configured["TEST"] = {**settings.DATABASES["default"]["TEST"]}
        outer = connections["default"]
        connections["default"] = load_backend(configured["ENGINE"]).DatabaseWrapper(configured, "default")
        try:
            yield
        finally:
            connections["default"].close()
            connections["default"] = outer


class WorkerProcess:
    """`python -m playbook.worker` with the fake trainer."""

    def __init__(self, site: Site, *, token: str, work_dir: Path, models_dir: Path, grace_seconds: int) -> None:
        self.work_dir = work_dir
        self.log = work_dir.with_suffix(".log")
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "playbook.worker", "--site", site.address, "--poll-seconds", "0.1"),
                    *("--grace-seconds", str(grace_seconds)),
                    *("--work-dir", str(work_dir), "--models-dir", str(models_dir)),
                    *("--trainer", f"{sys.executable} {FAKE_TRAINER}"),
                ],
                cwd=ROOT,
                env={**os.environ, "PLAYBOOK_WORKER_TOKEN": token, "PYTHONPATH": str(ROOT)},
                stdout=log,
                stderr=log,
                preexec_fn=end_with_parent,  # a killed test run takes its processes with it
            )

    def let_go(self) -> None:
        """Let the trainers go on that wait after a step."""
        (self.work_dir / "go").touch()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send the signal and return the exit code; without effect on an ended process."""
        self.process.send_signal(number)
        self.process.send_signal(signal.SIGCONT)  # a test may have paused it
        return self.process.wait(DEADLINE_SECONDS)

    def run_dir(self, job_id: int, attempt: int = 1) -> Path:
        return self.work_dir / f"job-{job_id}-attempt-{attempt}"

    def trainer_pid(self, job_id: int, attempt: int = 1) -> int:
        """Wait until the trainer runs and return its pid."""
        note = self.run_dir(job_id, attempt) / "worker.json"
        wait_for(note.exists)
        pid: int = json.loads(note.read_text())["trainer_pid"]
        return pid


def make_models(models_dir: Path, *names: str) -> Path:
    """Make a models folder whose base models look complete to the worker."""
    for name in names:
        (models_dir / name).mkdir(parents=True)
        (models_dir / name / "config.json").write_text("{}")
        (models_dir / name / "model.safetensors").write_bytes(b"")
    return models_dir
