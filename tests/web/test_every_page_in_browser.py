"""Every page in a browser, as production serves it: accessible, steady, light, and nothing is cut off.

Each page is loaded once on a phone and once on a wide screen, and looked at in both themes each time. Two windows share
the rows, one for each core. `SCREENSHOTS=folder` keeps a picture of each page.
"""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.test.testcases import LiveServerThread
from playwright.async_api import Browser, BrowserContext, Page, StorageState, async_playwright

from playbook.web.accounts.models import User
from tests.browser import DEADLINE_MILLISECONDS
from tests.conftest import CHROMIUM, PASSWORD
from tests.e2e.visit import AXE, HEIGHT, RUN_AXE, THEMES, WIDTHS, axe_options
from tests.waiting import DEADLINE_SECONDS
from tests.web.every_page import Row, make_rows

# A hundred pages, four times each: minutes on an idle machine.
pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True), pytest.mark.timeout(3600)]

WINDOWS = 2
#: HTML, style sheets and scripts, as they come over the wire; fonts and pictures apart.
MAX_BYTES = 60 * 1024
#: What the browser calls them, and what a page fetches on its own.
WEIGHED = ("Document", "Stylesheet", "Script", "XHR", "Fetch")
#: Adds up every shift, also those that follow a click, which the measure itself would forgive.
WATCH = """
window.moved = [];
const nodeOf = ({ node }) => node ? `${node.nodeName}.${node.className}` : "";
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) window.moved.push([entry.value, ...entry.sources.map(nodeOf)]);
}).observe({ type: "layout-shift", buffered: true });
"""
#: What htmx would only complain of in the moment that it needs it, which may be a poll some seconds later.
LOST = """
() => ["hx-include", "hx-target", "hx-indicator"].flatMap((name) =>
  [...document.querySelectorAll(`[${name}^="#"]`)].map((node) => node.getAttribute(name))
).filter((selector) => !document.querySelector(selector))
"""
SCROLL = """
async () => {
  const drawn = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  await document.fonts.ready;
  for (let y = innerHeight; y < document.documentElement.scrollHeight; y += 2 * innerHeight) {
    scrollTo(0, y);
    await drawn();
  }
  scrollTo(0, 0);
  await drawn();
  return window.moved;
}
"""


@pytest.fixture
def rows(bob: User, charlie: User, every_block: None) -> tuple[Row, ...]:
    erin = User.objects.create_user("erin", password=PASSWORD, name="Erin Vogel", is_staff=True)
    return make_rows(erin, bob, charlie)


@pytest.fixture
def address(rows: tuple[Row, ...]) -> Iterator[str]:
    """The site with its hashed and compressed static files, as gunicorn would serve it."""
    call_command("collectstatic", interactive=False, verbosity=0)
    server = LiveServerThread("localhost", _AsInProduction)
    server.daemon = True
    server.start()
    server.is_ready.wait()
    assert server.error is None, server.error
    yield f"http://localhost:{server.port}"
    server.terminate()


class _AsInProduction(WSGIHandler):
    """The application itself: a live server would put Django's uncompressed static files before whitenoise."""

    def __init__(self, _application: WSGIHandler) -> None:
        super().__init__()


class Window:
    """One person's browser window. `complaints` collects what no page may do."""

    def __init__(self, page: Page, complaints: list[str]) -> None:
        self.page = page
        self.complaints = complaints
        self.listening = True
        self.loader = ""
        self.asked: dict[str, str] = {}
        self.kinds: dict[str, str] = {}
        self.sent: dict[str, int] = {}

    @classmethod
    async def open(cls, context: BrowserContext, complaints: list[str]) -> "Window":
        window = cls(await context.new_page(), complaints)
        await window.page.add_init_script(WATCH)
        window.page.on("console", window._note_console)
        window.page.on("pageerror", lambda error: complaints.append(f"{window.page.url}: {error}"))
        network = await context.new_cdp_session(window.page)
        network.on("Network.responseReceived", window._note_answer)
        network.on("Network.loadingFinished", window._note_size)
        network.on("Network.loadingFailed", window._note_failure)
        await network.send("Network.enable")
        return window

    async def look_at(self, row: Row) -> None:
        for width, themes in zip(WIDTHS, (THEMES, THEMES[::-1]), strict=True):
            where = f"{row.path} ({row.who or 'nobody'}), {width} px"
            await self.page.set_viewport_size({"width": width, "height": HEIGHT})
            await self.page.emulate_media(color_scheme=themes[0])
            answer = await self.page.goto(row.path, wait_until="load")
            self._expect(answer is not None and answer.status == row.status, f"{where}: answers {answer}")
            moved = await self.page.evaluate(SCROLL)
            self._expect(not moved, f"{where}: layout shifts {moved}")
            await self._weigh(where)
            lost = await self.page.evaluate(LOST)
            self._expect(not lost, f"{where}: htmx looks for {lost} in vain")
            too_wide = await self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            self._expect(too_wide <= 0, f"{where}: scrolls sideways by {too_wide} px")
            await self.page.evaluate(AXE)
            for theme in themes:
                await self.page.emulate_media(color_scheme=theme)
                await self._keep_picture(f"{row.label}-{row.status}-{theme}-{width}")
                await self._run_axe(f"{where}, {theme}", colours_only=theme == themes[1])

    async def _weigh(self, where: str) -> None:
        """Count what the page needs at a first visit, also what the browser had kept since an earlier page."""
        for _ in range(DEADLINE_SECONDS * 10):
            if all(url in self.sent for url in self.asked.values()):  # a live page asks again and again
                break
            await asyncio.sleep(0.1)
        counted = {url: self.sent.get(url, 0) for number, url in self.asked.items() if self.kinds[number] in WEIGHED}
        lacking = {"Document", "Stylesheet", "Script"} - {self.kinds[number] for number in self.asked}
        self._expect(not lacking and min(counted.values()) > 0, f"{where}: not weighed: {lacking} {counted}")
        self._expect(sum(counted.values()) <= MAX_BYTES, f"{where}: {sum(counted.values()):,} bytes: {counted}")

    async def _run_axe(self, where: str, *, colours_only: bool) -> None:
        self.listening = False  # axe-core tries inline styles on the page, which its policy refuses
        found = await self.page.evaluate(RUN_AXE, axe_options(colours_only=colours_only))
        self.complaints += [f"{where}: {complaint}" for complaint in found]
        self.listening = True

    async def _keep_picture(self, name: str) -> None:
        if folder := os.environ.get("SCREENSHOTS"):
            # Hiding the caret would take an inline style, which the page's policy refuses.
            await self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=True, caret="initial")

    def _note_console(self, message: Any) -> None:
        # Chromium notes every answer of 400 and above; the row says which status is right.
        expected = "Failed to load resource: the server responded with a status of"
        if self.listening and message.type in ("error", "warning") and not message.text.startswith(expected):
            self.complaints.append(f"{self.page.url}: {message.text}")

    def _note_answer(self, event: dict[str, Any]) -> None:
        if event["type"] == "Document":
            self.loader = event["loaderId"]
            self.asked.clear()
        if event["loaderId"] == self.loader:  # not what the page before it was still asking for
            self.asked[event["requestId"]] = event["response"]["url"]
            self.kinds[event["requestId"]] = event["type"]

    def _note_size(self, event: dict[str, Any]) -> None:
        if url := self.asked.get(event["requestId"]):
            self.sent[url] = max(int(event["encodedDataLength"]), self.sent.get(url, 0))

    def _note_failure(self, event: dict[str, Any]) -> None:
        """Forget what was given up, as a page does with a question that a newer one overtook."""
        self.asked.pop(event["requestId"], None)

    def _expect(self, holds: bool, complaint: str) -> None:
        if not holds:
            self.complaints.append(complaint)


async def _log_in(browser: Browser, address: str, who: str) -> StorageState | None:
    """Return the cookies of somebody who has logged in; None for nobody."""
    if not who:
        return None
    context = await browser.new_context(base_url=address)
    context.set_default_timeout(DEADLINE_MILLISECONDS)
    page = await context.new_page()
    await page.goto("/account/login/")
    await page.get_by_label("Username").fill(who)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_url(f"{address}/")
    cookies = await context.storage_state()
    await context.close()
    return cookies


async def _complaints(address: str, rows: tuple[Row, ...]) -> list[str]:
    complaints: list[str] = []
    waiting = iter(rows)
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        cookies = {who: await _log_in(browser, address, who) for who in dict.fromkeys(row.who for row in rows)}

        async def look() -> None:
            windows: dict[str, Window] = {}
            for row in waiting:
                if row.who not in windows:
                    context = await browser.new_context(
                        base_url=address, storage_state=cookies[row.who], reduced_motion="reduce"
                    )
                    context.set_default_timeout(DEADLINE_MILLISECONDS)
                    windows[row.who] = await Window.open(context, complaints)
                await windows[row.who].look_at(row)

        await asyncio.gather(*(look() for _ in range(WINDOWS)))
        await browser.close()
    return sorted(complaints)


def test_every_page_is_accessible_steady_and_light(rows: tuple[Row, ...], address: str) -> None:
    complaints = asyncio.run(_complaints(address, rows))
    assert not complaints, "\n".join(complaints)
