"""Child processes that never outlive the demo: each in a session of its own, with a log, all ended together.

Two things make "leaves no process" true. The demo is a child subreaper (prctl(2), PR_SET_CHILD_SUBREAPER), so that a
process whose parent ended becomes our child instead of vanishing to init: `descendants` then finds every one, however
it was started. And each child asks for SIGTERM when the demo itself is killed (PR_SET_PDEATHSIG).
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

GRACE_SECONDS = 20.0
_POLL_SECONDS = 0.1
_TAIL_LINES = 15
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


class ChildFailed(Exception):
    """A step or a service ended that should not have. The message holds the tail of its log."""


class Stopped(BaseException):
    """The demo was told to stop (Ctrl-C, SIGTERM, a closed terminal). No error: nothing but the stop may catch it."""


@dataclass(frozen=True)
class Child:
    name: str
    process: subprocess.Popen[bytes]
    log: Path


class Processes:
    """Runs steps and services; leaving the `with` block ends everything that is still alive.

    Services are told to stop in the reverse order of their start: the worker can still hand its job back to the site.
    """

    def __init__(self, *, cwd: Path, environment: Mapping[str, str], log_dir: Path) -> None:
        self._cwd = cwd
        self._environment = dict(environment)
        self._log_dir = log_dir
        self._services: list[Child] = []
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._log_dir.mkdir(parents=True, exist_ok=True)
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
        for number in _STOP_SIGNALS:
            # Under nohup SIGHUP is ignored on purpose, and stays so.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                self._handlers[number] = signal.signal(number, _raise_stopped)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.stop()
        finally:
            for number, handler in self._handlers.items():
                signal.signal(number, handler)

    def run(self, name: str, command: Sequence[str], *, shown: bool = False) -> None:
        """Run a step to its end, its output in its log or, when `shown`, on our own. Raises ChildFailed."""
        child = self._spawn(name, command, shown=shown)
        if child.process.wait():
            raise ChildFailed(self._obituary(child, shown=shown))

    def start(self, name: str, command: Sequence[str]) -> Child:
        """Start a service that is to run until `stop`."""
        child = self._spawn(name, command, shown=False)
        self._services.append(child)
        return child

    def check(self) -> None:
        """Raise ChildFailed for the first service that has ended."""
        for child in self._services:
            if child.process.poll() is not None:
                raise ChildFailed(self._obituary(child, shown=False))

    def watch(self) -> None:
        """Wait until a service ends, which raises ChildFailed, or until the demo is told to stop."""
        while True:
            self.check()
            time.sleep(5 * _POLL_SECONDS)

    def stop(self) -> None:
        """End every descendant: TERM to each service in turn, then KILL to what is left. A second Ctrl-C hurries."""
        with contextlib.suppress(Stopped):
            deadline = time.monotonic() + GRACE_SECONDS
            for child in reversed(self._services):
                child.process.terminate()  # the service alone: it ends its own children in its own order
                while child.process.poll() is None and time.monotonic() < deadline:
                    time.sleep(_POLL_SECONDS)
            for pid in descendants(os.getpid()):
                _signal(pid, signal.SIGTERM)
            while descendants(os.getpid()) and time.monotonic() < deadline:
                _reap()
                time.sleep(_POLL_SECONDS)
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # what follows is short and must not be cut off
        while left := descendants(os.getpid()):
            for pid in left:
                _signal(pid, signal.SIGKILL)
            _reap()
            time.sleep(_POLL_SECONDS / 10)
        _reap(flags=0)
        self._services.clear()

    def _spawn(self, name: str, command: Sequence[str], *, shown: bool) -> Child:
        log = self._log_dir / f"{name.replace(' ', '-')}.log"
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        with Path(os.devnull if shown else log).open("wb") as file:
            process = subprocess.Popen(
                command,
                cwd=self._cwd,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=None if shown else file,
                stderr=None if shown else subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with_parent,  # safe: the demo has one thread
            )
        return Child(name, process, log)

    def _obituary(self, child: Child, *, shown: bool) -> str:
        first = f"{child.name} ended with {_exit_text(child.process.returncode)}"
        if shown:
            return f"{first}; its own message stands above."
        tail = child.log.read_text(errors="replace").splitlines()[-_TAIL_LINES:]
        return "\n".join([f"{first}; the end of {child.log}:", *(f"    {line}" for line in tail)])


def end_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent ends, however it ends. For a child, between fork and exec."""
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def descendants(root: int) -> list[int]:
    """Return the pids of all living processes below `root`, read from /proc; zombies do not count."""
    children: dict[int, list[int]] = {}
    for pid, parent, state in _all_processes():
        children.setdefault(parent, []).append(-pid if state == "Z" else pid)
    found: list[int] = []
    waiting = [root]
    while waiting:
        below = children.get(waiting.pop(), [])
        waiting += [abs(pid) for pid in below]
        found += [pid for pid in below if pid > 0]
    return found


def _all_processes() -> Iterator[tuple[int, int, str]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):  # it ended while we looked
                # "pid (command) state ppid …": the command may itself hold spaces and brackets.
                state, parent = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()[:2]
                yield int(entry.name), int(parent), state


def _reap(flags: int = os.WNOHANG) -> None:
    """Collect every ended child, adopted ones too; without WNOHANG wait for those that are ending."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, flags)[0]:
            pass


def _signal(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _exit_text(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0):
        raise OSError(ctypes.get_errno(), f"prctl({option}, {value}) failed")


def _raise_stopped(number: int, frame: FrameType | None) -> None:
    raise Stopped(signal.Signals(number).name)
