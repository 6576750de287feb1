"""A running demo and a browser, one of each for a test module."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser import chromium
from tests.e2e.demo import Demo, database
from tests.e2e.short import content_of_the_walk
from tests.e2e.visit import Visit


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """Site, worker and sample base model, ready; afterwards stopped as by Ctrl-C, which must leave no process."""
    content = content_of_the_walk(tmp_path_factory.mktemp("walk"))
    with database() as environ:
        running = Demo(tmp_path_factory.mktemp("demo"), environ | {"PLAYBOOK_CONTENT_DIR": str(content)})
        try:
            yield running
        finally:
            ended = running.stop()
        assert ended == (0, [])


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium. One a module, because a running Playwright keeps Django's ORM from being used."""
    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(browser: Browser, demo: Demo) -> Iterator[Visit]:
    """People with a browser each. At the end no page may have given cause for complaint."""
    people = Visit(browser, demo.address, demo.password)
    yield people
    people.close()
    assert people.complaints == []
