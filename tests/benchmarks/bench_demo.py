"""How long `make demo` takes to be ready, on a machine that has everything installed: at first, and again."""

import os
import tempfile
import time
from pathlib import Path

from tests.benchmarks.table import Row
from tests.e2e.demo import Demo


def measure() -> tuple[list[Row], dict[str, object]]:
    """Return seconds from the command to the line "Playbook is ready"."""
    environ = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
    with tempfile.TemporaryDirectory() as folder:
        seconds = []
        for _ in range(2):
            started = time.monotonic()
            demo = Demo(Path(folder), environ)
            seconds.append(time.monotonic() - started)
            demo.stop()
    first, again = seconds
    return [
        Row("demo: ready with an empty data folder", first, "s"),
        Row("demo: ready again", again, "s", at_most=10),
    ], {}
