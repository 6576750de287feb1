"""Letters: who is asked to sign is written to, after the commit; a mail server that is away fails nothing."""

import importlib
from datetime import date
from typing import Any

import pytest
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from playbook.contracts.roles import Role
from playbook.web import settings as site_settings
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import add_evidence, answer_question
from playbook.web.assessments.evidence import LinkEvidence
from playbook.web.decisions import actions
from playbook.web.decisions.models import Decision, Signature, Verdict
from tests.web import decided
from tests.web.decisions.conftest import edit, sign

PIECE = LinkEvidence(url="https://example.org/minutes", label="Minutes")


@pytest.fixture(autouse=True)
def _addresses(alice: User, bob: User, charlie: User) -> None:
    for user in (alice, bob, charlie):
        user.email = f"{user.username}@example.org"
        user.save()


def letters() -> list[tuple[str, str]]:
    return [(letter.to[0].partition("@")[0], str(letter.subject)) for letter in mail.outbox]


def test_who_is_asked_is_written_to_and_asked_again_after_a_change(
    draft: Decision,
    alice: User,
    bob: User,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    Decision.objects.update(sign_by=date(2030, 5, 1), title="Line\nbreak", **decided.FORECAST)
    with django_capture_on_commit_callbacks(execute=True):
        proposal = actions.propose(draft, actor=alice)
    subject = "Please sign D-1: Line break"
    assert letters() == [("bob", subject), ("charlie", subject)]
    body = mail.outbox[0].body
    assert "asks you to sign it as ML lead. It is due on 1 May 2030." in body
    assert "http://localhost:8000/decisions/1/#sign" in body
    sign(proposal, bob, Role.ML_LEAD)
    mail.outbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        edit(proposal, alice, title="Other")
    assert letters() == [("bob", "Please sign D-1: Other"), ("charlie", "Please sign D-1: Other")]


def test_an_answer_that_voids_a_signature_asks_for_it_again_once(
    proposal: Decision, alice: User, bob: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    sign(proposal, bob, Role.ML_LEAD)
    mail.outbox.clear()
    for revision, value in enumerate(("unknown", "no"), 1):
        with django_capture_on_commit_callbacks(execute=True):
            answer_question(
                proposal.assessment,
                question_id="maintain",
                value=value,
                comment="",
                seen_revision=revision,
                author=alice,
            )
    assert letters() == [("bob", f"Please sign D-1 again: {proposal.title}")]
    body = mail.outbox[0].body
    assert "Alice Moreau changed an answer that this decision rests on, so your signature became void." in body
    sign(proposal, bob, Role.ML_LEAD)
    mail.outbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        add_evidence(proposal.assessment, question_id="maintain", piece=PIECE, author=alice)
    assert [to for to, _ in letters()] == ["bob"]


def test_nobody_is_asked_again_for_what_they_may_not_sign_any_more(
    proposal: Decision, bob: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    """Who changes an answer after the proposal does not sign it."""
    sign(proposal, bob, Role.ML_LEAD)
    mail.outbox.clear()
    with django_capture_on_commit_callbacks(execute=True):
        answer_question(
            proposal.assessment, question_id="maintain", value="no", comment="", seen_revision=1, author=bob
        )
    assert letters() == []


def test_the_proposer_hears_what_became_of_it(
    proposal: Decision, bob: User, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        sign(proposal, bob, Role.ML_LEAD, Verdict.REJECT, "Too few rows.")
    ((to, subject),) = letters()
    assert (to, subject.startswith("D-1 is rejected: ")) == ("alice", True)
    assert "Bob Okafor signed as ML lead, so the decision is rejected. Reason: Too few rows." in mail.outbox[0].body


def test_a_mail_server_that_is_away_fails_no_signature(
    proposal: Decision,
    bob: User,
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 1
    with django_capture_on_commit_callbacks(execute=True):
        sign(proposal, bob, Role.ML_LEAD, Verdict.REJECT, "No.")
    assert Signature.objects.count() == 1
    assert "to alice@example.org was not sent" in caplog.text


def reloaded(monkeypatch: pytest.MonkeyPatch, url: str) -> Any:
    monkeypatch.setenv("PLAYBOOK_EMAIL_URL", url)
    try:
        return {
            name: value for name, value in vars(importlib.reload(site_settings)).items() if name.startswith("EMAIL")
        }
    finally:
        monkeypatch.delenv("PLAYBOOK_EMAIL_URL")
        importlib.reload(site_settings)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (
            "smtp://me%40x:p%2Fw@mail.example:587",
            {"EMAIL_HOST": "mail.example", "EMAIL_PORT": 587, "EMAIL_USE_TLS": True, "EMAIL_HOST_USER": "me@x"},
        ),
        ("smtps://mail.example", {"EMAIL_PORT": 465, "EMAIL_USE_SSL": True, "EMAIL_USE_TLS": False}),
        ("smtp://localhost", {"EMAIL_PORT": 25, "EMAIL_USE_SSL": False, "EMAIL_USE_TLS": False}),
        ("", {"EMAIL_BACKEND": "django.core.mail.backends.console.EmailBackend"}),
    ],
)
def test_the_address_of_the_mail_server_is_read(
    monkeypatch: pytest.MonkeyPatch, url: str, expected: dict[str, object]
) -> None:
    found = reloaded(monkeypatch, url)
    assert {name: found[name] for name in expected} == expected


@pytest.mark.parametrize("url", ["mail.example:25", "http://mail.example", "smtp://"])
def test_a_wrong_address_stops_the_start_with_one_sentence(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="PLAYBOOK_EMAIL_URL is not an address such as"):
        reloaded(monkeypatch, url)
