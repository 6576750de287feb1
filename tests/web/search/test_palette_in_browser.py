"""The palette as people use it: by keyboard, with a screen reader's view of it, on a phone and a wide screen."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_django.live_server_helper import LiveServer

from playbook.web.usecases.models import UseCase
from tests.conftest import PASSWORD
from tests.e2e.visit import Visit

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def visit(browser: Browser, use_case: UseCase) -> Iterator[Visit]:
    """People at a site of this test's own, with its settings."""
    server = LiveServer("localhost")
    people = Visit(browser, server.url, PASSWORD)
    yield people
    people.close()
    server.stop()
    assert people.complaints == []


def _type(page: Page, query: str) -> None:
    """Type, and wait until the palette shows what it found for it."""
    with page.expect_response(lambda response: "/search/palette" in response.url):
        page.get_by_role("combobox", name="Search").fill(query)


def test_ctrl_k_types_chooses_and_opens_by_keyboard_alone(visit: Visit) -> None:
    page = visit.log_in("alice")
    page.keyboard.press("Control+k")
    combobox = page.get_by_role("combobox", name="Search")
    expect(combobox).to_be_focused()
    expect(page.get_by_role("option", name="New job")).to_have_attribute("aria-selected", "true")
    _type(page, "what lora chan")
    chosen = page.get_by_role("option", selected=True)
    expect(chosen).to_contain_text("What does LoRA change")
    expect(combobox).to_have_attribute("aria-expanded", "true")
    expect(combobox).to_have_attribute("aria-activedescendant", chosen.get_attribute("id") or "")
    page.keyboard.press("Enter")
    page.wait_for_url("**/library/train/what-lora-changes/")
    page.keyboard.press("/")
    expect(page.get_by_role("group", name="Recent").get_by_role("option")).to_have_text(
        re.compile("What does LoRA change")
    )
    page.keyboard.press("Escape")
    expect(page.locator("dialog.palette")).not_to_be_visible()


def test_arrows_go_round_and_a_command_posts(visit: Visit) -> None:
    page = visit.log_in("alice")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("option", name="New job")).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("option").last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option").first).to_have_attribute("aria-selected", "true")
    _type(page, "log out")
    expect(page.get_by_role("option", selected=True)).to_contain_text("Log out")
    page.keyboard.press("Enter")
    page.wait_for_url("**/account/login/**")


def test_a_slash_in_a_field_is_a_slash(visit: Visit) -> None:
    page = visit.log_in("alice")
    page.goto("/search/")
    page.get_by_label("What do you look for?").press_sequentially("a/b")
    expect(page.get_by_label("What do you look for?")).to_have_value("a/b")
    expect(page.locator("dialog.palette")).not_to_be_visible()


def test_palette_and_pages_are_accessible_in_both_themes_and_widths(visit: Visit) -> None:
    page = visit.log_in("alice")
    page.goto("/search/?q=fine+tuning")
    visit.show(page, "search")
    page.goto("/search/")
    visit.show(page, "search-empty")
    page.keyboard.press("Control+k")
    _type(page, "lora")
    expect(page.locator("dialog.palette").get_by_role("option", selected=True)).to_contain_text("LoRA")
    visit.show(page, "palette")
    _type(page, "zebra catastrofic unicorn")
    expect(page.get_by_text("Did you mean")).to_be_visible()
    visit.show(page, "palette-nothing")


def test_on_a_phone_a_snippet_shows_the_word_that_was_found(visit: Visit) -> None:
    page = visit.log_in("alice")
    page.set_viewport_size({"width": 390, "height": 844})
    page.keyboard.press("/")
    _type(page, "fine tuning")
    hidden = """() => [...document.querySelectorAll(".palette-snippet:has(mark)")].filter((snippet) => {
      const [box, mark] = [snippet, snippet.querySelector("mark")].map((node) => node.getBoundingClientRect());
      return mark.bottom > box.bottom + 1 || mark.right > box.right + 1;
    }).map((snippet) => snippet.textContent)"""
    expect(page.locator(".palette-snippet mark").first).to_be_visible()
    assert page.evaluate(hidden) == []


def test_without_javascript_the_button_leads_to_a_form_that_works(visit: Visit) -> None:
    page = visit.log_in("alice", javascript=False)
    page.get_by_role("link", name="Search").click()
    page.get_by_label("What do you look for?").fill("triage")
    page.get_by_role("button", name="Search").click()
    page.get_by_role("link", name="Support ticket triage").click()
    page.wait_for_url("**/use-cases/support-ticket-triage/")


def test_what_the_reader_stopped_typing_on_counts_as_missed(visit: Visit) -> None:
    page = visit.log_in("alice")
    page.keyboard.press("Control+k")
    with page.expect_response(lambda response: "/search/missing/" in response.url) as answer:
        page.get_by_role("combobox", name="Search").fill("zebra unicorn")
    assert answer.value.status == 204
