"""A turn of the playground saved as a row: a new version of a dataset, and never what a split measures by."""

import json
import threading
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from playbook.contracts.dataset import Split
from playbook.contracts.playground import Side
from playbook.web.accounts.models import User
from playbook.web.common.permissions import Conflict
from playbook.web.datasets.models import Dataset
from playbook.web.datasets.queries import paths_of
from playbook.web.datasets.reading import Splits, read_three_files
from playbook.web.jobs import playground
from playbook.web.jobs.models import Attempt, PlaygroundSession
from playbook.web.jobs.playground_rows import save_turn
from tests.web.jobs.ended import send_events
from tests.web.jobs.talking import answered, claimed, said, session, tuned, url_of
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
    assert "stands in the test split" in answer.content.decode()
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
        save_turn(asked.turns.get(), dataset, side=Side.TUNED, answer="x", actor=alice)


def test_the_turns_before_it_are_part_of_the_row_as_its_side_heard_them_and_are_not_learned(
    client: Client, asked: PlaygroundSession, claimed: Attempt, dataset: Dataset, alice: User
) -> None:
    for number, problem in ((2, {"error": "too long", "natural_stop": False}), (3, {})):
        playground.ask(asked, question=f"question {number}", actor=alice)
        send_events(claimed, *(said(number, side, f"{side} {number}", done=True, **problem) for side in Side))
    client.force_login(alice)
    url = f"{url_of(asked)}3/save/?side=base"
    assert "2 messages before it are part of the row" in client.get(url).content.decode()
    assert client.post(url, {"dataset": dataset.pk, "answer": "right"}).status_code == 302
    assert lines(dataset, Split.TRAIN)[-1]["messages"] == [
        {"role": "system", "content": "Be short."},
        {"role": "user", "content": "the cellar is wet"},
        {"role": "assistant", "content": "base 1", "weight": 0},
        {"role": "user", "content": "question 3"},
        {"role": "assistant", "content": "right"},
    ]


def test_a_question_of_the_test_split_is_refused_in_the_turns_before_too(
    client: Client, session: PlaygroundSession, claimed: Attempt, dataset: Dataset, alice: User
) -> None:
    for number, question in ((1, "The locked question"), (2, "and now?")):
        playground.ask(session, question=question, actor=alice)
        answered(claimed, number)
    client.force_login(alice)
    answer = client.post(f"{url_of(session)}2/save/", {"dataset": dataset.pk, "answer": "x"})
    assert answer.status_code == 409
    assert "The question “the locked question” stands in the test split" in answer.content.decode()


def test_a_save_that_another_overtakes_starts_again_from_its_version(
    asked: PlaygroundSession, dataset: Dataset, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, turn = lines(dataset, Split.TRAIN), asked.turns.get()

    def overtaken(contents: dict[Split, bytes]) -> Splits:
        monkeypatch.undo()
        save_turn(turn, dataset, side=Side.TUNED, answer="theirs", actor=alice)
        return read_three_files(contents)

    monkeypatch.setattr("playbook.web.jobs.playground_rows.read_three_files", overtaken)
    version = save_turn(turn, dataset, side=Side.TUNED, answer="mine", actor=alice)
    assert (version.number, version.made_from[:9]) == (3, "Version 2")
    after = lines(dataset, Split.TRAIN)
    assert after[: len(before)] == before
    assert [row["messages"][-1]["content"] for row in after[len(before) :]] == ["theirs", "mine"]


@pytest.mark.django_db(transaction=True)
def test_two_saves_at_the_same_moment_are_both_kept(asked: PlaygroundSession, dataset: Dataset, alice: User) -> None:
    turn, count = asked.turns.get(), len(lines(dataset, Split.TRAIN))
    together = threading.Barrier(2)

    def save(answer: str) -> None:
        together.wait(timeout=60)
        try:
            save_turn(turn, dataset, side=Side.TUNED, answer=answer, actor=alice)
        finally:
            connection.close()

    threads = [threading.Thread(target=save, args=(answer,)) for answer in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    saved = lines(dataset, Split.TRAIN)[count:]
    assert sorted(row["messages"][-1]["content"] for row in saved) == ["one", "two"]
