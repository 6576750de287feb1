"""Ten thousand decisions with a hundred thousand answers and five thousand jobs: server time of every page that shows
them, the number of its queries, the exports of the whole log, and the audit log verified; on SQLite, and on PostgreSQL
where there is one.

`python -m tests.benchmarks decisions` prints the rows; DECISIONS in the environment makes it smaller. The times are
those of Django's handler, all middleware included, in a process that is warm as a served one is and did nothing else
before; the reader belongs to every use case.
"""

import gc
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tests.benchmarks.table import Row
from tests.postgres import find

ROOT = Path(__file__).parents[2]
DECISIONS = int(os.environ.get("DECISIONS", "10000"))
#: The same pages must ask as many queries with so few decisions.
FEW = min(1000, DECISIONS // 2)
ASKED = 40
PROMISED_MS = 100
PROMISED_ROWS = 50_000
#: No pages: the whole log, streamed.
EXPORTS = {"whole log as CSV": "/decisions/export.csv", "whole log as JSON": "/decisions/export.json"}
EXPORTED = 5
PG_DATABASE = "playbook_bench_decisions"


def measure() -> tuple[list[Row], dict[str, object]]:
    """Return the rows; the details hold every page with its times and queries."""
    with tempfile.TemporaryDirectory() as name:
        details: dict[str, object] = {"SQLite": _measured(f"sqlite:///{Path(name) / 'playbook.sqlite3'}")}
    url, reason = find()
    if url is None:
        details["PostgreSQL"] = reason
    else:
        details["PostgreSQL"] = _on_postgres(url)
    rows = [row for name, found in details.items() if isinstance(found, dict) for row in _rows(name, found)]
    return rows, {**details, "load_average": os.getloadavg()[0]}


def _rows(name: str, found: dict[str, Any]) -> list[Row]:
    size = f"{found['decisions']:,.0f} decisions, {found['answers']:,.0f} answers, {name}"
    return [
        Row(f"slowest page, {size}, p95 of the server", found["slowest_ms"], "ms", at_most=PROMISED_MS),
        *(
            Row(f"{name}, {size}, first byte, p95", export["first_byte_ms"], "ms", at_most=PROMISED_MS)
            for name, export in found["exports"].items()
        ),
        *(
            Row(f"{name}, {size}, to the last byte, p95", export["whole_ms"], "ms")
            for name, export in found["exports"].items()
        ),
        Row(f"pages that ask more queries than with {FEW}, {name}", found["growing"], "", at_most=0),
        Row(f"verify_audit, {name}", found["audit_rows_per_second"], "rows/s", at_least=PROMISED_ROWS),
    ]


def _measured(database_url: str) -> dict[str, Any]:
    """Fill the database in two steps and ask for the pages after each. Every part has a process of its own: what made
    ten thousand decisions leaves garbage that no process of a site has."""
    with tempfile.TemporaryDirectory() as name:
        environment = {
            **os.environ,
            "DATABASE_URL": database_url,
            "PLAYBOOK_DATA_DIR": name,
            "DJANGO_SETTINGS_MODULE": "playbook.web.settings",
            "PLAYBOOK_ALLOWED_HOSTS": "testserver",
        }
        (Path(name) / "static").mkdir()
        parts = [_part(environment, part) for part in ("fill", "ask", "grow", "measure")]
    few, found = parts[1], parts[3]
    growing = [page for page, times in found["pages"].items() if times["queries"] > few[page]["queries"]]
    return {**found, "growing": len(growing), "growing_pages": growing}


def _part(environment: dict[str, str], part: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.bench_decisions", part]
    done = subprocess.run(command, check=True, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _on_postgres(url: str) -> dict[str, Any]:
    """Measure in a database of its own, which is removed afterwards."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE IF EXISTS {PG_DATABASE}")
        connection.execute(f"CREATE DATABASE {PG_DATABASE}")
        try:
            return _measured(urlsplit(url)._replace(path=f"/{PG_DATABASE}").geturl())
        finally:
            connection.execute(f"DROP DATABASE IF EXISTS {PG_DATABASE} WITH (FORCE)")


def _here(part: str) -> dict[str, Any]:
    """Do one part in this process: `fill` and `grow` add decisions, `ask` counts queries, `measure` does the rest."""
    # Django's models can be imported only once it is set up.
    import django
    from django.core.management import call_command
    from django.db import connection

    django.setup()
    if part == "fill":
        call_command("migrate", verbosity=0)
    from tests.benchmarks import decisions_world as world

    if part in ("fill", "grow"):
        world.fill(FEW if part == "fill" else DECISIONS - FEW)
        if connection.vendor == "postgresql":  # as autovacuum does within a minute, where it is switched on
            connection.cursor().execute("VACUUM ANALYZE")
        return {}
    if part == "ask":
        return {name: _ask(world.reader(), paths[:1], asked=1) for name, paths in world.pages().items()}
    return _measure_here(connection)


def _measure_here(connection: Any) -> dict[str, Any]:
    """Measure pages, exports and the check of the audit log, in a process that is warm as one of the site is."""
    from playbook.web.assessments.models import Answer
    from playbook.web.common.verify import Verification, verify
    from playbook.web.common.warm import warm_up
    from playbook.web.decisions.models import Decision
    from playbook.web.jobs.models import Job
    from playbook.web.outcomes.models import OutcomeReview
    from tests.benchmarks import decisions_world as world

    warm_up()
    person = world.reader()
    pages = {name: _ask(person, paths, asked=ASKED) for name, paths in world.pages().items()}
    exports = {name: _export(person, path) for name, path in EXPORTS.items()}
    found = Verification()
    started = time.perf_counter()
    problems = list(verify(connection, found))
    seconds = time.perf_counter() - started
    if problems:
        raise RuntimeError(f"the audit log of the benchmark does not verify: {problems[:3]}")
    return {
        "decisions": Decision.objects.count(),
        "answers": Answer.objects.count(),
        "audit_rows": found.entries,
        "audit_rows_per_second": found.entries / seconds,
        "jobs": Job.objects.count(),
        "outcomes": OutcomeReview.objects.count(),
        "exports": exports,
        "slowest_page": max(pages, key=lambda name: pages[name]["p95_ms"]),
        "slowest_ms": max(page["p95_ms"] for page in pages.values()),
        "pages": pages,
    }


def _ask(person: object, paths: list[str], *, asked: int) -> dict[str, float]:
    """Return the median and the 95th percentile of the milliseconds of `asked` answers, how many full garbage
    collections struck one, and the queries of the first address."""
    from django.contrib.auth.models import AbstractBaseUser
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    assert isinstance(person, AbstractBaseUser)
    client = Client()
    client.force_login(person)  # type: ignore[arg-type]  # the user model is known only once Django is set up
    full_collections = gc.get_stats()[-1]["collections"]
    times = list(_times(client, paths, asked))
    full_collections = gc.get_stats()[-1]["collections"] - full_collections
    with CaptureQueriesContext(connection) as queries:
        client.get(paths[0])
    return {
        "p50_ms": statistics.median(times),
        "p95_ms": _p95(times),
        "queries": len(queries),
        "full_collections": full_collections,
    }


def _export(person: object, path: str) -> dict[str, float]:
    """Return the milliseconds to the first piece and to the last, the 95th percentile of each, and the bytes."""
    from django.contrib.auth.models import AbstractBaseUser
    from django.test import Client

    assert isinstance(person, AbstractBaseUser)
    client = Client()
    client.force_login(person)  # type: ignore[arg-type]  # as in `_ask`
    first, whole, size = [], [], 0
    for _ in range(EXPORTED):
        started = time.perf_counter()
        pieces = iter(client.get(path))
        size = len(next(pieces))
        first.append(1e3 * (time.perf_counter() - started))
        size += sum(len(piece) for piece in pieces)
        whole.append(1e3 * (time.perf_counter() - started))
    return {"first_byte_ms": _p95(first), "whole_ms": _p95(whole), "bytes": size}


def _p95(times: list[float]) -> float:
    """Return the 95th percentile by nearest rank: of 40 times the 38th, of 5 the longest."""
    return sorted(times)[math.ceil(0.95 * len(times)) - 1]


def _times(client: object, paths: list[str], asked: int) -> Iterator[float]:
    from django.test import Client

    assert isinstance(client, Client)
    client.get(paths[0])  # templates are compiled once in the life of a process
    for place in range(asked):
        path = paths[place % len(paths)]
        started = time.perf_counter()
        answer = client.get(path)
        if answer.streaming:
            list(answer)
        yield 1e3 * (time.perf_counter() - started)
        if answer.status_code != 200:
            raise RuntimeError(f"{path} answered {answer.status_code}")


if __name__ == "__main__":
    print(json.dumps(_here(sys.argv[1])))
