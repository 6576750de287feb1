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
from playbook.contracts.dataset_problems import as_text
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


@dataclass(frozen=True)
class _Lines:
    """Rows of a file, counted from 0, and what each is the same by. `prompts`: keys of their prompts, once read."""

    path: Path
    rows: _Rows
    keys: Hashes
    prompts: Hashes

    def only(self, wanted: NDArray[np.bool_]) -> "_Lines":
        prompts = self.prompts[wanted] if len(self.prompts) else self.prompts
        return _Lines(self.path, self.rows[wanted], self.keys[wanted], prompts)

    def read(self) -> "_Lines":
        """Return these rows with the keys of what they say: programs write the same row in other ways."""
        keys, prompts = _meanings(self.path, self.rows)
        return _Lines(self.path, self.rows, keys, prompts)


class _Compared:
    """The files of a split. `gone`: rows that only `before` has, `come`: that only `after` has, as bags; `kept`: how
    many both have."""

    def __init__(self, before: Path, after: Path) -> None:
        self.gone, self.come = _lines(before), _lines(after)
        self.kept = 0
        self._leave_out_kept()

    def read(self) -> None:
        self.gone, self.come = self.gone.read(), self.come.read()
        self._leave_out_kept()

    def _leave_out_kept(self) -> None:
        old, new = _apart(self.gone.keys), _apart(self.come.keys)
        is_gone, has_come = ~np.isin(old, new), ~np.isin(new, old)
        self.kept += int((~is_gone).sum())
        self.gone, self.come = self.gone.only(is_gone), self.come.only(has_come)


@dataclass(frozen=True)
class _Moves:
    """Rows that only changed their split, number by number: from row `was` of split `source` to `row` of `target`.
    Splits are numbers, rows count from 0."""

    source: _Rows
    was: _Rows
    target: _Rows
    row: _Rows

    def and_those(self, others: "_Moves") -> "_Moves":
        return _Moves(
            source=np.concatenate((self.source, others.source)),
            was=np.concatenate((self.was, others.was)),
            target=np.concatenate((self.target, others.target)),
            row=np.concatenate((self.row, others.row)),
        )


def diff(before: Mapping[Split, Path], after: Mapping[Split, Path]) -> dict[Split, RowDiff]:
    """Compare the files of the splits that both name, each as a bag of rows.

    A row that one split lost and another gained is moved. Of the others, a row of each side with the same prompt are
    one changed row. Leave a split out whose two files are the same: it can neither lose nor gain a row.
    """
    splits = list(after)
    if not splits:
        return {}
    compared = [_Compared(before[split], after[split]) for split in splits]
    moves = _take_moves(compared)  # of most rows the bytes tell already, and to read a row takes many times longer
    for one in compared:
        one.read()
    moves = moves.and_those(_take_moves(compared))
    return {split: _diff_of(number, splits, compared[number], moves) for number, split in enumerate(splits)}


def _take_moves(compared: list[_Compared]) -> _Moves:
    """Return the rows that one split lost and another gained, and leave them out of both."""
    gone, come = [one.gone for one in compared], [one.come for one in compared]
    old, new = (_apart(np.concatenate([lines.keys for lines in sides])) for sides in (gone, come))
    _, lefts, rights = np.intersect1d(old, new, return_indices=True)
    moves = _Moves(*_places(gone, lefts), *_places(come, rights))
    for number, one in enumerate(compared):
        one.gone = one.gone.only(np.isin(one.gone.rows, moves.was[moves.source == number], invert=True))
        one.come = one.come.only(np.isin(one.come.rows, moves.row[moves.target == number], invert=True))
    return moves


def _places(sides: list[_Lines], found: _Rows) -> tuple[_Rows, _Rows]:
    """Return the split and the row of each that was found among the rows of all splits."""
    numbers = np.repeat(np.arange(len(sides)), [len(lines.rows) for lines in sides])
    return numbers[found], np.concatenate([lines.rows for lines in sides])[found]


def _diff_of(number: int, splits: list[Split], compared: _Compared, moves: _Moves) -> RowDiff:
    removed, added = compared.gone.rows, compared.come.rows
    here = np.flatnonzero(moves.target == number)
    old_prompts, new_prompts = _apart(compared.gone.prompts), _apart(compared.come.prompts)
    _, lefts, rights = np.intersect1d(old_prompts, new_prompts, return_indices=True)
    order = np.argsort(added[rights])[:MAX_LISTED]
    changed = list(zip(_numbers(removed[lefts][order]), _numbers(added[rights][order]), strict=True))
    only_removed = _numbers(np.delete(removed, lefts)[:MAX_LISTED])
    only_added = _numbers(np.delete(added, rights)[:MAX_LISTED])
    listed = here[np.argsort(moves.row[here])][:MAX_LISTED]
    moved = list(
        zip(moves.source[listed].tolist(), _numbers(moves.was[listed]), _numbers(moves.row[listed]), strict=True)
    )
    old_rows = rows_at(compared.gone.path, [*only_removed, *(pair[0] for pair in changed)])
    new_rows = rows_at(compared.come.path, [*only_added, *(pair[1] for pair in changed), *(move[2] for move in moved)])
    return RowDiff(
        total_added=len(added) - len(lefts),
        total_removed=len(removed) - len(lefts),
        total_changed=len(lefts),
        total_moved=len(here),
        total_moved_away=int((moves.source == number).sum()),
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


def _lines(path: Path) -> _Lines:
    with path.open("rb") as lines:
        digests = (int.from_bytes(blake2b(line.strip(), digest_size=8).digest(), "big") for line in filled(lines))
        keys = np.fromiter(digests, dtype=np.uint64)
    return _Lines(path, np.arange(len(keys)), keys, np.empty(0, np.uint64))


def _apart(keys: Hashes) -> Hashes:
    """Give the second, third, … occurrence of a key a key of its own, so that sets count like bags."""
    order = np.argsort(keys, kind="stable")
    is_first = np.concatenate(([True], keys[order[1:]] != keys[order[:-1]]))[: len(keys)]
    starts = np.maximum.accumulate(np.where(is_first, np.arange(len(keys)), 0))
    occurrence = np.empty(len(keys), dtype=np.uint64)
    occurrence[order] = (np.arange(len(keys)) - starts).astype(np.uint64)
    return keys ^ (occurrence * _FACTOR)


def _meanings(path: Path, rows: _Rows) -> tuple[Hashes, Hashes]:
    """Return the keys of what these rows, which are in order, say, and those of their prompts."""
    wanted = np.zeros(int(rows[-1]) + 1 if len(rows) else 0, dtype=np.bool_)
    wanted[rows] = True
    keys = np.empty((len(rows), 2), dtype=np.uint64)
    with path.open("rb") as lines:
        # Read without the model of a row: of a million rows that takes a third of the time. `wanted` ends first.
        found = (json.loads(line) for use, line in zip(wanted, filled(lines), strict=False) if use)
        for at, row in enumerate(found):
            prompt = row["messages"][:-1] or row["messages"]
            keys[at] = hash64(json.dumps(row, sort_keys=True)), hash64(_fold(prompt))
    return keys[:, 0], keys[:, 1]


def _fold(messages: Iterable[Mapping[str, Any]]) -> str:
    """Return roles, contents and calls as checks fold them: what makes two prompts the same prompt."""
    return "\x1e".join(map(_folded, messages))


def _folded(message: Mapping[str, Any]) -> str:
    said = f"{message['role']}\x1f{' '.join(words_of(message.get('content') or ''))}"
    return f"{said}\x1f{as_text(message['tool_calls'])}" if message.get("tool_calls") else said
