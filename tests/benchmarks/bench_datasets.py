"""Imports of large files: rows a second and peak memory of the process that reads, checks and splits them.

`python -m tests.benchmarks datasets` prints the rows. The files are written by this module: sentences of random words,
a thousandth of the rows repeated and a thousandth in nearly the same words, so that the checks have something to find.
"""

import gzip
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from playbook.datasets.spec import ORDER, PROGRESS, REPORT, Limits, Order, Progress, Report, Source
from tests.benchmarks.table import Row

ROOT = Path(__file__).parents[2]
MANY_ROWS = 1_000_000
LARGE_BYTES = 200_000_000
PROMISED_MB = 300
_LONG_ROW_WORDS = 1_500
_WORDS = [
    f"{first}{last}" for first in ("ka", "lo", "mi", "ne", "pu", "ra", "si", "to") for last in map(str, range(400))
]


@dataclass(frozen=True)
class Measured:
    """One import. `updates`: how often its progress was seen to change; `seconds` of the whole process."""

    size_bytes: int
    seconds: float
    peak_bytes: int
    updates: int
    report: Report


def measure() -> tuple[list[Row], dict[str, object]]:
    """Return the rows; the details hold what the imports found. Takes some minutes on 2 cores."""
    rows: list[Row] = []
    details: dict[str, object] = {}
    with tempfile.TemporaryDirectory() as name:
        for what, write in _FILES.items():
            folder = Path(name) / what.replace(" ", "-").replace(",", "")
            folder.mkdir()
            found = _import(folder, write)
            rows += _rows(what, found)
            details[what] = {
                "size_bytes": found.size_bytes,
                "seconds": found.seconds,
                "progress_updates": found.updates,
                "checks": {check.code: check.rows for check in found.report.checks},
                "problems": found.report.problems,
            }
    return rows, details


def _rows(what: str, found: Measured) -> list[Row]:
    read = found.report.rows + found.report.left_out
    return [
        Row(f"dataset import, {what}", read / found.seconds, "rows/s"),
        Row(f"dataset import, {what}: megabytes", found.size_bytes / 1e6 / found.seconds, "MB/s"),
        Row(f"dataset import, {what}: peak memory", found.peak_bytes / 1e6, "MB", at_most=PROMISED_MB),
    ]


def _import(folder: Path, write: Callable[[Path], Path]) -> Measured:
    """Import one file in a process of its own, as the site does, and watch its progress and its memory."""
    file = write(folder)
    size = file.stat().st_size
    source = Source(name=file.name, path=str(file), sha256="0" * 64, size_bytes=size)
    order = Order(sources=(source,), limits=Limits(rows=2 * MANY_ROWS), leave_out_bad_rows=True)
    (folder / ORDER).write_text(order.model_dump_json())
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "playbook.datasets", str(folder)], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL
    )
    seen: set[float] = set()
    peak_bytes = 0
    while process.poll() is None:
        peak_bytes = max(peak_bytes, _peak_memory(process.pid))
        if (folder / PROGRESS).exists():
            seen.add(Progress.model_validate_json((folder / PROGRESS).read_bytes()).share)
        time.sleep(0.2)
    seconds = time.perf_counter() - started
    if process.returncode:
        raise RuntimeError(f"the import of {file.name} ended with exit code {process.returncode}")
    report = Report.model_validate_json((folder / REPORT).read_bytes())
    file.unlink()
    return Measured(size, seconds, peak_bytes, len(seen), report)


def _peak_memory(pid: int) -> int:
    """Return the most bytes that the process held so far; 0 once it has ended.

    Not from getrusage: its peak goes over a fork, so that the import seemed as large as this process with torch in it.
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def _write_many(folder: Path) -> Path:
    """A million rows of some 200 bytes: 200 MB."""
    return _write_lines(folder / "many.jsonl", _examples(MANY_ROWS, words=(20, 6)))


def _write_long(folder: Path) -> Path:
    """200 MB in long rows."""
    return _write_lines(folder / "long.jsonl", _examples(_LONG_ROWS, words=(_LONG_ROW_WORDS, 40)))


def _write_packed(folder: Path) -> Path:
    path = folder / "long.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        file.writelines(_examples(_LONG_ROWS, words=(_LONG_ROW_WORDS, 40)))
    return path


def _write_broken(folder: Path) -> Path:
    """A tenth of the rows has no answer, so that a hundred thousand problems are counted and a thousand listed."""
    lines = (
        line.replace(b'"completion"', b'"answer"') if at % 10 == 0 else line
        for at, line in enumerate(_examples(MANY_ROWS, words=(20, 6)))
    )
    return _write_lines(folder / "broken.jsonl", lines)


def _write_lines(path: Path, lines: Iterator[bytes]) -> Path:
    with path.open("wb") as file:
        file.writelines(lines)
    return path


def _examples(count: int, *, words: tuple[int, int]) -> Iterator[bytes]:
    """Yield rows of TRL's prompt and completion, with so many words in each."""
    rng = random.Random(7)  # noqa: S311 - the same file each time, not a secret
    asked, answered = words
    prompt, completion = ["first"], ["none"]
    for number in range(count):
        if number % 1000 == 1:
            prompt = [*prompt[:-1], "nearly"]
        elif number % 1000 != 2:
            prompt, completion = rng.choices(_WORDS, k=asked), rng.choices(_WORDS, k=answered)
        row = {"prompt": " ".join(prompt), "completion": " ".join(completion), "customer": f"c{number % 5000}"}
        yield json.dumps(row).encode() + b"\n"


#: A word and its blank take some six bytes.
_LONG_ROWS = LARGE_BYTES // (6 * _LONG_ROW_WORDS)
_FILES: dict[str, Callable[[Path], Path]] = {
    "a million rows": _write_many,
    "200 MB in long rows": _write_long,
    "200 MB in long rows, gzip": _write_packed,
    "a million rows, a tenth broken": _write_broken,
}
