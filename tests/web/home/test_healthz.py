from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from playbook.web.jobs.models import Worker

ARTICLE = """---
title: A title
summary: One sentence.
owner: Alice Moreau
reviewed: 2026-11-01
---
Text.
"""
AREAS = "areas:\n  - slug: decide\n    title: Decide\n    summary: Whether to tune.\n"


@pytest.fixture
def content(tmp_path: Path, settings: Settings) -> Path:
    """A content folder with one article."""
    folder = tmp_path / "content"
    (folder / "articles/decide").mkdir(parents=True)
    (folder / "articles/areas.yaml").write_text(AREAS)
    (folder / "articles/decide/a-title.md").write_text(ARTICLE)
    (folder / "models.yaml").write_text("[]\n")
    settings.PLAYBOOK_CONTENT_DIR = folder
    return folder


def _worker(*, silent_for: timedelta) -> None:
    Worker.objects.create(
        name="local",
        token_hash="0" * 64,
        last_seen_at=timezone.now() - silent_for,
        capabilities={"base_models": ["smollm2-135m-instruct"]},
    )


def _answer(client: Client) -> tuple[int, dict[str, Any]]:
    response = client.get("/healthz")
    answer = response.json()
    if answer["worker"]["last_seen_seconds"] is not None:
        answer["worker"]["last_seen_seconds"] = round(answer["worker"]["last_seen_seconds"], -2)
    return response.status_code, answer


def _expected(status: str, *, online: bool, seen: float | None, problems: int = 0) -> dict[str, Any]:
    return {
        "status": status,
        "database": {"ok": True, "vendor": connection.vendor, "problem": ""},
        "content": {"articles": 1, "checklists": 0, "problems": problems},
        "worker": {"online": online, "last_seen_seconds": seen},
        "base_models": ["smollm2-135m-instruct"] if online else [],
    }


@pytest.mark.django_db
@pytest.mark.usefixtures("content")
def test_healthz_is_ok_once_all_is_there_and_asks_little(
    client: Client, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    _worker(silent_for=timedelta(0))
    with django_assert_num_queries(2):
        answer = _answer(client)
    assert answer == (200, _expected("ok", online=True, seen=0.0))


@pytest.mark.django_db
@pytest.mark.usefixtures("content")
def test_healthz_is_starting_before_a_worker_ever_called(client: Client) -> None:
    assert _answer(client) == (503, _expected("starting", online=False, seen=None))


@pytest.mark.django_db
@pytest.mark.usefixtures("content")
def test_healthz_is_degraded_when_the_worker_fell_silent(client: Client) -> None:
    _worker(silent_for=timedelta(seconds=600))
    assert _answer(client) == (503, _expected("degraded", online=False, seen=600.0))


@pytest.mark.django_db
def test_healthz_is_degraded_but_ready_with_a_broken_content_file(client: Client, content: Path) -> None:
    (content / "articles/decide/broken.md").write_text("no front matter")
    _worker(silent_for=timedelta(0))
    assert _answer(client) == (200, _expected("degraded", online=True, seen=0.0, problems=1))


@pytest.mark.django_db
@pytest.mark.usefixtures("content")
def test_healthz_answers_when_the_database_does_not(client: Client) -> None:
    def refuse(*arguments: Any) -> Any:
        raise OperationalError("server closed the connection unexpectedly")

    with connection.execute_wrapper(refuse):
        code, answer = _answer(client)
    problem = "server closed the connection unexpectedly"
    expected = _expected("starting", online=False, seen=None)
    assert (code, answer) == (503, expected | {"database": answer["database"] | {"ok": False, "problem": problem}})


def test_healthz_answers_when_the_content_folder_is_gone(
    client: Client, tmp_path: Path, settings: Settings, db: None
) -> None:
    settings.PLAYBOOK_CONTENT_DIR = tmp_path / "gone"
    response = client.get("/healthz")
    assert response.status_code == 503
    assert response.json()["content"]["articles"] == 0
