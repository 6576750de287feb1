"""Rows of stored split files, read back for people: a page, a search, single rows, and what two versions differ in.

Streams: a split of 200 MB costs the memory of a page. Files are known to be valid, one row a line.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from playbook.contracts.dataset import Example
from playbook.contracts.dataset_problems import as_text
from playbook.datasets.text import Hashes, hash64

#: A search reads at most this much at once; the page then offers to go on.
SEARCH_BYTES = 64_000_000
#: Rows of each kind that a diff lists.
MAX_LISTED = 500
_FACTOR = np.uint64(0x9E3779B97F4A7C15)


@dataclass(frozen=True)
class NumberedRow:
    """A row and its number in the split, from 1."""

    number: int
    example: Example


@dataclass(frozen=True)
class Found:
    """Rows that a search found. `reached`: the last row that was looked at; `is_end`: there are no more."""

    rows: tuple[NumberedRow, ...]
    reached: int
    is_end: bool


@dataclass(frozen=True)
class Query:
    """Text in any message, call of a tool or metadata value, case aside; a value of one field of the answer ("answer":
    all of it)."""

    text: str = ""
    field: str = ""
    value: str = ""

    def __bool__(self) -> bool:
        return bool(self.text or self.field)

    def matches(self, example: Example) -> bool:
        wanted = self.text.lower()
        calls = (as_text(message.tool_calls) for message in example.messages if message.tool_calls)
        texts = (*(message.content for message in example.messages), *calls, *example.metadata.values())
        return (not wanted or any(wanted in text.lower() for text in texts)) and (
            not self.field or _value_of(example.answer, self.field) == self.value
        )


def rows_from(path: Path, first: int, count: int) -> tuple[NumberedRow, ...]:
    """Return the rows numbered `first` (from 1) and following."""
    with path.open("rb") as lines:
        return tuple(_numbered(islice(_filled(lines), first - 1, first - 1 + count), start=first))


def rows_at(path: Path, numbers: Iterable[int]) -> dict[int, Example]:
    """Return the rows with these numbers, in one pass up to the last of them."""
    wanted = set(numbers)
    with path.open("rb") as lines:
        kept = (pair for pair in enumerate(islice(_filled(lines), max(wanted, default=0)), 1) if pair[0] in wanted)
        return {number: _example(line) for number, line in kept}


def search(path: Path, query: Query, *, after: int, count: int) -> Found:
    """Return the next `count` rows behind row `after` that match, reading some 64 MB at most."""
    found: list[NumberedRow] = []
    number, read = after, 0
    with path.open("rb") as lines:
        for line in islice(_filled(lines), after, None):
            if len(found) == count or read > SEARCH_BYTES:
                return Found(tuple(found), reached=number, is_end=False)
            number += 1
            read += len(line)
            example = _example(line)
            if query.matches(example):
                found.append(NumberedRow(number, example))
    return Found(tuple(found), reached=number, is_end=True)


@dataclass(frozen=True)
class Change:
    """One prompt whose answer, or anything else, differs between two versions."""

    before: NumberedRow
    after: NumberedRow


@dataclass(frozen=True)
class RowDiff:
    """What differs between two split files. The totals count all; the lists hold the first 500 of each kind."""

    total_added: int
    total_removed: int
    total_changed: int
    total_kept: int
    added: tuple[NumberedRow, ...] = ()
    removed: tuple[NumberedRow, ...] = ()
    changed: tuple[Change, ...] = ()


def diff(before: Path, after: Path) -> RowDiff:
    """Compare two split files as bags of lines. Rows with the same prompt on both sides are one changed row."""
    old, new = _line_keys(before), _line_keys(after)
    gone, come = ~np.isin(old, new), ~np.isin(new, old)
    old_prompts, new_prompts = _prompts(before, gone), _prompts(after, come)
    _, lefts, rights = np.intersect1d(_apart(old_prompts), _apart(new_prompts), return_indices=True)
    removed, added = np.flatnonzero(gone) + 1, np.flatnonzero(come) + 1
    order = np.argsort(added[rights])[:MAX_LISTED]
    listed = list(zip(removed[lefts][order].tolist(), added[rights][order].tolist(), strict=True))
    only_removed = np.delete(removed, lefts)[:MAX_LISTED].tolist()
    only_added = np.delete(added, rights)[:MAX_LISTED].tolist()
    old_rows = rows_at(before, [*only_removed, *(pair[0] for pair in listed)])
    new_rows = rows_at(after, [*only_added, *(pair[1] for pair in listed)])
    return RowDiff(
        total_added=len(added) - len(lefts),
        total_removed=len(removed) - len(lefts),
        total_changed=len(lefts),
        total_kept=int((~gone).sum()),
        added=tuple(NumberedRow(number, new_rows[number]) for number in only_added),
        removed=tuple(NumberedRow(number, old_rows[number]) for number in only_removed),
        changed=tuple(
            Change(NumberedRow(left, old_rows[left]), NumberedRow(right, new_rows[right])) for left, right in listed
        ),
    )


def _line_keys(path: Path) -> Hashes:
    with path.open("rb") as lines:
        digests = (int.from_bytes(blake2b(line.strip(), digest_size=8).digest(), "big") for line in _filled(lines))
        return _apart(np.fromiter(digests, dtype=np.uint64))


def _apart(keys: Hashes) -> Hashes:
    """Give the second, third, … occurrence of a key a key of its own, so that sets count like bags."""
    order = np.argsort(keys, kind="stable")
    is_first = np.concatenate(([True], keys[order[1:]] != keys[order[:-1]]))[: len(keys)]
    starts = np.maximum.accumulate(np.where(is_first, np.arange(len(keys)), 0))
    occurrence = np.empty(len(keys), dtype=np.uint64)
    occurrence[order] = (np.arange(len(keys)) - starts).astype(np.uint64)
    return keys ^ (occurrence * _FACTOR)


def _prompts(path: Path, wanted: NDArray[np.bool_]) -> Hashes:
    with path.open("rb") as lines:
        # Read without the model of a row: of a million rows that takes a third of the time.
        rows = (json.loads(line) for line, use in zip(_filled(lines), wanted, strict=True) if use)
        prompts = (row["messages"][:-1] or row["messages"] for row in rows)
        return np.fromiter((hash64(_fold(prompt)) for prompt in prompts), dtype=np.uint64)


def _fold(messages: Iterable[Mapping[str, Any]]) -> str:
    """Return roles and contents in lower case with white space folded: what makes two prompts the same prompt."""
    said = ((message["role"], message.get("content") or "") for message in messages)
    return "\x1e".join(f"{role}\x1f{' '.join(content.lower().split())}" for role, content in said)


def _value_of(answer: str, field: str) -> str:
    """Return a field of an answer as the class balance names it; "" when the answer has none."""
    if field == "answer":
        return answer[:80]
    try:
        found = json.loads(answer)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(found, dict) or field not in found:
        return ""
    value = found[field]
    return (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))[:80]


def _filled(lines: Iterable[bytes]) -> Iterator[bytes]:
    return (line for line in lines if line.strip())


def _numbered(lines: Iterable[bytes], *, start: int) -> Iterator[NumberedRow]:
    return (NumberedRow(number, _example(line)) for number, line in enumerate(lines, start))


def _example(line: bytes) -> Example:
    # Not by `read_line`: what was stored stays readable when what may be stored becomes stricter.
    row = json.loads(line)
    messages = [message | {"content": message.get("content") or ""} for message in row["messages"]]
    return Example.model_validate(row | {"messages": messages})
