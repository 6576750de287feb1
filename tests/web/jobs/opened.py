"""A page of a job in a browser window, as alice sees it, and its parts that fetch themselves anew."""

from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from tests.conftest import PASSWORD
from tests.e2e.visit import Visit


@contextmanager
def opened(browser: Browser, path: str) -> Iterator[Page]:
    """Serve the site and open `path`. Fails at the end if the browser complained of anything."""
    server = LiveServer("localhost")
    visit = Visit(browser, server.url, PASSWORD)
    page = visit.log_in("alice")
    page.goto(path)
    yield page
    visit.close()
    server.stop()
    assert visit.complaints == []


def wait_for_a_poll(page: Page, part: str = "live") -> None:
    """Wait until the part of the page with this id was replaced."""
    page.evaluate(f"document.getElementById('{part}').dataset.seen = 'yes'")
    expect(page.locator(f"#{part}:not([data-seen])")).to_be_attached()
