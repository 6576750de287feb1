"""Rows to bring, a dataset of the use case, and imports that have ended."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from playbook.contracts.dataset import Split
from playbook.web.accounts.models import User
from playbook.web.datasets import imports
from playbook.web.datasets.actions import Card, Upload, create_dataset, start_import
from playbook.web.datasets.imports import ImportState
from playbook.web.datasets.models import Dataset, DatasetImport
from playbook.web.datasets.reading import read_three_files
from playbook.web.usecases.models import UseCase
from tests.waiting import wait_for

CARD = {
    "name": "Tickets of May",
    "description": "One ticket and the four fields.",
    "source": "Help desk export, May 2026",
    "licence": "internal",
    "data_owner": "Support team",
    "consent": "Names were removed",
}


def jsonl(*prompts: str, template: str | None = None) -> bytes:
    """Return one row for each prompt; its answer is the prompt in capitals."""
    rows = []
    for prompt in prompts:
        row: dict[str, object] = {
            "messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": prompt.upper()}]
        }
        if template:
            row["metadata"] = {"template": template}
        rows.append(json.dumps(row).encode() + b"\n")
    return b"".join(rows)


@pytest.fixture
def dataset(use_case: UseCase, alice: User) -> Dataset:
    """Two train rows, one validation row, one test row."""
    splits = read_three_files({Split.TRAIN: jsonl("a", "b"), Split.VALIDATION: jsonl("c"), Split.TEST: jsonl("d")})
    return create_dataset(use_case=use_case, card=Card(**CARD), splits=splits, created_by=alice)


NEW = "/datasets/new/support-ticket-triage/"
GOOD = {"train": jsonl("a", "b"), "validation": jsonl("c"), "test": jsonl("d")}


def one_file(content: bytes, *, name: str = "rows.jsonl") -> dict[str, object]:
    """Return what the form sends for one file."""
    return {**CARD, "how": "one", "file": SimpleUploadedFile(name, content)}


def three_files(**contents: bytes) -> dict[str, object]:
    """Return what the form sends for three files."""
    files = {name: SimpleUploadedFile(f"{name}.jsonl", content) for name, content in contents.items()}
    return {**CARD, "how": "three", **files}


def ended(made: DatasetImport) -> ImportState:
    """Wait for the import's process and return how it ended."""
    return wait_for(lambda: None if (state := imports.state_of(made.pk)).is_running else state)


def bring(client: Client, form: dict[str, object], url: str = NEW) -> DatasetImport:
    """Send the form, wait until the rows are read, and return the import."""
    response = client.post(url, form)
    made = DatasetImport.objects.first()
    assert made is not None
    assert (response.status_code, response["Location"]) == (302, f"/datasets/imports/{made.pk}/")
    ended(made)
    return made


def read_import(use_case: UseCase, created_by: User, content: bytes) -> DatasetImport:
    """Bring a file for a new dataset without a browser, and wait until it is read."""
    uploads = [Upload(name="rows.jsonl", chunks=[content])]
    made = start_import(use_case=use_case, uploads=uploads, created_by=created_by, card=Card(**CARD))
    ended(made)
    return made


@pytest.fixture(autouse=True)
def _no_import_outlives_its_test(db: None) -> Iterator[None]:
    """The folder of a test goes away after it; a process that still writes there would be in the way."""
    yield
    for made in DatasetImport.objects.all():
        ended(made)


@contextmanager
def waiting(client: Client) -> Iterator[DatasetImport]:
    """Bring rows while another import has its turn, so that this one waits."""
    queue = imports.folder_of(0).parent / "queue"
    queue.parent.mkdir(parents=True)
    with queue.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        client.post(NEW, one_file(jsonl(*(f"t{n}" for n in range(20)))))
        yield DatasetImport.objects.get()
