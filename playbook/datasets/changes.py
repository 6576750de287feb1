"""What two versions of a dataset differ in: rows that came, went, changed, or moved from one split to another.

Arrays of numbers, some 50 bytes a row; of the rows themselves only those that are listed are held.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from playbook.contracts.dataset import Split
from playbook.datasets.rows import NumberedRow, filled, rows_at
from playbook.datasets.text import Hashes, hash64, words_of

#: Rows of each kind that a diff lists.
MAX_LISTED = 500
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Change:
    """One prompt whose answer, or anything else, differs between two versions."""

    before: NumberedRow
    after: NumberedRow


@dataclass(frozen=True)
class Move:
    """A row that stayed as it was in another split. `came_from`: the split that had it, as its row `was`."""

    came_from: Split
    was: int
    row: NumberedRow


@dataclass(frozen=True)
class RowDiff:
    """What a split of two versions differs in. The totals count all; the lists hold the first 500 of each kind.

    `moved`: rows that are here and were in another split; `total_moved_away` counts those that went to another one.
    """

    total_added: int = 0
    total_removed: int = 0
    total_changed: int = 0
    total_moved: int = 0
    total_moved_away: int = 0
    total_kept: int = 0
    added: tuple[NumberedRow, ...] = ()
    removed: tuple[NumberedRow, ...] = ()
    changed: tuple[Change, ...] = ()
    moved: tuple[Move, ...] = ()


class _Compared:
    """The files of a split. `gone`: rows, from 0, that only `before` has, `come`: that only `after` has, as bags of
    lines; the keys name their lines."""

    def __init__(self, before: Path, after: Path) -> None:
        self.before, self.after = before, after
        old_keys, new_keys = _line_keys(before), _line_keys(after)
        old, new = _apart(old_keys), _apart(new_keys)
        gone, come = ~np.isin(old, new), ~np.isin(new, old)
        self.kept = int((~gone).sum())
        self.gone, self.come = np.flatnonzero(gone), np.flatnonzero(come)
        self.gone_keys, self.come_keys = old_keys[gone], new_keys[come]


@dataclass(frozen=True)
class _Moves:
    """Rows that only changed their split, number by number: from row `was` of split `source` to `row` of `target`.
    Splits are numbers, rows count from 0."""

    source: _Rows
    was: _Rows
    target: _Rows
    row: _Rows


def diff(before: Mapping[Split, Path], after: Mapping[Split, Path]) -> dict[Split, RowDiff]:
    """Compare the files of the splits that both name, each as a bag of lines.

    A row that one split lost and another gained is moved. Of the others, a row of each side with the same prompt are
    one changed row. Leave a split out whose two files are the same: it can neither lose nor gain a row.
    """
    splits = list(after)
    compared = [_Compared(before[split], after[split]) for split in splits]
    moves = _moves(compared)
    return {split: _diff_of(number, splits, compared[number], moves) for number, split in enumerate(splits)}


def _moves(compared: list[_Compared]) -> _Moves:
    gone = np.concatenate([one.gone_keys for one in compared] or [np.empty(0, np.uint64)])
    come = np.concatenate([one.come_keys for one in compared] or [np.empty(0, np.uint64)])
    _, lefts, rights = np.intersect1d(_apart(gone), _apart(come), return_indices=True)
    numbers = np.arange(len(compared))
    return _Moves(
        source=np.repeat(numbers, [len(one.gone) for one in compared])[lefts],
        was=np.concatenate([one.gone for one in compared] or [np.empty(0, np.int64)])[lefts],
        target=np.repeat(numbers, [len(one.come) for one in compared])[rights],
        row=np.concatenate([one.come for one in compared] or [np.empty(0, np.int64)])[rights],
    )


def _diff_of(number: int, splits: list[Split], compared: _Compared, moves: _Moves) -> RowDiff:
    away, here = moves.was[moves.source == number], np.flatnonzero(moves.target == number)
    removed = np.setdiff1d(compared.gone, away, assume_unique=True)
    added = np.setdiff1d(compared.come, moves.row[here], assume_unique=True)
    old_prompts, new_prompts = _prompts(compared.before, removed), _prompts(compared.after, added)
    _, lefts, rights = np.intersect1d(_apart(old_prompts), _apart(new_prompts), return_indices=True)
    order = np.argsort(added[rights])[:MAX_LISTED]
    changed = list(zip(_numbers(removed[lefts][order]), _numbers(added[rights][order]), strict=True))
    only_removed = _numbers(np.delete(removed, lefts)[:MAX_LISTED])
    only_added = _numbers(np.delete(added, rights)[:MAX_LISTED])
    listed = here[np.argsort(moves.row[here])][:MAX_LISTED]
    moved = list(
        zip(moves.source[listed].tolist(), _numbers(moves.was[listed]), _numbers(moves.row[listed]), strict=True)
    )
    old_rows = rows_at(compared.before, [*only_removed, *(pair[0] for pair in changed)])
    new_rows = rows_at(compared.after, [*only_added, *(pair[1] for pair in changed), *(move[2] for move in moved)])
    return RowDiff(
        total_added=len(added) - len(lefts),
        total_removed=len(removed) - len(lefts),
        total_changed=len(lefts),
        total_moved=len(here),
        total_moved_away=len(away),
        total_kept=compared.kept,
        added=tuple(NumberedRow(row, new_rows[row]) for row in only_added),
        removed=tuple(NumberedRow(row, old_rows[row]) for row in only_removed),
        changed=tuple(
            Change(NumberedRow(left, old_rows[left]), NumberedRow(right, new_rows[right])) for left, right in changed
        ),
        moved=tuple(Move(splits[source], was, NumberedRow(row, new_rows[row])) for source, was, row in moved),
    )


def _numbers(rows: _Rows) -> list[int]:
    """Return rows that are counted from 0 as people count them."""
    return [int(row) + 1 for row in rows]


def _line_keys(path: Path) -> Hashes:
    with path.open("rb") as lines:
        digests = (int.from_bytes(blake2b(line.strip(), digest_size=8).digest(), "big") for line in filled(lines))
        return np.fromiter(digests, dtype=np.uint64)


def _apart(keys: Hashes) -> Hashes:
    """Give the second, third, … occurrence of a key a key of its own, so that sets count like bags."""
    order = np.argsort(keys, kind="stable")
    is_first = np.concatenate(([True], keys[order[1:]] != keys[order[:-1]]))[: len(keys)]
    starts = np.maximum.accumulate(np.where(is_first, np.arange(len(keys)), 0))
    occurrence = np.empty(len(keys), dtype=np.uint64)
    occurrence[order] = (np.arange(len(keys)) - starts).astype(np.uint64)
    return keys ^ (occurrence * _FACTOR)


def _prompts(path: Path, rows: _Rows) -> Hashes:
    """Return the keys of the prompts of these rows, which are in order."""
    wanted = np.zeros(int(rows[-1]) + 1 if len(rows) else 0, dtype=np.bool_)
    wanted[rows] = True
    with path.open("rb") as lines:
        # Read without the model of a row: of a million rows that takes a third of the time. `wanted` ends first.
        found = (json.loads(line) for use, line in zip(wanted, filled(lines), strict=False) if use)
        prompts = (row["messages"][:-1] or row["messages"] for row in found)
        return np.fromiter((hash64(_fold(prompt)) for prompt in prompts), dtype=np.uint64)


def _fold(messages: Iterable[Mapping[str, Any]]) -> str:
    """Return roles and contents as checks fold them: what makes two prompts the same prompt."""
    said = ((message["role"], message.get("content") or "") for message in messages)
    return "\x1e".join(f"{role}\x1f{' '.join(words_of(content))}" for role, content in said)
