"""The curves of the live page in a browser: values are read off with the pointer and with the keyboard, and the poll
takes neither the readout nor the focus away."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from playbook.web.accounts.models import User
from playbook.web.jobs.models import Job
from playbook.web.usecases.models import UseCase
from tests.web.jobs.busy import apart_jobs, busy_job
from tests.web.jobs.opened import opened, wait_for_a_poll

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def job(use_case: UseCase, alice: User) -> Job:
    return busy_job(use_case, alice)


@pytest.fixture
def page(browser: Browser, job: Job) -> Iterator[Page]:
    with opened(browser, f"/jobs/{job.pk}/") as page:
        yield page


@pytest.fixture
def compared(use_case: UseCase, alice: User) -> str:
    return ",".join(str(job.pk) for job in apart_jobs(use_case, alice))


def test_values_are_read_off_with_the_pointer_and_stay_while_the_page_polls(page: Page) -> None:
    plot, readout = page.locator("#plot-loss"), page.locator(".readout")
    plot.scroll_into_view_if_needed()
    plot.hover()
    expect(readout).to_contain_text("optimizer step 1")
    expect(readout).to_contain_text("Training loss")
    expect(readout).to_contain_text("Validation loss")
    wait_for_a_poll(page)
    expect(readout).to_have_count(1)
    page.mouse.move(5, 5)
    expect(readout).to_have_count(0)


def test_the_arrow_keys_go_from_point_to_point(page: Page) -> None:
    plot, readout = page.locator("#plot-loss"), page.locator(".readout")
    plot.focus()
    page.keyboard.press("End")
    expect(readout).to_contain_text("optimizer step 24")
    expect(readout).to_contain_text("1.05 at 20")
    wait_for_a_poll(page)
    expect(plot).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(readout).to_contain_text("optimizer step 23")
    page.keyboard.press("Escape")
    expect(readout).to_have_count(0)


def test_values_are_read_off_a_logarithmic_axis(compared: str, page: Page) -> None:
    page.goto(f"/jobs/compare/?jobs={compared}")
    page.locator("#plot-training-loss").focus()
    page.keyboard.press("End")
    expect(page.locator(".readout")).to_contain_text("optimizer step 24")
    expect(page.locator(".readout")).to_contain_text("9.67")
    expect(page.locator(".readout")).to_contain_text("0.4")
