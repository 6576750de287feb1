"""Imports as running processes: start one, and say how far it is.

The truth lies in the import's folder (`playbook.datasets.spec`), so a page can be answered by any process of the site,
also by one that was started after the import. Whether it runs is told by a lock that the process inherits and that the
operating system releases when it ends, however it ends.
"""

import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from pydantic import ValidationError

from playbook.datasets.spec import LOCK, LOG, ORDER, PROGRESS, REPORT, Order, Progress, Report, Stage, write_atomically
from playbook.web.common.permissions import Conflict

#: A killed process is gone at once, unless it waits for a disk.
_SECONDS_TO_DIE = 10
_STAGES = {
    Stage.WAITING: "Waiting for another import to end",
    Stage.READING: "Reading and checking rows",
    Stage.COMPARING: "Comparing rows with each other",
    Stage.SPLITTING: "Writing the three splits",
}


@dataclass(frozen=True)
class ImportState:
    """How an import stands: running (`percent`, `stage`), ended with a `report`, or stopped with a `reason`."""

    is_running: bool
    percent: int = 0
    stage: str = ""
    rows: int = 0
    report: Report | None = None
    reason: str = ""


def folder_of(pk: int) -> Path:
    return Path(settings.PLAYBOOK_DATA_DIR) / "imports" / str(pk)


def start(pk: int, order: Order) -> None:
    """Start the import's process, which outlives this one. Raises Conflict when it runs already."""
    folder = folder_of(pk)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a") as lock:
        if not _take(lock.fileno()):
            raise Conflict("This import is running; wait until it ends, then change it.")
        for name in (PROGRESS, REPORT):
            (folder / name).unlink(missing_ok=True)
        write_atomically(folder / ORDER, order.model_dump_json())
        with (folder / LOG).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "playbook.datasets", str(folder), "--queue", str(folder.parent / "queue")],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=settings.BASE_DIR,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
                pass_fds=(lock.fileno(),),
                start_new_session=True,
            )
        # For a person who wants to stop it.
        lock.truncate(0)
        lock.write(str(process.pid))
    # Somebody has to take note of its end, or it stays in the process table.
    threading.Thread(target=process.wait, name=f"import-{pk}", daemon=True).start()


def state_of(pk: int) -> ImportState:
    """Return how the import stands now."""
    folder = folder_of(pk)
    running = _is_running(folder)  # first: a process that ends meanwhile has written its files before
    progress = _read(folder / PROGRESS)
    if running:
        return ImportState(
            is_running=True,
            percent=round(100 * progress.share) if progress else 0,
            stage=_STAGES.get(progress.stage, "") if progress else "Starting",
            rows=progress.rows if progress else 0,
        )
    if report := report_in(folder):
        return ImportState(is_running=False, report=report)
    if progress and progress.stage is Stage.FAILED:
        return ImportState(is_running=False, reason=progress.message)
    return ImportState(
        is_running=False,
        reason="The import was interrupted before it ended: its process was stopped, or the disk is so full that it "
        "could not say so. Nothing is lost; start it again.",
    )


def report_in(folder: Path) -> Report | None:
    try:
        return Report.model_validate_json((folder / REPORT).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def remove(pk: int) -> None:
    """End the import if it runs, and remove its folder. Raises Conflict when its process cannot be ended from here."""
    folder = folder_of(pk)
    if _is_running(folder) and not _kill(folder):
        raise Conflict("This import runs where it cannot be stopped from; wait until it ends, then discard it.")
    shutil.rmtree(folder, ignore_errors=True)


def _kill(folder: Path) -> bool:
    """Kill the process that reads the files; return whether it is gone. It writes into its own folder alone."""
    try:
        pid = int((folder / LOCK).read_text())
        # The number may be another process's by now, or be of another machine that shares the folder.
        if os.fsencode(folder) not in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
            return False
        os.kill(pid, signal.SIGKILL)
    except (OSError, ValueError):
        return False
    deadline = time.monotonic() + _SECONDS_TO_DIE
    while _is_running(folder) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not _is_running(folder)


def _is_running(folder: Path) -> bool:
    try:
        with (folder / LOCK).open("r") as lock:
            return not _take(lock.fileno())
    except FileNotFoundError:
        return False


def _take(descriptor: int) -> bool:
    """Lock an open file, if nobody holds it. Closing it here releases it, unless a child has inherited it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _read(path: Path) -> Progress | None:
    try:
        return Progress.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
