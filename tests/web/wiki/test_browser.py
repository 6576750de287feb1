"""Reading aids in a real browser: the place in the contents, previews, copying, terms; nothing moves."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from playbook.web.accounts.models import User
from tests.browser import open_context
from tests.conftest import PASSWORD
from tests.waiting import wait_for
from tests.web.wiki.shelf import article_text

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
LONG = "\n\n".join(f"## Part {number}\n\n" + "Words to read, line by line. " * 120 for number in range(1, 5))
BODY = f"Read [on](second.md) about the adapter.\n\n```python\nprint('copied')\n```\n\n{LONG}\n"
GLOSSARY = "terms:\n  - {slug: adapter, term: adapter, definition: A small file of weights.}\n"
WATCH = """
window.moved = 0;
new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.moved += entry.value; })
  .observe({ type: "layout-shift", buffered: true });
"""


@pytest.fixture
def page(browser: Browser, alice: User, content: Path) -> Iterator[Page]:
    """Alice on the article, in a wide window, at a site of this test's own."""
    (content / "glossary.yaml").write_text(GLOSSARY)
    (content / "articles/train/third.md").write_text(article_text("Third", BODY))
    server = LiveServer("localhost")
    opened = open_context(browser, server.url).new_page()
    opened.add_init_script(WATCH)
    opened.goto("/account/login/?next=/library/train/third/")
    opened.get_by_label("Username").fill("alice")
    opened.get_by_label("Password").fill(PASSWORD)
    opened.get_by_role("button", name="Log in").click()
    opened.wait_for_url("**/library/train/third/")
    yield opened
    opened.context.close()
    server.stop()


def test_reading_aids_work_and_nothing_moves(page: Page) -> None:
    contents = page.get_by_role("navigation", name="On this page")
    page.evaluate("document.getElementById('part-3').scrollIntoView()")
    expect(contents.locator("[aria-current]")).to_have_text("Part 3")

    page.keyboard.press("End")
    expect(contents.locator("[aria-current]")).to_have_text("Part 4")
    # On a busy machine a key that is pressed while the page still glides may be lost.
    page.wait_for_function("innerHeight + scrollY >= document.documentElement.scrollHeight - 1")
    page.keyboard.press("Home")
    expect(contents.locator("[aria-current]")).to_have_count(0)
    # What is marked is so before the page has come to rest; the link would be scrolled away from under the pointer.
    wait_for(lambda: page.evaluate("scrollY") == 0)
    link = page.get_by_role("link", name="on", exact=True)
    link.hover()
    preview = page.locator("#link-preview")
    expect(preview).to_contain_text("Second")
    preview.hover()
    expect(preview).to_be_visible()
    page.keyboard.press("Escape")
    expect(preview).to_be_hidden()

    page.locator(".term-word").focus()
    page.locator(".term-word").hover()
    expect(page.get_by_text("A small file of weights.")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("A small file of weights.")).to_be_hidden()

    expect(page.get_by_role("button", name="Copy")).to_have_count(1)
    assert page.evaluate("window.moved") == 0


def test_headings_named_like_parts_of_the_page_break_none_of_them(page: Page, content: Path) -> None:
    names = ("Palette", "Palette found", "Palette list", "Main", "Flags", "Page end", "Link preview", "Htmx")
    body = "".join(f"## {name}\n\nWords.\n\n" for name in names)
    (content / "articles/train/third.md").write_text(article_text("Third", f"[on](second.md)\n\n{body}"))
    page.goto("/library/train/third/")

    page.get_by_role("link", name="on", exact=True).hover()
    expect(page.locator(".link-preview")).to_contain_text("Second")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox", name="Search").fill("second")
    expect(page.get_by_role("option", selected=True)).to_contain_text("Second")
    page.keyboard.press("Enter")
    page.wait_for_url("**/library/train/second/")


def test_a_calculator_in_the_text_answers_without_leaving_it(page: Page, content: Path) -> None:
    (content / "articles/train/third.md").write_text(
        article_text("Third", "/// calculator | test-rows\n///\n\n/// calculator | test-rows?rows=30\n///\n")
    )
    page.goto("/library/train/third/")
    second = page.get_by_role("region", name="How many test rows do I need?").nth(1)

    second.get_by_label("Test rows").fill("228")
    expect(second).to_contain_text("95 % interval at 228 rows")
    second.get_by_label("Test rows").fill("0")
    expect(second).to_contain_text("Test rows: Ensure this value is greater than or equal to 1.")
    second.get_by_label("Test rows").fill("300")
    expect(second).to_contain_text("95 % interval at 300 rows")
    assert page.url.endswith("/library/train/third/")
    second.get_by_role("link", name="Link to this result").click()
    expect(page.get_by_label("Test rows")).to_have_value("300")

    page.get_by_label("Test rows").fill("400")
    expect(page.locator("#result")).to_contain_text("at 400 rows")
    page.get_by_role("link", name="Calculators", exact=True).first.click()
    page.wait_for_url("**/library/calculators/")
    page.go_back()
    expect(page.get_by_role("heading", level=1)).to_have_text("How many test rows do I need?")
    expect(page.get_by_label("Test rows")).to_have_value("400")


def test_code_is_copied_tabs_turn_by_keyboard_and_terms_open_on_focus(page: Page, content: Path) -> None:
    tabs = "/// tab | Python\n```python\nprint('one')\n```\n///\n\n/// tab | Shell\nWords of the second tab.\n///\n"
    (content / "articles/train/third.md").write_text(article_text("Third", f"An adapter.\n\n{tabs}"))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto("/library/train/third/")

    page.get_by_role("button", name="Copy").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "print('one')"

    expect(page.get_by_text("Words of the second tab.")).to_be_hidden()
    page.get_by_label("Python").focus()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_text("Words of the second tab.")).to_be_visible()

    expect(page.get_by_role("tooltip")).to_be_hidden()
    page.evaluate("document.querySelector('.skip').focus()")
    while page.evaluate("document.activeElement.className") != "term-word":
        page.keyboard.press("Tab")
    expect(page.get_by_text("A small file of weights.")).to_be_visible()
    assert page.evaluate("document.activeElement.getAttribute('aria-describedby')") == "term:adapter"


def test_on_paper_stand_the_text_all_tabs_and_the_addresses_of_sources(page: Page, content: Path) -> None:
    body = "Read [this](https://example.org/x).\n\n/// tab | One\nFirst.\n///\n\n/// tab | Two\nSecond.\n///\n"
    (content / "articles/train/third.md").write_text(article_text("Third", body))
    page.goto("/library/train/third/")
    page.emulate_media(media="print")

    expect(page.get_by_text("Second.", exact=True)).to_be_visible()
    for hidden in ("Main", "Areas of the library", "Previous and next article"):
        expect(page.get_by_role("navigation", name=hidden)).to_have_count(0)
    expect(page.get_by_text("Something out of date?")).to_be_hidden()
    address = "getComputedStyle(document.querySelector('.prose a[href^=http]'), '::after').content"
    assert page.evaluate(address) == '" (https://example.org/x)"'
