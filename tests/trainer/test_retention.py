"""The general set: what it holds, what recall measures, and when a change becomes a warning."""

import json
from pathlib import Path

import pytest

from playbook.contracts.run_spec import EvaluationSettings
from playbook.trainer import retention
from playbook.trainer.data import Row
from playbook.trainer.prompt import Encoded
from playbook.trainer.retention import FILE, GeneralRow, Recalled, summarise
from tests.trainer.conftest import TRAIN_ROWS, MakeRun, Train, report_of, warnings_of

ENTRIES = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def general_set() -> Path:
    """Here runs measure the whole set, as they do outside of tests."""
    return FILE


def test_the_set_holds_60_questions_and_40_sentences_each_once() -> None:
    questions = [entry for entry in ENTRIES if entry.keys() == {"question", "begin", "answer"}]
    texts = [entry["text"] for entry in ENTRIES if entry.keys() == {"text"}]
    assert (len(questions), len(texts), len(ENTRIES)) == (60, 40, 100)
    assert len({json.dumps(entry) for entry in ENTRIES}) == 100
    assert [entry for entry in questions if not entry["answer"].startswith(" ")] == []
    assert [text for text in texts if not text.endswith(".") or " " not in text] == []


def test_every_run_with_tuning_measures_it_before_and_after(make_run: MakeRun, train: Train) -> None:
    folder = make_run(evaluation={"arms": ["lora"]}, training={"max_steps": 2, "learning_rate": 0.05})

    assert train(folder) == 0

    found = report_of(folder).retention
    assert found is not None
    assert (len(found.items), found.set_sha256) == (100, retention.set_sha256())
    assert found.loss_before != found.loss_after
    assert found.loss_change.low <= found.loss_change.value <= found.loss_change.high
    # A random model finds each of its 259 tokens about equally likely: ln 259 is 5.6.
    assert 4.5 < found.loss_before < 6.5
    assert found.loss_change.value == pytest.approx(found.loss_after - found.loss_before)


def test_a_run_without_tuning_has_nothing_to_forget(make_run: MakeRun, train: Train) -> None:
    folder = make_run(evaluation={"arms": ["zero_shot"]})
    train(folder)
    assert report_of(folder).retention is None


def test_what_is_lost_over_a_limit_becomes_a_warning(make_run: MakeRun, train: Train) -> None:
    evaluation = {"arms": ["lora"], "retention_loss_limit": 1e-6}
    # Answers of a letter that no general sentence has; ordinary ones teach a random model its first bit of English.
    odd = [{"messages": [*row["messages"][:-1], {"role": "assistant", "content": "~" * 40}]} for row in TRAIN_ROWS]
    training = {"max_steps": 12, "learning_rate": 0.1, "max_grad_norm": 100}
    folder = make_run(train=odd, evaluation=evaluation, training=training)

    train(folder)

    found = report_of(folder).retention
    assert found is not None
    assert found.loss_change.low > 0
    assert found.warning in warnings_of(folder)
    assert "The model forgot general knowledge: loss" in (found.warning or "")


ROWS = tuple(GeneralRow(Row(line, Encoded((1, 2, 3), 1)), (1, 3)) for line in range(1, 41))


def recalled(right: int, nats: float = 2.0) -> list[Recalled]:
    return [Recalled(tokens=2, nats=nats, correct=at < right) for at in range(len(ROWS))]


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (recalled(30), None),
        (recalled(27), None),
        (recalled(25), "right on 75 % before and 63 % after (−13 points, 95 % interval −"),
        (recalled(30, nats=2.3), None),
        (recalled(30, nats=3.0), "loss 1.00 before and 1.50 after (+0.50, +0.50 to +0.50 nats per token"),
        (recalled(40, nats=1.0), None),
    ],
)
def test_limits(after: list[Recalled], words: str | None) -> None:
    found = summarise(ROWS, recalled(30), after, EvaluationSettings())
    assert (found.warning is None) is (words is None)
    assert (words or "") in (found.warning or "")
    assert found.accuracy_before == 0.75


def test_the_set_reaches_a_worker_machine() -> None:
    declared = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert 'package-data = { "playbook.trainer" = ["*.jsonl"] }' in declared
    assert FILE.parent.name == "trainer"
