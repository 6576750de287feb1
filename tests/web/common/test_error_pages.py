"""What people see when the site itself breaks, or is sent more than it reads: a page of the site, whatever it was."""

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import OperationalError
from django.test import Client
from pytest_django import Settings

from playbook.web.accounts.models import User
from playbook.web.jobs import views
from playbook.web.usecases.models import UseCase

BROKEN = "<h1>Something broke on our side</h1>"


@pytest.fixture
def patient(client: Client) -> Client:
    """A client that shows the page in place of the exception."""
    client.raise_request_exception = False
    return client


def test_a_view_that_breaks_is_answered_by_a_page_with_the_way_home(
    patient: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_request: object) -> None:
        raise ZeroDivisionError

    patient.force_login(alice)
    monkeypatch.setattr(views, "signed_in", broken)
    answer = patient.get("/jobs/")
    assert answer.status_code == 500
    assert BROKEN in answer.content.decode()
    assert "Signed in as <strong>Alice Moreau</strong>" in answer.content.decode()


def test_a_database_that_is_gone_is_answered_by_the_same_page_for_nobody(
    patient: Client, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_arguments: object) -> None:
        raise OperationalError("no such table: django_session")

    patient.force_login(alice)
    monkeypatch.setattr("playbook.web.accounts.sessions._one_row", gone)
    answer = patient.get("/jobs/")
    assert answer.status_code == 500
    assert BROKEN in answer.content.decode()
    assert "Signed in as" not in answer.content.decode()
    assert "default-src" in answer.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("bound", "form", "told"),
    [
        ({"DATA_UPLOAD_MAX_MEMORY_SIZE": 9_000}, {"pasted": "x" * 9_001}, "may take 9.0 kB in all"),
        ({"DATA_UPLOAD_MAX_NUMBER_FIELDS": 1_200}, {f"f{n}": "1" for n in range(1_201)}, "at most 1,200 fields"),
        (
            {"DATA_UPLOAD_MAX_NUMBER_FILES": 2},
            {"files": [SimpleUploadedFile(f"{n}.md", b"text") for n in range(3)]},
            "at most 2 files",
        ),
    ],
)
def test_what_is_more_than_a_form_takes_is_told_with_the_bound(
    client: Client,
    use_case: UseCase,
    alice: User,
    settings: Settings,
    bound: dict[str, int],
    form: dict[str, Any],
    told: str,
) -> None:
    for name, value in bound.items():
        setattr(settings, name, value)
    client.force_login(alice)
    answer = client.post("/datasets/new/support-ticket-triage/", {"how": "paste", **form})
    page = answer.content.decode()
    assert answer.status_code == 413
    assert "<h1>That is more than a form takes</h1>" in page
    assert told in page
    assert "Signed in as <strong>Alice Moreau</strong>" in page
