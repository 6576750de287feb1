"""The steps of the product's loop, as a person does them: by links, labels and buttons."""

import io
import re
import zipfile
from pathlib import Path

from playwright.sync_api import Page, expect

#: question → answer, along the path of the checklist that ends in "fine-tune"
ANSWERS = {
    "Have we fully explored prompting?": "Yes",
    "Have we added enough good examples to the prompt?": "Yes",
    "Does the prompt with examples already do the job?": "No",
    "Does the model fail because information is missing?": "No",
    "Does it fail in behaviour or format?": "Yes",
    "Do we have the data, the expertise and the budget to maintain it?": "Yes",
}
ADVICE = "Fine-tune, and measure it against the prompt"
JOB_MILLISECONDS = 40 * 60 * 1000  # a hang on a busy machine, not a target: `make bench` prints how long a job takes


def open_article(page: Page) -> None:
    """From any page to the article that the loop begins with."""
    page.get_by_role("navigation", name="Main").get_by_role("link", name="Library").click()
    page.get_by_role("link", name="When fine-tuning pays off").first.click()
    expect(page.get_by_role("heading", level=1, name="When fine-tuning pays off")).to_be_visible()


def open_checklist(page: Page) -> None:
    """From the article to the checklist that it names."""
    page.get_by_role("main").get_by_role("link", name=re.compile("Should we fine-tune")).first.click()
    expect(page.get_by_role("heading", level=1, name="Should we fine-tune?")).to_be_visible()


def start_assessment(page: Page, use_case: str) -> None:
    """On the checklist: start an assessment for a new use case that bob and charlie sign for."""
    page.get_by_label("Use case").select_option(label="A new use case")
    page.get_by_label("Name", exact=True).fill(use_case)
    page.get_by_label("Description").fill("Turn a support ticket into the four fields that the queue needs.")
    page.get_by_label("ML lead").select_option(label="Bob Okafor")
    page.get_by_label("Product owner").select_option(label="Charlie Lindqvist")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("complementary", name="Recommendation so far")).to_be_visible()


def choose(page: Page, question: str, answer: str) -> None:
    """Tick an answer; with JavaScript that saves it."""
    page.get_by_role("group", name=question).get_by_label(answer, exact=True).check()


def draft_decision(page: Page) -> None:
    """From a complete assessment to the draft of its decision."""
    page.get_by_role("button", name="Draft the decision").click()
    expect(page.get_by_role("heading", name="Success criterion")).to_be_visible()


def fix_criterion(page: Page) -> None:
    """From the draft: edit it, promise at least 0.80, foretell it, and save."""
    page.get_by_role("link", name="Edit", exact=True).click()
    page.get_by_label("Metric").select_option("exact_match")
    page.get_by_label(re.compile("^Arm")).select_option("lora")
    page.get_by_label("At least").fill("0.80")
    page.get_by_label("How likely it is met").fill("0.8")
    page.get_by_label("What you expect").fill("0.9")
    page.get_by_label("Consequences").fill("The queue gets four fields instead of free text.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("region", name="Success criterion")).to_contain_text("0.80")


def read_and_sign(page: Page, number: str, *, seat: str, password: str) -> None:
    """From Home: open the decision that waits for this person, and approve it. `seat` is "name, role" as it shows."""
    page.goto("/")
    page.get_by_role("link", name=f"Read and sign {number}").click()
    page.get_by_role("region", name="Signatures").get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign", exact=True).click()
    expect(page.get_by_role("region", name="Signatures").get_by_role("listitem").filter(has_text=seat)).to_be_visible()


def launch(page: Page, title: str) -> str:
    """From an accepted decision to the page of its new job; returns the job's address."""
    page.get_by_role("link", name="Launch a job").click()
    page.get_by_label("Title").fill(title)
    page.get_by_role("button", name="Launch").click()
    expect(page.get_by_role("heading", level=1, name=title)).to_be_visible()
    return page.url


def expect_state(page: Page, state: str, *, milliseconds: int = JOB_MILLISECONDS) -> None:
    """Wait until the job page, which follows the job by itself, shows the state."""
    expect(page.get_by_role("region", name="State").get_by_role("status")).to_contain_text(state, timeout=milliseconds)


def shares(page: Page) -> dict[str, float]:
    """The exact match of each arm, as the report on the job page shows it."""
    cells = page.locator("[data-arm]").all()
    return {cell.get_attribute("data-arm") or "": float(cell.get_attribute("data-value") or "nan") for cell in cells}


def download_adapter(page: Page) -> list[str]:
    """Download the adapter and return the names of the files in it."""
    with page.expect_download() as waiting:
        page.get_by_role("link", name="adapter.zip").click()
    with zipfile.ZipFile(io.BytesIO(Path(waiting.value.path()).read_bytes())) as adapter:
        return sorted(Path(name).name for name in adapter.namelist())
