"""Rows to upload, and a dataset of the use case."""

import json

import pytest

from playbook.contracts.dataset import Split
from playbook.web.accounts.models import User
from playbook.web.datasets.actions import Card, create_dataset
from playbook.web.datasets.models import Dataset
from playbook.web.datasets.reading import read_three_files
from playbook.web.usecases.models import UseCase

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
