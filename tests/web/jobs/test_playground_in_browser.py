"""The playground in a browser: answers grow without taking away what somebody selects or writes."""

import os
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from playbook.web.accounts.models import User
from playbook.web.jobs.models import Attempt, JobKind
from playbook.web.usecases.models import UseCase
from tests.browser import open_context
from tests.conftest import PASSWORD
from tests.web.jobs.ended import send_events, succeeded_job
from tests.web.jobs.talked import talked
from tests.web.jobs.talking import said, url_of

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]
SECONDS = 60_000


@pytest.fixture
def page(browser: Browser, use_case: UseCase, alice: User) -> Iterator[Page]:
    """Alice at a session with one question answered and one being answered."""
    where = url_of(talked(use_case, alice, succeeded_job(use_case, alice)))
    server = LiveServer("localhost")
    page = open_context(browser, server.url).new_page()
    page.goto(f"/account/login/?next={where}")
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{server.url}{where}")
    yield page
    page.context.close()
    server.stop()


def test_an_answer_grows_and_nothing_else_moves(page: Page) -> None:
    attempt = Attempt.objects.get(job__kind=JobKind.PLAYGROUND)
    page.locator("#ask textarea").focus()
    page.keyboard.type("while it answers")
    send_events(attempt, said(2, "base", "A lift is a mach"))
    expect(page.locator("#answer-2-base .said")).to_have_text("A lift is a mach", timeout=SECONDS)
    assert page.evaluate("document.activeElement.value") == "while it answers"
    page.evaluate("getSelection().selectAllChildren(document.querySelector('#answer-1-tuned .said'))")
    selected = page.evaluate("getSelection().toString()")
    send_events(attempt, said(2, "base", "ine.", at_character=16, done=True, seconds=1.5))
    expect(page.locator("#answer-2-base .said")).to_have_text("A lift is a machine.", timeout=SECONDS)
    expect(page.locator("#answer-2-base .foot")).to_contain_text("3 tokens · 1.5 s · 2.0 tokens/s")
    assert (bool(selected), page.evaluate("getSelection().toString()")) == (True, selected)
    page.locator("#answer-2-base .copy").click()
    expect(page.locator("#answer-2-base .copy")).to_have_text(re.compile("Copied|Not allowed"))
    page.click("#stop")
    expect(page.locator("#pulse")).to_contain_text("stopping", timeout=SECONDS)
    send_events(attempt, said(2, "tuned", "", done=True, natural_stop=False, stopped=True))
    expect(page.locator("#pulse .badge")).to_have_text("ready", timeout=SECONDS)
    if folder := os.environ.get("SCREENSHOTS"):
        for width in (390, 1440):
            for scheme in ("light", "dark"):
                page.set_viewport_size({"width": width, "height": 900})
                page.emulate_media(color_scheme=scheme)
                page.screenshot(path=f"{folder}/playground-{width}-{scheme}.png", full_page=True)
    assert page.evaluate("document.querySelector('#ask textarea').value") == "while it answers"


def test_a_message_too_long_is_counted_while_it_is_written(page: Page) -> None:
    page.locator("#ask textarea").fill("x" * 8_150)
    expect(page.locator("#ask .count")).to_have_text("150 characters too many; the limit is 8,000")
    page.locator("#ask textarea").fill("x" * 7_990)
    expect(page.locator("#ask .count")).to_have_text("10 characters left")
