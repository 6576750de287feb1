"""What two versions differ in: rows that came, went or changed, and rows that only moved."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from playbook.contracts.dataset import Split
from playbook.datasets import changes
from playbook.datasets.changes import RowDiff, diff
from playbook.datasets.rows import NumberedRow
from tests.datasets.conftest import chat, jsonl

Rows = Sequence[object]


class Comparing:
    """Writes two versions, each from the rows of some splits, and returns what they differ in."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, before: Mapping[Split, Rows], after: Mapping[Split, Rows]) -> dict[Split, RowDiff]:
        return diff(self._written("before", before), self._written("after", after))

    def _written(self, version: str, splits: Mapping[Split, Rows]) -> dict[Split, Path]:
        paths = {split: self._folder / f"{version}-{split}" for split in splits}
        for split, path in paths.items():
            path.write_bytes(jsonl(splits[split]))
        return paths


@pytest.fixture
def comparing(tmp_path: Path) -> Comparing:
    return Comparing(tmp_path)


def totals(found: RowDiff) -> dict[str, int]:
    """Return the totals that are not zero."""
    counted = {
        "added": found.total_added,
        "removed": found.total_removed,
        "changed": found.total_changed,
        "moved": found.total_moved,
        "moved away": found.total_moved_away,
        "kept": found.total_kept,
    }
    return {name: count for name, count in counted.items() if count}


def asked(rows: Sequence[NumberedRow]) -> list[tuple[int, str]]:
    return [(row.number, row.example.prompt[0].content) for row in rows]


def test_added_removed_changed_and_kept_rows_are_named(comparing: Comparing) -> None:
    before = [chat("a", "1"), chat("b", "1"), chat("c", "1"), chat("c", "1")]
    after = [chat("c", "1"), chat("b", "2"), chat("d", "1"), chat("a", "1")]
    found = comparing({Split.TRAIN: before}, {Split.TRAIN: after})[Split.TRAIN]
    assert totals(found) == {"added": 1, "removed": 1, "changed": 1, "kept": 2}
    assert (asked(found.added), asked(found.removed)) == ([(3, "d")], [(4, "c")])
    assert [(change.before.number, change.after.number, change.after.example.answer) for change in found.changed] == [
        (2, 2, "2")
    ]


def test_equal_files_differ_in_nothing(comparing: Comparing) -> None:
    rows = {Split.TRAIN: [chat(f"p{n}", "a") for n in range(30)]}
    assert comparing(rows, rows) == {Split.TRAIN: RowDiff(total_kept=30)}


def test_the_same_rows_in_another_order_differ_in_nothing(comparing: Comparing) -> None:
    rows = [chat(f"p{n}", "a") for n in range(30)]
    assert comparing({Split.TEST: rows}, {Split.TEST: rows[::-1]}) == {Split.TEST: RowDiff(total_kept=30)}


def test_a_row_that_went_to_another_split_is_moved_and_neither_removed_nor_added(comparing: Comparing) -> None:
    a, b, c, d, new = (chat(prompt, "1") for prompt in ("a", "b", "c", "d", "new"))
    found = comparing(
        {Split.TRAIN: [a, b], Split.VALIDATION: [c], Split.TEST: [d]},
        {Split.TRAIN: [a, d], Split.VALIDATION: [c, b], Split.TEST: [new]},
    )
    assert {split: totals(diff) for split, diff in found.items()} == {
        Split.TRAIN: {"moved": 1, "moved away": 1, "kept": 1},
        Split.VALIDATION: {"moved": 1, "kept": 1},
        Split.TEST: {"added": 1, "moved away": 1},
    }
    moves = [(move.came_from, move.was, move.row.number) for diff in found.values() for move in diff.moved]
    assert moves == [(Split.TEST, 1, 2), (Split.TRAIN, 2, 2)]


def test_of_a_row_that_stands_twice_each_copy_moves_by_itself(comparing: Comparing) -> None:
    a, b = chat("a", "1"), chat("b", "1")
    found = comparing(
        {Split.TRAIN: [a, a, a], Split.TEST: [b]},
        {Split.TRAIN: [a, b], Split.TEST: [a]},
    )
    assert {split: totals(diff) for split, diff in found.items()} == {
        Split.TRAIN: {"removed": 1, "moved": 1, "moved away": 1, "kept": 1},
        Split.TEST: {"moved": 1, "moved away": 1},
    }


def test_a_row_that_moved_does_not_stand_for_the_change_of_another(comparing: Comparing) -> None:
    """Of two answers to one prompt the one that moved is no earlier state of the one that came."""
    said, again, mended = chat("a", "1"), chat("a", "2"), chat("a", "3")
    found = comparing(
        {Split.TRAIN: [said, again], Split.TEST: [chat("t", "1")]},
        {Split.TRAIN: [mended], Split.TEST: [chat("t", "1"), said]},
    )
    assert {split: totals(diff) for split, diff in found.items()} == {
        Split.TRAIN: {"changed": 1, "moved away": 1},
        Split.TEST: {"moved": 1, "kept": 1},
    }
    assert found[Split.TRAIN].changed[0].before.number == 2


def test_all_are_counted_and_the_first_are_listed(comparing: Comparing, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "MAX_LISTED", 2)
    rows = [chat(f"p{n}", "a") for n in range(9)]
    found = comparing({Split.TRAIN: rows, Split.TEST: rows[:0]}, {Split.TRAIN: rows[:1], Split.TEST: rows[:0:-1]})
    assert totals(found[Split.TEST]) == {"moved": 8}
    assert [(move.was, move.row.number) for move in found[Split.TEST].moved] == [(9, 1), (8, 2)]


def test_a_row_that_another_program_wrote_is_the_same_row(tmp_path: Path) -> None:
    """Other blanks, escapes and orders of fields: the same rows saved by jq or pandas are no change."""
    kept, moved, changed = (chat(f"où est {name} ?", "là", metadata={"a": "1", "b": "2"}) for name in "xyz")
    mended = chat("où est z ?", "ici", metadata={"a": "1", "b": "2"})
    before = {Split.TRAIN: [kept, kept, moved, changed], Split.TEST: [chat("t", "1")]}
    after = {Split.TRAIN: [mended, kept, kept], Split.TEST: [moved, chat("t", "1")]}
    paths = {name: {split: tmp_path / f"{name}-{split}" for split in before} for name in ("before", "after")}
    for split, path in paths["before"].items():
        path.write_bytes(jsonl(before[split]))
    for split, path in paths["after"].items():
        rows = (dict(reversed(row.items())) for row in after[split])
        path.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))

    found = diff(paths["before"], paths["after"])

    assert {split: totals(differing) for split, differing in found.items()} == {
        Split.TRAIN: {"changed": 1, "moved away": 1, "kept": 2},
        Split.TEST: {"moved": 1, "kept": 1},
    }
    assert [(move.was, move.row.number) for move in found[Split.TEST].moved] == [(3, 1)]
