"""An import in a browser: the progress bar follows the process, and the page turns into the result by itself."""

import fcntl
from collections.abc import Iterator

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.core.management import call_command
from django.test.testcases import LiveServerThread
from playwright.sync_api import Browser, expect

from playbook.contracts.dataset import Split
from playbook.datasets.spec import PROGRESS, Progress, Stage
from playbook.web.accounts.models import User
from playbook.web.datasets import imports
from playbook.web.datasets.actions import Card, Upload, start_import
from playbook.web.datasets.models import DatasetImport
from playbook.web.usecases.models import UseCase
from tests.conftest import PASSWORD
from tests.e2e.visit import Visit
from tests.waiting import wait_for
from tests.web.datasets.conftest import CARD, ended, jsonl

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


class _AsInProduction(WSGIHandler):
    """The application itself, with whitenoise before it."""

    def __init__(self, _application: WSGIHandler) -> None:
        super().__init__()


@pytest.fixture
def address(use_case: UseCase) -> Iterator[str]:
    call_command("collectstatic", interactive=False, verbosity=0)
    server = LiveServerThread("localhost", _AsInProduction)
    server.daemon = True
    server.start()
    server.is_ready.wait()
    assert server.error is None, server.error
    yield f"http://localhost:{server.port}"
    server.terminate()


def test_rows_are_pasted_watched_stored_and_searched(browser: Browser, address: str, alice: User) -> None:
    visit = Visit(browser, address, PASSWORD)
    page = visit.log_in("alice")
    queue = imports.folder_of(0).parent / "queue"
    queue.parent.mkdir(parents=True)
    with queue.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # another import has its turn
        page.goto("/datasets/new/support-ticket-triage/")
        for name, value in CARD.items():
            page.locator(f"[name={name}]").fill(value)
        page.get_by_label("Text to paste").check()
        page.get_by_role("textbox", name="Rows").fill(jsonl(*(f"ticket {n}" for n in range(30))).decode())
        page.get_by_role("button", name="Check the rows").click()
        expect(page.get_by_text("Waiting for another import to end")).to_be_visible()
        told = imports.folder_of(DatasetImport.objects.get().pk) / PROGRESS
        wait_for(told.exists)
        told.write_text(Progress(stage=Stage.READING, share=0.4, rows=1_234).model_dump_json())
        expect(page.get_by_text("40 %, 1,234 rows so far")).to_be_visible()
        visit.show(page, "dataset-import-running")
    page.get_by_role("button", name="Store the dataset").click()
    expect(page.get_by_text("Version 1 of 1")).to_be_visible()
    page.get_by_label("Text in the rows").fill("ticket 7")
    page.locator("form.row-search button").click()
    expect(page.get_by_text("looked through to row 24 of 24 in train")).to_be_visible()
    visit.show(page, "dataset-searched")
    visit.close()
    assert visit.complaints == []


def test_a_field_of_a_wide_file_is_typed_and_overlaps_of_three_files_are_shown(
    browser: Browser, address: str, alice: User, use_case: UseCase
) -> None:
    names = [f"column {n}" for n in range(100)] + ["What went wrong, in your own words?", "Was it mended?"]
    lines = [names, *([f"{name} {row}" for name in names] for row in range(20))]
    table = "\n".join(",".join(f'"{cell}"' for cell in line) for line in lines).encode()
    files = [Upload(name="wide.csv", chunks=[table])]
    wide = start_import(use_case=use_case, uploads=files, created_by=alice, card=Card(**CARD))
    shared = [" ".join(f"word{n}" for n in range(60)), " ".join(f"word{n}" for n in range(62))]
    contents = {Split.TRAIN: shared[:1], Split.VALIDATION: shared, Split.TEST: ["a", "b"]}
    uploads = [
        Upload(name=f"{split}.jsonl", chunks=[jsonl(*prompts, f"of {split}")], split=split)
        for split, prompts in contents.items()
    ]
    three = start_import(use_case=use_case, uploads=uploads, created_by=alice, card=Card(**CARD))
    ended(wide)
    ended(three)
    visit = Visit(browser, address, PASSWORD)
    page = visit.log_in("alice")
    page.goto(wide.get_absolute_url())
    visit.show(page, "dataset-import-wide")
    page.get_by_label("Prompt").fill("What went wrong, in your own words?")
    page.get_by_label("Answer").fill("Was it mended?")
    page.get_by_role("button", name="Read again").click()
    expect(page.get_by_role("button", name="Store the dataset")).to_be_visible()
    visit.show(page, "dataset-import-mapped")
    page.goto(three.get_absolute_url())
    visit.show(page, "dataset-import-overlaps")
    page.get_by_role("link", name="Validation rows nearly equal to train rows").click()
    expect(page.get_by_text("2 of validation, 1 of train")).to_be_visible()
    visit.show(page, "dataset-overlap")
    visit.close()
    assert visit.complaints == []
