"""`make demo`'s own command, started and stopped as a person would, with data folder, port and database of its own."""

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import psutil
import psycopg
from django.conf import settings
from psycopg import sql

from playbook.demo.processes import end_with_parent
from tests.ports import port_of, reserve_port
from tests.waiting import DEADLINE_SECONDS

ROOT = Path(__file__).resolve().parent.parent.parent
START_SECONDS = 300  # the first start of a fresh machine fetches and converts the sample base model


def _begin_as_in_a_terminal() -> None:
    """A killed test run takes its demo with it; and one under nohup does not hand down that SIGHUP is ignored."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    end_with_parent()


class Demo:
    """One run of `python -m playbook.demo`, ready to be used once it is made."""

    def __init__(self, data_dir: Path, environ: Mapping[str, str]) -> None:
        self.data_dir = data_dir
        self._port = reserve_port()
        port = port_of(self._port)
        self.address = f"http://127.0.0.1:{port}"
        self._output = data_dir / f"demo-{port}.log"
        # As many threads as a person's demo has, not as many as the suite gives its own tiny models.
        inherited = {name: value for name, value in environ.items() if name != "OMP_NUM_THREADS"}
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "playbook.demo"],
                cwd=ROOT,
                env={**inherited, "PORT": str(port), "PLAYBOOK_DATA_DIR": str(data_dir), "PYTHONUNBUFFERED": "1"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_begin_as_in_a_terminal,
            )
        deadline = time.monotonic() + START_SECONDS
        while "Playbook is ready" not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.1)

    @property
    def output(self) -> str:
        return self._output.read_text(errors="replace")  # it may be in the middle of a letter

    @property
    def password(self) -> str:
        password: str = json.loads((self.data_dir / "demo-people.json").read_text())["password"]
        return password

    def below(self) -> list[psutil.Process]:
        """Every process that the demo started, however deep."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, *words: str) -> psutil.Process:
        """Return the first process below whose command line holds all the words."""
        for process in self.below():
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended while we looked
                if set(words) <= set(process.cmdline()):
                    return process
        raise AssertionError(f"the demo runs no process with {' '.join(words)}")

    def stop(self, number: signal.Signals = signal.SIGINT) -> tuple[int, list[psutil.Process]]:
        """Send the signal and return the exit code and the processes that are left. Does nothing the second time."""
        self._port.close()
        if self.process.returncode is not None:
            return self.process.returncode, []
        below = self.below()
        self.process.send_signal(number)
        code = self.process.wait(DEADLINE_SECONDS)
        return code, [process for process in below if process.is_running()]


@contextlib.contextmanager
def database() -> Iterator[dict[str, str]]:
    """Yield an environment whose DATABASE_URL is a fresh PostgreSQL database when the suite runs on PostgreSQL."""
    environ = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    if settings.DATABASES["default"]["ENGINE"] != "django.db.backends.postgresql":
        yield environ
        return
    url, name = os.environ["DATABASE_URL"], f"playbook_e2e_{secrets.token_hex(4)}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        try:
            yield environ | {"DATABASE_URL": f"{url.rpartition('/')[0]}/{name}"}
        finally:
            connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
