"""Rows of stored split files, read back for people: a page, a search, single rows.

Streams: a split of 200 MB costs the memory of a page. Files are known to be valid, one row a line.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from unicodedata import normalize

from playbook.contracts.dataset import Example
from playbook.contracts.dataset_problems import as_text

#: A search reads at most this much at once; the page then offers to go on.
SEARCH_BYTES = 64_000_000


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
        wanted = _folded(self.text)
        calls = (as_text(message.tool_calls) for message in example.messages if message.tool_calls)
        texts = (*(message.content for message in example.messages), *calls, *example.metadata.values())
        return (not wanted or any(wanted in _folded(text) for text in texts)) and (
            not self.field or _value_of(example.answer, self.field) == self.value
        )


def rows_from(path: Path, first: int, count: int) -> tuple[NumberedRow, ...]:
    """Return the rows numbered `first` (from 1) and following."""
    with path.open("rb") as lines:
        return tuple(_numbered(islice(filled(lines), first - 1, first - 1 + count), start=first))


def rows_at(path: Path, numbers: Iterable[int]) -> dict[int, Example]:
    """Return the rows with these numbers, in one pass up to the last of them."""
    wanted = set(numbers)
    with path.open("rb") as lines:
        kept = (pair for pair in enumerate(islice(filled(lines), max(wanted, default=0)), 1) if pair[0] in wanted)
        return {number: _example(line) for number, line in kept}


def search(path: Path, query: Query, *, after: int, count: int) -> Found:
    """Return the next `count` rows behind row `after` that match, reading some 64 MB at most."""
    found: list[NumberedRow] = []
    number, read = after, 0
    with path.open("rb") as lines:
        for line in islice(filled(lines), after, None):
            if len(found) == count or read > SEARCH_BYTES:
                return Found(tuple(found), reached=number, is_end=False)
            number += 1
            read += len(line)
            example = _example(line)
            if query.matches(example):
                found.append(NumberedRow(number, example))
    return Found(tuple(found), reached=number, is_end=True)


def _folded(text: str) -> str:
    """Return the text in lower case, with each letter and its marks in one, as people type it."""
    return (text if text.isascii() else normalize("NFC", text)).lower()


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


def filled(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the lines that hold a row."""
    return (line for line in lines if line.strip())


def _numbered(lines: Iterable[bytes], *, start: int) -> Iterator[NumberedRow]:
    return (NumberedRow(number, _example(line)) for number, line in enumerate(lines, start))


def _example(line: bytes) -> Example:
    # Not by `read_line`: what was stored stays readable when what may be stored becomes stricter.
    row = json.loads(line)
    messages = [message | {"content": message.get("content") or ""} for message in row["messages"]]
    return Example.model_validate(row | {"messages": messages})
