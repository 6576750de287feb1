"""What a browser test says: who opens which page, and that each page is fit to be shown."""

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import axe_playwright_python
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Request

from tests.browser import open_context

THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTHS = (390, 1440)
HEIGHT = 900
AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
RUN_AXE = """
async (options) => (await axe.run(document, options)).violations.map(
  (found) => `${found.id}: ${found.help}: ` +
    found.nodes.slice(0, 3).map((node) => `${node.html.slice(0, 200)} ${node.failureSummary}`).join(" ")
)
"""
#: What htmx writes when a page is left while a request is under way. A request that fails says more than this.
ABORTED = ("htmx:sendAbort", "htmx:afterRequest")


@dataclass
class Visit:
    """People at the site, each in a browser context of their own. `complaints` collects what no page may do."""

    browser: Browser
    address: str
    password: str
    complaints: list[str] = field(default_factory=list)
    _listening: bool = True
    _contexts: list[BrowserContext] = field(default_factory=list)

    def log_in(self, username: str, *, javascript: bool = True) -> Page:
        """Return a page on which the person has just logged in."""
        context = open_context(self.browser, self.address, java_script_enabled=javascript)
        self._contexts.append(context)
        page = context.new_page()
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.complaints.append(f"{page.url}: {error}"))
        page.on("request", self._note_request)
        page.goto("/account/login/")
        page.get_by_label("Username").fill(username)
        page.get_by_label("Password").fill(self.password)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url(re.compile(f"^{re.escape(self.address)}/$"))
        return page

    def show(self, page: Page, name: str) -> None:
        """Check one page in light and dark, on a phone and on a wide screen: axe finds nothing, nothing is cut off.

        With SCREENSHOTS=folder in the environment a picture of each is kept there as `<name>-<theme>-<width>.png`.
        """
        for width, themes in zip(WIDTHS, (THEMES, THEMES[::-1]), strict=True):
            page.set_viewport_size({"width": width, "height": HEIGHT})
            page.evaluate(AXE)
            for theme in themes:
                page.emulate_media(color_scheme=theme)
                _keep_picture(page, f"{name}-{theme}-{width}")
                where = f"{name} ({page.url}), {theme}, {width} px"
                too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
                if too_wide > 0:
                    self.complaints.append(f"{where}: scrolls sideways by {too_wide} px")
                self._listening = False  # axe-core tries inline styles on the page, which its policy refuses
                found = page.evaluate(RUN_AXE, axe_options(colours_only=theme == themes[1]))
                self.complaints += [f"{where}: {complaint}" for complaint in found]
                self._listening = True
        page.emulate_media(color_scheme="light")

    def close(self) -> None:
        for context in self._contexts:
            context.close()

    def _note_console(self, message: ConsoleMessage) -> None:
        if self._listening and message.type in ("error", "warning") and not message.text.startswith(ABORTED):
            self.complaints.append(f"{message.page.url if message.page else ''}: {message.text}")

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith((f"{self.address}/", "data:", "blob:")):
            self.complaints.append(f"{request.frame.url} asked for {request.url}")


def axe_options(*, colours_only: bool) -> dict[str, Any]:
    """Return what axe-core looks for. `colours_only`: for a second theme, which changes colours and nothing else."""
    # Preloading fetches the style sheets anew, and reports what the content security policy says to that. A selector
    # for each element takes a fifth of the time, and the complaint shows the element itself.
    options: dict[str, Any] = {"preload": False, "resultTypes": ["violations"], "selectors": False}
    return options | ({"runOnly": ["color-contrast", "link-in-text-block"]} if colours_only else {})


def _keep_picture(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.evaluate("scrollTo(0, 0)")  # a header that stays in view would lie across the middle of the picture
        # Hiding the caret would take an inline style, which the page's policy refuses.
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True, caret="initial")
