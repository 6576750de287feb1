"""What people see when the site itself breaks: a page of the site, whatever it was that broke."""

import pytest
from django.db import OperationalError
from django.test import Client

from playbook.web.accounts.models import User
from playbook.web.jobs import views

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
