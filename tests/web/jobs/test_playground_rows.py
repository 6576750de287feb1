"""A turn of the playground saved as a row: a new version of a dataset, and never what a split measures by."""

import json
from typing import Any

import pytest
from django.test import Client

from playbook.contracts.dataset import Split
from playbook.web.accounts.models import User
from playbook.web.common.permissions import Conflict
from playbook.web.datasets.models import Dataset
from playbook.web.datasets.queries import paths_of
from playbook.web.jobs import playground
from playbook.web.jobs.models import Attempt, PlaygroundSession
from playbook.web.jobs.playground_rows import save_turn
from tests.web.jobs.talking import answered, claimed, session, tuned, url_of
from tests.web.prompts.conftest import dataset

__all__ = ["claimed", "dataset", "session", "tuned"]


def lines(dataset: Dataset, split: Split) -> list[dict[str, Any]]:
    version = Dataset.objects.get(pk=dataset.pk).latest
    assert version is not None
    return [json.loads(line) for line in paths_of(version)[split].read_bytes().splitlines()]


@pytest.fixture
def asked(session: PlaygroundSession, claimed: Attempt, alice: User) -> PlaygroundSession:
    playground.ask(session, question="the cellar is wet", actor=alice)
    answered(claimed, 1)
    return session


def test_a_turn_becomes_a_train_row_of_a_new_version(
    client: Client, asked: PlaygroundSession, dataset: Dataset, alice: User
) -> None:
    client.force_login(alice)
    url = f"{url_of(asked)}1/save/?side=tuned"
    assert ">\ntuned 1</textarea>" in client.get(url).content.decode()
    before = {split: lines(dataset, split) for split in Split}
    answer = client.post(url, {"dataset": dataset.pk, "answer": "THE CELLAR\r\nIS WET"})
    assert (answer.status_code, answer["Location"]) == (302, url_of(asked))
    version = Dataset.objects.get().latest
    assert version is not None
    assert version.number == 2
    assert version.made_from == f"Version 1 and one train row from the playground (job {asked.job_id}, turn 1)."
    row = {
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": "the cellar is wet"},
            {"role": "assistant", "content": "THE CELLAR\nIS WET"},
        ]
    }
    after = {split: lines(dataset, split) for split in Split}
    assert after == {**before, Split.TRAIN: [*before[Split.TRAIN], row]}


@pytest.mark.parametrize("question", ["the locked question", "  THE locked\nquestion "])
def test_a_question_of_the_test_split_is_refused_whatever_the_answer(
    client: Client, session: PlaygroundSession, claimed: Attempt, dataset: Dataset, alice: User, question: str
) -> None:
    playground.ask(session, question=question, actor=alice)
    answered(claimed, 1)
    client.force_login(alice)
    answer = client.post(f"{url_of(session)}1/save/", {"dataset": dataset.pk, "answer": "Something else"})
    assert answer.status_code == 409
    assert "This question stands in the test split" in answer.content.decode()
    assert dataset.versions.count() == 1


def test_the_same_row_twice_an_empty_answer_and_another_dataset_are_refused(
    client: Client, asked: PlaygroundSession, dataset: Dataset, alice: User
) -> None:
    client.force_login(alice)
    url = f"{url_of(asked)}1/save/"
    assert client.post(url, {"dataset": dataset.pk, "answer": " "}).status_code == 422
    assert client.post(url, {"dataset": 999, "answer": "x"}).status_code == 422
    assert client.post(url, {"dataset": dataset.pk, "answer": "x"}).status_code == 302
    again = client.post(url, {"dataset": dataset.pk, "answer": "x"})
    assert again.status_code == 409
    assert "has this very row already" in again.content.decode()
    assert client.post(f"{url_of(asked)}7/save/", {"dataset": dataset.pk, "answer": "x"}).status_code == 404


def test_without_a_dataset_the_page_says_what_to_do(client: Client, asked: PlaygroundSession, alice: User) -> None:
    client.force_login(alice)
    page = client.get(f"{url_of(asked)}1/save/").content.decode()
    assert "has no dataset of its own yet" in page


def test_a_large_dataset_goes_through_an_import(
    asked: PlaygroundSession, dataset: Dataset, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("playbook.web.jobs.playground_rows.MAX_BYTES", 10)
    with pytest.raises(Conflict, match="bring the row with an upload"):
        save_turn(asked.turns.get(), dataset, answer="x", actor=alice)
