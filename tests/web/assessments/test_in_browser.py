"""Answering in a browser: what is typed saves itself, and two people who answer at once both see both answers."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect
from pytest_django.live_server_helper import LiveServer

from playbook.web.accounts.models import User
from playbook.web.assessments.models import Assessment
from tests.browser import open_context
from tests.conftest import PASSWORD
from tests.web.assessments.conftest import say

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def page(browser: Browser, alice: User, bob: User, kinds: Assessment) -> Iterator[Page]:
    """Alice at the assessment."""
    server = LiveServer("localhost")
    page = open_context(browser, server.url).new_page()
    page.goto(f"/account/login/?next={kinds.get_absolute_url()}")
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url(f"{server.url}{kinds.get_absolute_url()}")
    yield page
    page.context.close()
    server.stop()


def test_what_is_typed_saves_itself_and_brings_the_next_question(page: Page, kinds: Assessment) -> None:
    page.locator("#goal_value").fill("Fewer calls")
    page.locator("#often_daily").check()
    page.locator("#rows_value").fill("120")
    page.locator("#rows_value").blur()
    expect(page.locator("#rows .facts")).to_contain_text("Alice Moreau answered “120 rows”")
    expect(page.locator("#fits")).to_be_visible()
    expect(page.locator("#flow .path li").last).to_have_text("Is it fits?")
    expect(page.locator(".flow-plot .box.lit")).to_have_count(3)
    page.get_by_role("link", name="Is it rows?", exact=True).focus()
    page.keyboard.press("Enter")
    assert page.url.endswith("#rows")
    assert list(kinds.answers.order_by("id").values_list("value", flat=True)) == ["Fewer calls", "daily", "120"]


def test_the_button_unknown_wins_over_a_number_that_was_just_typed(page: Page, kinds: Assessment, alice: User) -> None:
    say(kinds, alice, goal="x", often="daily")
    page.reload()
    page.locator("#rows_value").fill("7")
    page.locator("#rows").get_by_role("button", name="Unknown").click()
    expect(page.locator("#rows .facts")).to_contain_text("Alice Moreau answered “unknown”")
    expect(page.locator("#rows")).to_contain_text("What would settle it: Look at rows.")
    assert [answer.value for answer in kinds.answers.filter(question_id="rows")] == ["unknown"]


def test_a_comment_and_an_answer_given_after_each_other_are_one(page: Page, kinds: Assessment, alice: User) -> None:
    say(kinds, alice, goal="x", often="daily")
    page.reload()
    page.locator("#often .comment summary").click()
    page.locator("#often_comment").fill("Since June.")
    page.locator("#often_rarely").check()
    expect(page.locator("#often .facts")).to_contain_text("answered “Once a year”")
    newest = kinds.answers.filter(question_id="often").latest("revision")
    assert (newest.revision, newest.value, newest.comment) == (2, "rarely", "Since June.")


def test_two_answers_at_the_same_moment_are_both_shown_and_one_is_chosen(
    page: Page, kinds: Assessment, bob: User
) -> None:
    say(kinds, bob, goal="His goal")
    page.locator("#goal_value").fill("Her goal")
    page.locator("#goal_value").blur()
    choice = page.locator("#goal .collision")
    expect(choice).to_contain_text(re.compile("Bob Okafor.*“His goal”.*You.*“Her goal”", re.DOTALL))
    choice.get_by_role("button", name="Replace it with mine").click()
    expect(page.locator("#goal .facts")).to_contain_text("Alice Moreau answered “Her goal”")
    expect(choice).to_have_count(0)
    assert [answer.value for answer in kinds.answers.order_by("id")] == ["His goal", "Her goal"]
    say(kinds, bob, goal="His again")
    page.locator("#goal_value").fill("Her own again")
    page.locator("#goal_value").blur()
    choice.get_by_role("button", name="Keep theirs").click()
    expect(page.locator("#goal_value")).to_have_value("His again")
    expect(choice).to_have_count(0)
    assert kinds.answers.latest("id").value == "His again"


def test_typing_saves_itself_and_keeps_the_place_in_the_text(page: Page, kinds: Assessment) -> None:
    page.locator("#goal_value").press_sequentially("Fewer calls")
    expect(page.locator("#goal .save-state")).to_have_text("Saved")
    expect(page.locator("#goal_value")).to_be_focused()
    page.keyboard.type(" at night")
    expect(page.locator("#goal .facts")).to_contain_text("“Fewer calls at night”")
    assert kinds.answers.latest("revision").value == "Fewer calls at night"


def test_what_another_answers_appears_and_never_in_place_of_what_is_typed(
    page: Page, kinds: Assessment, bob: User
) -> None:
    say(kinds, bob, often="daily")
    expect(page.locator("#often .news")).to_have_text("Bob Okafor answered just now")
    expect(page.locator("#often_daily")).to_be_checked()
    page.evaluate("document.removeEventListener('input', saveSoon)")  # as somebody who types without a pause
    page.locator("#goal_value").press_sequentially("Hers")
    say(kinds, bob, goal="His")
    expect(page.locator("#goal .news")).to_have_text("Bob Okafor answered just now")
    expect(page.locator("#goal_value")).to_have_value("Hers")
    page.locator("#goal_value").blur()
    expect(page.locator("#goal .collision")).to_contain_text(re.compile("“His”.*You.*“Hers”", re.DOTALL))


def test_the_page_of_a_question_changes_in_place(page: Page, kinds: Assessment) -> None:
    page.goto(f"{kinds.get_absolute_url()}questions/goal/")
    page.evaluate("window.stays = true")
    page.get_by_label("Your message").fill("Who says so?")
    page.locator("#goal_value").press_sequentially("Fewer calls")
    expect(page.locator("#goal .save-state")).to_have_text("Saved")
    expect(page.locator("#answers")).to_contain_text("Alice Moreau: “Fewer calls”")
    page.get_by_role("button", name="Send").click()
    expect(page.locator("#discussion .remark")).to_have_text("Who says so?")
    page.get_by_text("Add evidence").click()
    page.get_by_label("What is it?").select_option("file")
    page.locator("#evidence input[type=file]").set_input_files(
        files=FilePayload(name="counted.txt", mimeType="text/plain", buffer=b"12")
    )
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#evidence .pieces")).to_contain_text("counted.txt")
    assert page.evaluate("window.stays") is True
