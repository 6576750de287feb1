"""A browser, one for the tests of a module: each opens windows of its own in it. And the content that pages show."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser
from pytest_django import Settings

from tests.browser import chromium
from tests.shipped import CONTENT
from tests.web.every_page import copy_content


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    # Playwright runs an event loop in this thread, in which Django would refuse to ask the database.
    with pytest.MonkeyPatch.context() as patch, chromium() as browser:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        yield browser


@pytest.fixture(scope="session")
def copied_content(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's content and an article of every block, with a history: read once in a process, changed by none."""
    folder = tmp_path_factory.mktemp("copied") / "content"
    copy_content(CONTENT, folder)
    return folder


@pytest.fixture
def every_block(copied_content: Path, settings: Settings) -> None:
    """Have the site show that content."""
    settings.PLAYBOOK_CONTENT_DIR = copied_content
