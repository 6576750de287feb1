"""The data stage of a large dataset: it tells how far it is, and it ends between two rows."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from playbook.contracts.dataset import Split
from playbook.contracts.events import Progress
from playbook.contracts.run_spec import RunSpec
from playbook.contracts.states import EndReason, Stage
from playbook.trainer.data import read_split
from playbook.trainer.errors import RunError
from playbook.trainer.folder import RunFolder
from playbook.trainer.stop import Stop
from tests.trainer.conftest import (
    TEST_ROWS,
    TRAIN_ROWS,
    VALIDATION_ROWS,
    MakeRun,
    Train,
    ended,
    events_of,
    meanwhile,
    sample_rows,
)

#: So many that they are not all read when the first progress is told.
MANY = 40_000


@pytest.fixture
def stop(tmp_path: Path) -> Iterator[Stop]:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    made = Stop(lease=tmp_path / "lease", max_lease_age_seconds=None)
    made.listen()
    yield made
    for number, handler in handlers.items():
        signal.signal(number, handler)


def progress_of(folder: Path) -> list[Progress]:
    return [event for event in events_of(folder) if isinstance(event, Progress) and event.stage is Stage.DATA]


def test_what_is_watched_ends_before_the_next_item(stop: Stop) -> None:
    items = iter(range(10))
    watched = stop.watched(items)
    assert [next(watched), next(watched)] == [0, 1]

    os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(RunError, match="SIGTERM") as caught:
        next(watched)
    assert caught.value.reason is EndReason.CANCELLED_BY_USER


def test_a_split_is_not_read_to_its_end_once_the_run_was_stopped(make_run: MakeRun, stop: Stop) -> None:
    folder = RunFolder(make_run())
    spec = RunSpec.model_validate_json(folder.spec.read_bytes())
    assert len(read_split(folder, spec.input(Split.TRAIN), stop=stop)) == len(TRAIN_ROWS)

    os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(RunError, match="SIGTERM"):
        read_split(folder, spec.input(Split.TRAIN), stop=stop)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_run_that_is_stopped_while_rows_are_encoded_ends_between_two_of_them(
    make_run: MakeRun, train: Train, split: str
) -> None:
    folder = make_run(**{split: sample_rows(MANY, start=1000)})
    events = folder / "events.jsonl"

    with meanwhile(lambda: events.exists() and b'"kind":"progress","stage":"data"' in events.read_bytes()):
        assert train(folder) == 1

    assert ended(folder).reason is EndReason.CANCELLED_BY_USER
    told = progress_of(folder)
    assert 0 < told[-1].done < told[-1].total
    assert [event.done for event in told] == sorted({event.done for event in told})


def test_every_prompt_counts_in_the_progress_of_the_data_stage(make_run: MakeRun, train: Train) -> None:
    folder = make_run(training={"max_steps": 1}, evaluation={"arms": ["zero_shot", "few_shot", "lora"], "repeats": 3})

    assert train(folder) == 0

    # The rows that are learned, and the test rows as each arm asks them, few-shot twice more, and as training would.
    total = len(TRAIN_ROWS) + len(VALIDATION_ROWS) + len(TEST_ROWS) * (3 + 2 + 1)
    assert [(event.done, event.total) for event in progress_of(folder)][-1:] == [(total, total)]
