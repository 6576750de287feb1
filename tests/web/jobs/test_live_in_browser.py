"""The page of a running job in a browser: what somebody marks, reads or has the focus on stays through the polls."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from playbook.web.accounts.models import User
from playbook.web.jobs.models import Attempt, Job
from playbook.web.usecases.models import UseCase
from tests.web.jobs.busy import busy_job
from tests.web.jobs.ended import send_events
from tests.web.jobs.opened import opened, wait_for_a_poll

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]

MARK_THE_STATE = "getSelection().selectAllChildren(document.querySelector('#live .badge'))"


@pytest.fixture
def attempt(use_case: UseCase, alice: User) -> Attempt:
    """Of a job in training whose log is longer than its part of the page."""
    job: Job = busy_job(use_case, alice)
    attempt = job.latest_attempt
    assert attempt is not None
    lines: list[dict[str, object]] = [{"kind": "log", "message": f"Line {number} of the log."} for number in range(100)]
    send_events(attempt, *lines)
    return attempt


@pytest.fixture
def page(browser: Browser, attempt: Attempt) -> Iterator[Page]:
    with opened(browser, f"/jobs/{attempt.job_id}/") as page:
        yield page


def test_what_is_marked_stays_marked_until_it_is_let_go(page: Page) -> None:
    page.evaluate(MARK_THE_STATE)
    for _ in range(2):
        with page.expect_response(lambda answer: answer.request.headers.get("hx-target") == "live"):
            pass
    assert page.evaluate("getSelection().toString()") == "Running"
    page.evaluate("getSelection().removeAllRanges()")
    wait_for_a_poll(page, "live")


def test_a_button_and_a_link_keep_the_focus(page: Page) -> None:
    for thing in (
        page.get_by_role("button", name="Cancel job"),
        page.get_by_role("link", name="All predictions"),
    ):
        thing.focus()
        wait_for_a_poll(page, "live")
        expect(thing).to_be_focused()


def test_the_log_stays_where_it_is_read_and_keeps_the_focus(page: Page) -> None:
    log = page.locator(".log")
    log.focus()
    log.evaluate("node => node.scrollTop = 400")
    wait_for_a_poll(page, "log-lines")
    assert log.evaluate("node => node.scrollTop") == 400
    expect(log).to_be_focused()


def test_what_is_searched_for_begins_at_the_newest_line(page: Page) -> None:
    log = page.locator(".log")
    log.evaluate("node => node.scrollTop = 400")
    search = page.get_by_label("Search in the log")
    search.fill("Line 9")
    expect(page.locator(".log li")).to_have_count(11)
    assert log.evaluate("node => node.scrollTop") == 0
    wait_for_a_poll(page, "log-lines")
    expect(page.locator(".log li")).to_have_count(11)
    expect(search).to_be_focused()
