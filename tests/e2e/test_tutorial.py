"""The tutorial, walked in a browser exactly as its file says: no step, name or value stands in this test.

In the article, **bold** within a step is a link, button or field as the page shows it, and the `code` after it is what
is entered or chosen. A headline that names a signing role changes who walks. So a button renamed on the page, or
a step that the article leaves out, fails here.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect
from pytest_django.live_server_helper import LiveServer

from playbook.library.articles import read_article
from playbook.web.accounts.models import User
from tests.browser import chromium, open_context
from tests.conftest import PASSWORD

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

ARTICLE = Path(__file__).parents[2] / "content/articles/start-here/a-signed-decision-in-15-minutes.md"
#: What the headline of a step names → who walks it.
WALKERS = {"ML lead": "bob", "product owner": "charlie"}
OWN_PASSWORD = "your own password"


@dataclass(frozen=True)
class Act:
    """One thing to do, by `who`: press `name`, or with a `value` fill it in or choose it there."""

    who: str
    name: str
    value: str | None


def read_acts(markdown: str) -> Iterator[Act]:
    """Yield what the numbered lines under the headlines "Step …" say, in order.

    >>> list(read_acts("## Step 1: The ML lead signs\\n\\n1. As **Name** enter `x`. Press **Start**.\\n"))
    [Act(who='bob', name='Name', value='x'), Act(who='bob', name='Start', value=None)]
    """
    for section in re.split(r"^## ", markdown, flags=re.MULTILINE):
        title, _, text = section.partition("\n")
        if not title.startswith("Step "):
            continue
        who = next((person for role, person in WALKERS.items() if role in title), "alice")
        for line in re.findall(r"^\d+\. (.+(?:\n {3}.+)*)", text, flags=re.MULTILINE):
            for found in re.finditer(r"\*\*(?P<name>[^*]+)\*\*(?:[^*`]*`(?P<value>[^`]+)`)?", " ".join(line.split())):
                yield Act(who, found["name"], found["value"])


@pytest.fixture
def people(alice: User, bob: User, charlie: User) -> Iterator[tuple[LiveServer, Browser]]:
    """A site on which the three of the demo have accounts, and a browser."""
    server = LiveServer("localhost")
    with chromium() as browser:
        yield server, browser
    server.stop()


def test_the_tutorial_leads_to_an_accepted_decision(people: tuple[LiveServer, Browser]) -> None:
    server, browser = people
    acts = list(read_acts(read_article(f"articles/start-here/{ARTICLE.name}", ARTICLE.read_text()).body))
    assert {act.who for act in acts} == {"alice", "bob", "charlie"}

    pages = {who: _log_in(open_context(browser, server.url), who) for who in ("alice", "bob", "charlie")}
    for act in acts:
        page = pages[act.who]
        if act.who != "alice" and act.name == "Read and sign":
            page.goto("/")  # the article says "log in": what waits is on Home
        if act.value is None:
            _press(page, act.name)
        else:
            _enter(page, act.name, act.value)

    decision = pages["charlie"]
    entered = {act.name: act.value for act in acts}
    expect(decision.get_by_text("Accepted", exact=True)).to_be_visible()
    expect(decision.get_by_role("region", name="Success criterion")).to_contain_text(
        f"{entered['Metric']} of {entered['Arm']} on the test set ≥ {entered['At least']}", ignore_case=True
    )
    expect(decision.get_by_role("region", name="Consequences")).to_contain_text(str(entered["Consequences"]))
    signatures = decision.get_by_role("region", name="Signatures")
    expect(signatures.get_by_role("listitem")).to_have_count(2)
    expect(signatures).to_contain_text(f"{entered['ML lead']}, ML lead")
    expect(signatures).to_contain_text(f"{entered['Product owner']}, Product owner")


def _log_in(context: BrowserContext, username: str) -> Page:
    page = context.new_page()
    page.goto("/account/login/")
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("navigation", name="Main")).to_be_visible()
    return page


def _press(page: Page, name: str) -> None:
    """Press the button or follow the link of this name; "Read and sign" is enough for "Read and sign D-1"."""
    button = page.get_by_role("button", name=name, exact=True)
    link = page.get_by_role("link", name=name, exact=True)
    _first_visible(page, name, button, link, page.get_by_role("link", name=name)).click()


def _enter(page: Page, name: str, value: str) -> None:
    """Answer the question, or fill in or choose in the field, of this name."""
    question = page.get_by_role("group", name=name, exact=True)
    fields = page.locator("input, select, textarea")  # the figure of the flow has links of the same name
    labelled = (page.get_by_label(label, exact=True).and_(fields) for label in (name, f"{name} (optional)"))
    found = _first_visible(page, name, question, *labelled)
    match found.evaluate("element => element.tagName"):
        case "FIELDSET":
            found.get_by_label(value, exact=True).check()
        case "SELECT":
            found.select_option(label=value)
        case _:
            found.fill(PASSWORD if value == OWN_PASSWORD else value)


def _first_visible(page: Page, name: str, *ways: Locator) -> Locator:
    """Wait until one of the ways finds something, and return the first match of the first that does."""
    expect(reduce(Locator.or_, ways).first, f"{page.url} has no {name!r}, which the tutorial names").to_be_visible()
    return next(way for way in ways if way.count()).first
