"""The page of a job with a million metric points: server time of the page, of its polled part, and of taking points in.

`python -m tests.benchmarks jobs` prints the rows. The points come in as a worker would send them, in event chunks. The
times are those of Django's handler, all middleware included, in a process of its own with an SQLite database.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.table import Row

ROOT = Path(__file__).parents[2]
STEPS = 200_000
METRICS = ("train_loss", "learning_rate", "grad_norm", "tokens_per_second", "peak_memory_bytes")
#: The same page of a job with so few steps must ask as many queries, but for the one that reads levels.
FEW_STEPS = 200
LINES_PER_CHUNK = 3000
ASKED = 60
PROMISED_MS = 100


def measure() -> tuple[list[Row], dict[str, object]]:
    """Return the rows; the details hold the number of points, the queries and the sizes of the answers."""
    with tempfile.TemporaryDirectory() as name:
        environment = {
            **os.environ,
            "DATABASE_URL": f"sqlite:///{Path(name) / 'playbook.sqlite3'}",
            "PLAYBOOK_DATA_DIR": name,
            "DJANGO_SETTINGS_MODULE": "playbook.web.settings",
        }
        (Path(name) / "static").mkdir()
        command = [sys.executable, "-m", "tests.benchmarks.bench_jobs"]
        done = subprocess.run(command, check=True, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    found = json.loads(done.stdout)
    points = f"{found['points']:,} points"
    rows = [
        Row(f"job page, {points}, p95 of the server", found["page"]["p95_ms"], "ms", at_most=PROMISED_MS),
        Row(f"its polled part, {points}, p95", found["part"]["p95_ms"], "ms", at_most=PROMISED_MS),
        Row(f"comparison of two jobs, {points} each, p95", found["compare"]["p95_ms"], "ms", at_most=PROMISED_MS),
        Row("queries of a job page, many points less few", found["page"]["queries"] - found["few"]["queries"], "", 1),
        Row("metric points taken in", found["points_per_second"], "points/s"),
    ]
    return rows, found


def _measure_here() -> dict[str, object]:
    """Fill the database of this process with two jobs and ask for their pages."""
    # Django's models can be imported only once it is set up.
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from playbook.web.accounts.models import User
    from playbook.web.jobs.models import MetricPoint
    from playbook.web.usecases.actions import create_use_case

    person = User.objects.create_user("bench", password="bench", name="Bench")
    use_case = create_use_case(name="Bench", description="", created_by=person, members={})
    few = _fill(use_case, person, FEW_STEPS)
    started = time.perf_counter()
    first = _fill(use_case, person, STEPS)
    seconds = time.perf_counter() - started
    second = _fill(use_case, person, STEPS)
    points = MetricPoint.objects.filter(attempt__job=first).count()
    return {
        "points": points,
        "points_per_second": points / seconds,
        "few": _ask(person, f"/jobs/{few}/", fragment=False),
        "page": _ask(person, f"/jobs/{first}/", fragment=False),
        "part": _ask(person, f"/jobs/{first}/", fragment=True),
        "compare": _ask(person, f"/jobs/compare/?jobs={first},{second}", fragment=False),
        "load_average": os.getloadavg()[0],
    }


def _fill(use_case: object, person: object, steps: int) -> int:
    """Return the number of a new running job whose trainer has sent the metrics of so many steps."""
    from playbook.web.jobs import ingest
    from tests.web.jobs.ended import claimed_job

    attempt = claimed_job(use_case, person)  # type: ignore[arg-type]
    lines = _lines(steps)
    while chunk := b"".join(line for _, line in zip(range(LINES_PER_CHUNK), lines, strict=False)):
        ingest.append_events(attempt, offset=attempt.event_bytes, data=chunk)
        attempt.refresh_from_db()
    return attempt.job_id


def _lines(steps: int) -> Iterator[bytes]:
    at = "2025-06-01T12:00:00Z"
    yield json.dumps({"kind": "stage_started", "at": at, "stage": "training"}).encode() + b"\n"
    for step in range(1, steps + 1):
        values = {name: 1 / step + (step * number % 7) / 100 for number, name in enumerate(METRICS, start=1)}
        yield json.dumps({"kind": "metric", "at": at, "step": step, "values": values}).encode() + b"\n"
        if step % 100 == 0:
            yield json.dumps({"kind": "log", "at": at, "message": f"Step {step} of {steps}."}).encode() + b"\n"


def _ask(person: object, path: str, *, fragment: bool) -> dict[str, float]:
    """Return the 95th percentile and the median of the server's time, the queries and the bytes of one answer."""
    from django.conf import settings
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    settings.ALLOWED_HOSTS = ["testserver"]
    client = Client()
    client.force_login(person)  # type: ignore[arg-type]
    headers = {"HX-Request": "true"} if fragment else {}
    with CaptureQueriesContext(connection) as queries:
        answer = client.get(path, headers=headers)
    if answer.status_code != 200:
        raise RuntimeError(f"{path} answered {answer.status_code}")
    times = []
    for _ in range(ASKED):
        started = time.perf_counter()
        client.get(path, headers=headers)
        times.append(1e3 * (time.perf_counter() - started))
    return {
        "p95_ms": statistics.quantiles(times, n=20)[-1],
        "p50_ms": statistics.median(times),
        "queries": len(queries),
        "bytes": len(answer.content),
    }


if __name__ == "__main__":
    print(json.dumps(_measure_here()))
