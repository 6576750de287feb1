"""Carry out the import that a folder orders: `python -m playbook.datasets IMPORT_DIR`.

Reads import.json (files, mapping, split), writes progress.json while it works, then report.json and the three split
files. Works by hand, without a site. Exit code 0: the report is written, also when it refuses the rows; 1: it could not
be written, and progress.json says why.
"""

import argparse
import fcntl
import resource
import signal
import sys
import traceback
from pathlib import Path
from typing import Never

from playbook.datasets.importing import run_import
from playbook.datasets.spec import DISK_FULL, ORDER, PROGRESS, Limits, Order, Progress, Stage, write_atomically

#: Between the end of the computing time and that of the process, if it does not end by itself.
_SECONDS_TO_SAY_SO = 60


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m playbook.datasets", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="IMPORT_DIR", help=f"a folder with {ORDER}")
    parser.add_argument("--queue", type=Path, help="a file to lock, so that imports run one after the other")
    options = parser.parse_args()
    folder: Path = options.folder
    try:
        limits = Order.model_validate_json((folder / ORDER).read_bytes()).limits
    except (OSError, ValueError) as error:
        parser.error(f"{folder / ORDER} cannot be used: {error}")

    def tell(progress: Progress) -> None:
        write_atomically(folder / PROGRESS, progress.model_dump_json())

    try:
        if options.queue:
            tell(Progress(stage=Stage.WAITING, share=0))
            _wait_for_turn(options.queue)
        _limit_process(limits)
        tell(Progress(stage=Stage.READING, share=0))
        report = run_import(folder, tell=tell)
        tell(Progress(stage=Stage.DONE, share=1, rows=report.rows))
    except Exception as error:
        traceback.print_exc()
        tell(Progress(stage=Stage.FAILED, share=0, message=_reason(error, limits)))
        return 1
    print(f"Rows: {report.rows:,}, problems: {report.problems:,}" + (", refused" if report.refused else ""))
    return 0


def _wait_for_turn(queue: Path) -> None:
    """Lock the file until this process ends. Two imports at once would take twice the memory and be no sooner done."""
    fcntl.flock(queue.open("w"), fcntl.LOCK_EX)


class _OutOfTime(Exception):
    """The import has computed for as long as it may."""


def _limit_process(limits: Limits) -> None:
    """Whatever a hostile file does to a reader, it ends this process and harms no other."""
    resource.setrlimit(resource.RLIMIT_DATA, (limits.memory_bytes, limits.memory_bytes))
    signal.signal(signal.SIGXCPU, _give_up)
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + _SECONDS_TO_SAY_SO))


def _give_up(*_: object) -> Never:
    signal.signal(signal.SIGXCPU, signal.SIG_IGN)  # the system repeats it each second
    raise _OutOfTime


def _reason(error: BaseException, limits: Limits) -> str:
    if isinstance(error, MemoryError):
        return (
            f"The file needs more than {limits.memory_bytes // 1_000_000:,} MB of memory to be read. Bring fewer rows."
        )
    if isinstance(error, _OutOfTime):
        return (
            f"The file takes more than {limits.cpu_seconds:,} seconds of computing. Bring fewer rows, or shorter ones."
        )
    if isinstance(error, OSError) and error.errno in DISK_FULL:
        return "The disk is full. Free some space, then start the import again; nothing was stored."
    return f"The import stopped: {type(error).__name__}: {error}"[:500]


if __name__ == "__main__":
    sys.exit(main())
