"""Bytes in memory → what a version is made of; the rest is told by the tests of `playbook.datasets`."""

import pytest

from playbook.contracts.dataset import Split
from playbook.web.datasets.reading import BadDataset, read_three_files
from tests.web.datasets.conftest import jsonl


def test_three_files_stand_as_they_are() -> None:
    contents = {Split.TRAIN: jsonl("a", "b"), Split.VALIDATION: jsonl("c"), Split.TEST: jsonl("d")}
    splits = read_three_files(contents)
    assert {split: b"".join(chunks) for split, chunks in splits.content.items()} == contents
    assert splits.made_from == "Three files, as they were split."


def test_refused_rows_are_told_with_file_line_and_fix() -> None:
    contents = {Split.TRAIN: b"oops\n", Split.VALIDATION: jsonl("c"), Split.TEST: jsonl("d")}
    with pytest.raises(BadDataset, match=r"1 problem, the first: train.jsonl, line 1: Write one complete JSON object"):
        read_three_files(contents)
