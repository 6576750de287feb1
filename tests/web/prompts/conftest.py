"""A prompt of the use case, and a dataset whose rows it is tried on."""

import json

import pytest

from playbook.contracts.dataset import Split
from playbook.web.accounts.models import User
from playbook.web.datasets.actions import Card, create_dataset
from playbook.web.datasets.models import Dataset
from playbook.web.datasets.reading import read_three_files
from playbook.web.prompts.actions import create_prompt
from playbook.web.prompts.models import Prompt
from playbook.web.usecases.models import UseCase
from tests.web.datasets.conftest import CARD


def rows(*prompts: str) -> bytes:
    """Return one row for each prompt, with a system message; its answer is the prompt in capitals."""
    return b"".join(
        json.dumps(
            {
                "messages": [
                    {"role": "system", "content": "The row's own system message."},
                    {"role": "user", "content": prompt},
                    {"role": "assistant", "content": prompt.upper()},
                ]
            }
        ).encode()
        + b"\n"
        for prompt in prompts
    )


@pytest.fixture
def prompt(use_case: UseCase, alice: User) -> Prompt:
    return create_prompt(use_case=use_case, name="Ticket to four fields", created_by=alice)


@pytest.fixture
def dataset(use_case: UseCase, alice: User) -> Dataset:
    """Three train rows, two validation rows and a test row whose words nobody may see here."""
    splits = read_three_files(
        {
            Split.TRAIN: rows("the printer burns", "the <b>lift</b> waits", "coffee is out"),
            Split.VALIDATION: rows("the door is stuck", "the roof leaks"),
            Split.TEST: rows("the locked question"),
        }
    )
    return create_dataset(use_case=use_case, card=Card(**CARD), splits=splits, created_by=alice)
