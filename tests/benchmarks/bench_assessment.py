"""Fifty people answer one assessment at once, over real HTTP, against gunicorn as the README runs it.

`python -m tests.benchmarks assessment` prints the rows; on SQLite, and on PostgreSQL where there is one. Everybody
answers every question once and sends again whatever somebody else was quicker with; then the database is compared with
what was sent.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg

from tests.benchmarks.bench_wiki import ROOT, served
from tests.benchmarks.table import Row
from tests.postgres import find
from tests.web.assessments.crowd import Crowd, answer_together, expected, wide_checklist

PEOPLE = 50
QUESTIONS = 4
PG_DATABASE = "playbook_bench_assessment"


def measure() -> tuple[list[Row], dict[str, object]]:
    """Return the rows; the details hold the answers by status, and how long they took."""
    with tempfile.TemporaryDirectory() as name:
        found: dict[str, object] = {"SQLite": _measured(Path(name), f"sqlite:///{Path(name) / 'playbook.sqlite3'}")}
    url, reason = find()
    found["PostgreSQL"] = _on_postgres(url) if url else reason
    rows = [row for name, details in found.items() if isinstance(details, dict) for row in _rows(name, details)]
    return rows, {**found, "load_average": os.getloadavg()[0]}


def _rows(name: str, found: dict[str, float]) -> list[Row]:
    who = f"{PEOPLE} people answer one assessment at once, {name}"
    return [
        Row(f"{who}: answers sent and not kept", found["lost"], "", at_most=0),
        Row(f"{who}: answers other than 200 and 409", found["failed"], "", at_most=0),
        Row(f"{who}: median request", found["p50_ms"], "ms"),
        Row(f"{who}: p95", found["p95_ms"], "ms"),
    ]


def _on_postgres(url: str) -> dict[str, float]:
    """Measure in a database of its own, which is removed afterwards."""
    with psycopg.connect(url, autocommit=True) as connection, tempfile.TemporaryDirectory() as name:
        connection.execute(f"DROP DATABASE IF EXISTS {PG_DATABASE}")
        connection.execute(f"CREATE DATABASE {PG_DATABASE}")
        try:
            return _measured(Path(name), urlsplit(url)._replace(path=f"/{PG_DATABASE}").geturl())
        finally:
            connection.execute(f"DROP DATABASE IF EXISTS {PG_DATABASE} WITH (FORCE)")


def _measured(folder: Path, database_url: str) -> dict[str, float]:
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "PLAYBOOK_DATA_DIR": str(folder),
        "DJANGO_SETTINGS_MODULE": "playbook.web.settings",
    }
    (folder / "static").mkdir()
    prepared = _in_a_process(environment, "prepare")
    gunicorn = [sys.executable, "-m", "gunicorn"]
    with served("playbook.web.wsgi", environment, gunicorn, ROOT) as port:
        crowd = answer_together(
            f"http://127.0.0.1:{port}", prepared["cookies"], prepared["assessment"], prepared["questions"]
        )
    if crowd.errors:
        print("\n".join(crowd.errors[:5]), file=sys.stderr)
    kept = _in_a_process(environment, "count")
    return _summary(crowd, lost=kept["lost"])


def _summary(crowd: Crowd, *, lost: int) -> dict[str, float]:
    times = sorted(crowd.seconds)
    failed = sum(count for status, count in crowd.statuses.items() if status not in (200, 409))
    return {
        "lost": lost,
        "failed": failed + len(crowd.errors),
        "saved": crowd.statuses[200] - PEOPLE,  # each person has loaded the page once
        "somebody_was_quicker": crowd.statuses[409],
        "p50_ms": 1e3 * statistics.median(times),
        "p95_ms": 1e3 * times[int(len(times) * 0.95)],
        "seconds": crowd.elapsed,
    }


def _in_a_process(environment: dict[str, str], part: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.bench_assessment", part]
    done = subprocess.run(command, check=True, env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _prepare() -> dict[str, object]:
    """Fill the database of this process, and log everybody in."""
    # Django's models can be imported only once it is set up.
    import django
    from django.conf import settings
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)
    from django.test import Client

    from playbook.contracts.roles import Role
    from playbook.web.accounts.models import User
    from playbook.web.assessments.actions import start_assessment
    from playbook.web.usecases.actions import create_use_case

    people = [User.objects.create_user(f"person-{number}", name=f"Person {number}") for number in range(PEOPLE)]
    members = {Role.CONTRIBUTOR: people[1:]}
    use_case = create_use_case(name="Crowd", description="", created_by=people[0], members=members)
    checklist = wide_checklist(QUESTIONS)
    assessment = start_assessment(use_case=use_case, checklist=checklist, article="", created_by=people[0])
    cookies = []
    for person in people:
        client = Client()
        client.force_login(person)
        cookies.append(client.cookies[settings.SESSION_COOKIE_NAME].value)
    questions = [question.id for question in checklist.questions]
    return {"assessment": assessment.pk, "cookies": cookies, "questions": questions}


def _count() -> dict[str, object]:
    """Compare what this process's database keeps with what the crowd sent."""
    import django

    django.setup()
    from playbook.web.assessments.models import Answer

    questions = [question.id for question in wide_checklist(QUESTIONS).questions]
    kept = set(Answer.objects.values_list("question_id", "comment"))
    return {"lost": len(expected(PEOPLE, questions) - kept)}


if __name__ == "__main__":
    print(json.dumps(_prepare() if sys.argv[1] == "prepare" else _count()))
