"""Debian's chromium, for the tests that look at pages. It waits as long as a busy machine needs, not 5 s."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Browser, BrowserContext, expect, sync_playwright

from tests.conftest import CHROMIUM
from tests.waiting import DEADLINE_SECONDS

DEADLINE_MILLISECONDS = DEADLINE_SECONDS * 1000
WIDE = {"width": 1440, "height": 900}

expect.set_options(timeout=DEADLINE_MILLISECONDS)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Yield a running browser. While it runs, Django's ORM refuses to be used in this thread."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def open_context(browser: Browser, address: str, **options: Any) -> BrowserContext:
    """Return a browser window of one person at the site, wide unless the options say otherwise, without animations."""
    # A colour that is still fading is no colour to measure.
    settings: dict[str, Any] = {"base_url": address, "viewport": WIDE, "reduced_motion": "reduce", **options}
    context = browser.new_context(**settings)
    context.set_default_timeout(DEADLINE_MILLISECONDS)
    return context
