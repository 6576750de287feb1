"""The trainer as a process group of this machine: started, found again after a worker restart, ended as a whole."""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import psutil

#: After KILL a process is gone as soon as the kernel lets go of it; longer means stuck in a driver.
_KILL_SECONDS = 10
_POLL_SECONDS = 0.05
#: A creation time is counted from the boot time, which moves a little when the clock is set.
_CLOCK_SECONDS = 2.0


class StillAlive(Exception):
    """Processes of the trainer survived KILL."""


class LocalTrainer:
    """A trainer process that leads its own group (its pid is the group's id)."""

    def __init__(self, process: psutil.Process, child: subprocess.Popen[bytes] | None) -> None:
        self._process = process
        self._child = child
        self.pid = process.pid
        self.started = process.create_time()

    @classmethod
    def start(cls, command: Sequence[str], *, log: Path) -> Self:
        """Start the command in a group of its own, so that Ctrl-C at the worker does not reach it.

        What it prints goes to `log`. The worker's token is kept from it.
        """
        environment = {key: value for key, value in os.environ.items() if key != "PLAYBOOK_WORKER_TOKEN"}
        with log.open("ab") as output:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment | {"PYTHONUNBUFFERED": "1"},
                start_new_session=True,
            )
        return cls(psutil.Process(child.pid), child)

    @classmethod
    def attach(cls, pid: int, started: float) -> Self | None:
        """Return the trainer that an earlier worker started, or None when it is gone.

        `started` (its creation time) tells it from a stranger to whom the system has given the same pid since.
        """
        try:
            process = psutil.Process(pid)
            if abs(process.create_time() - started) > _CLOCK_SECONDS or process.status() == psutil.STATUS_ZOMBIE:
                return None
        except psutil.NoSuchProcess:
            return None
        return cls(process, None)

    @property
    def is_running(self) -> bool:
        if self._child is not None:
            return self._child.poll() is None
        return _is_alive(self._process)

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs, or when another process was its parent."""
        return None if self._child is None else self._child.poll()

    def stop(self, *, grace_seconds: float) -> None:
        """End the trainer and all it started: TERM to each, `grace_seconds` to obey, then KILL; then look again.

        Without effect on a group that is gone. Raises StillAlive when a process outlives KILL.
        """
        _signal(members := self._members(), signal.SIGTERM)
        until = time.monotonic() + grace_seconds
        while self._survivors(members) and time.monotonic() < until:
            time.sleep(_POLL_SECONDS)
        until = time.monotonic() + _KILL_SECONDS
        # A dying process may still fork, hence the loop.
        while survivors := self._survivors(members):
            _signal(survivors, signal.SIGKILL)
            if time.monotonic() > until:
                pids = ", ".join(str(process.pid) for process in survivors)
                raise StillAlive(f"processes {pids} of the trainer outlived KILL by {_KILL_SECONDS} s")
            time.sleep(_POLL_SECONDS)
        self._collect()

    def _collect(self) -> None:
        """Wait until the kernel gives the child back: a zombie keeps its memory until torch's last thread has ended."""
        try:
            if self._child is not None:
                self._child.wait(_KILL_SECONDS)
        except subprocess.TimeoutExpired:
            raise StillAlive(f"process {self.pid} of the trainer ended, but not all its threads") from None

    def _survivors(self, earlier: set[psutil.Process]) -> set[psutil.Process]:
        if self._child is not None:
            self._child.poll()  # reap it: a zombie is not alive
        return {process for process in earlier | self._members() if _is_alive(process)}

    def _members(self) -> set[psutil.Process]:
        """Processes of the group, and descendants that left it for a session of their own."""
        found = {process for process in psutil.process_iter() if self._is_member(process)}
        for process in [*found]:
            try:
                found.update(process.children(recursive=True))
            except psutil.Error:
                continue
        return found

    def _is_member(self, process: psutil.Process) -> bool:
        try:
            # Older than the trainer means: a stranger's group that was given the same number.
            return os.getpgid(process.pid) == self.pid and process.create_time() >= self.started
        except (ProcessLookupError, PermissionError, psutil.Error):
            return False


def _signal(processes: set[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)  # psutil checks that the pid still is this process
        except psutil.NoSuchProcess:
            continue


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
