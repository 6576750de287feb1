"""The small library on disk, and a signed-in reader of it."""

from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from playbook.library import content as library_content
from playbook.library import history as library_history
from playbook.web.accounts.models import User
from tests.web.wiki.shelf import FILES


@pytest.fixture
def content(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The files of `shelf`; changes show at once."""
    monkeypatch.setattr(library_content, "CHECK_SECONDS", 0.0)
    monkeypatch.setattr(library_history, "CHECK_SECONDS", 0.0)
    folder = tmp_path / "content"
    for path, text in FILES.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    settings.PLAYBOOK_CONTENT_DIR = folder
    return folder


@pytest.fixture
def reader(client: Client, alice: User, content: Path) -> Client:
    client.force_login(alice)
    return client
