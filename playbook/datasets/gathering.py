"""What is kept of each row while a file streams by: hashes, lengths, classes and finds; some 50 bytes a row.

Texts are not kept. The words of all rows go to disk as hashes, for the comparison of train and test, and so do the
signatures by which near duplicates are found.
"""

import json
import re
from array import array
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from playbook.contracts.dataset import Example
from playbook.datasets.near import NearDuplicates
from playbook.datasets.private import find_private
from playbook.datasets.text import Hashes, Words, fold, hash64, spoken_words

MAX_CLASSES = 50
_MAX_FIELDS = 8
MAX_FINDS = 1_000
_BATCH = 2_000
#: A batch ends sooner when its rows are long: words in memory take some hundred bytes each.
_BATCH_WORDS = 100_000
#: About 8,000 tokens at 4 characters each: the whole context of the sample base model.
LONG_ROW_CHARS = 32_000
_FINDS = ("empty_answer", "refusal", "secret", "personal", "long_row", "formula", "tools")
TEMPLATE_KEY = "template"
_REFUSAL = re.compile(
    r"(?:\bi['’]?m (?:very |really )?sorry,? but|\bi apologi[sz]e,? but|\bsorry,? (?:but )?i\b|"
    r"\bi(?: can(?:no|['’])t| am (?:unable|not able) to|['’]m (?:unable|not able) to| won['’]t(?: be able to)?) "
    r"(?:help|assist|provide|answer|do|comply|fulfil|fulfill|create|generate|continue|with)\b|"
    r"\bi(?: must|['’]ll have to) (?:decline|refuse)\b|\bas an ai\b|\bas a (?:large )?language model|"
    r"\bi['’]?m (?:just |only )?an ai\b|\bes tut mir leid,? aber ich kann|"
    r"\b(?:dabei|damit) kann ich (?:\w+ ){0,2}nicht|\bje suis désolée?,? mais je ne peux|\blo siento,? pero no puedo)",
    re.IGNORECASE,
)
#: Marks that say nothing by themselves; the last four are white space of no width.
_MARKS = r"[\s().…?*\"'\[\]{}–—\u200b\u200c\u2060\ufeff-]*"
_SAYS_NOTHING = re.compile(rf"{_MARKS}(?:(?:n\s*/\s*a|nan|null|nil|undefined|todo|tbd|empty){_MARKS})?", re.IGNORECASE)
#: A call of a function or another program, a cell, a sum, a text that goes on: what a spreadsheet would compute.
_FORMULA = re.compile(
    r"\s*(?:[=@][a-z_.]+[!(|]|=[-+(]*(?:\$?[a-z]{1,3}\$?\d|\d+\s*[-+*/^&(]|\"[^\"]*\"\s*&)|[-+=@][^\n]{0,60}\bcmd\|)",
    re.IGNORECASE,
)


class Finds:
    """Rows that a check stumbled over, one by one: the count is true, the first 1,000 are kept with a note."""

    def __init__(self) -> None:
        self.total = 0
        self.listed: list[tuple[int, str]] = []

    def add(self, row: int, note: str) -> None:
        self.total += 1
        if len(self.listed) < MAX_FINDS:
            self.listed.append((row, note))


class ClassField:
    """The values of one field of the answers; given up when there are more than 50."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.rows: array[int] = array("I")
        self.values: array[int] = array("B")

    def add(self, row: int, value: str) -> bool:
        number = self.names.setdefault(value[:80], len(self.names))
        if number >= MAX_CLASSES:
            return False
        self.rows.append(row)
        self.values.append(number)
        return True


class Gathering:
    """Rows in the order in which they come; a row is its position, from 0."""

    def __init__(self, folder: Path, *, group_field: str) -> None:
        self._group_field = group_field
        self._near = NearDuplicates(folder / "near")
        self._words = (folder / "words").open("w+b")
        self._word_counts: array[int] = array("I")
        self._waiting: list[list[str]] = []
        self._waiting_words = 0
        self._columns = {name: array("Q") for name in ("row", "prompt", "answer", "group", "template")}
        self._lines: array[int] = array("I")
        self._sources: array[int] = array("B")
        self._sizes = {"prompt": array("I"), "answer": array("I")}
        self.finds = {code: Finds() for code in _FINDS}
        self.metadata: Counter[str] = Counter()
        self.classes: dict[str, ClassField] = {}
        self._given_up: set[str] = set()

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, example: Example, *, line: int, source: int, is_csv: bool) -> None:
        """Take one row."""
        row = len(self)
        prompt, answer = example.prompt, example.answer
        before = fold(prompt or example.messages)
        self._columns["prompt"].append(hash64(before))
        said = " ".join(answer.lower().split()) or json.dumps(example.messages[-1].tool_calls)
        self._columns["answer"].append(hash64(said))
        self._columns["row"].append(hash64(f"{before}\x1d{said}"))
        self._keep_if_any("group", _metadata_hash(example, self._group_field), row)
        self._keep_if_any("template", _metadata_hash(example, TEMPLATE_KEY), row)
        self._lines.append(line)
        self._sources.append(source)
        sizes = [len(message.content) for message in example.messages]
        self._sizes["prompt"].append(sum(sizes[:-1]))
        self._sizes["answer"].append(sizes[-1])
        self.metadata.update(example.metadata.keys())
        self._note_finds(row, example, sum(sizes), is_csv=is_csv)
        self._note_classes(row, answer)
        words = spoken_words(example.messages)
        self._waiting.append(words)
        self._waiting_words += len(words)
        if len(self._waiting) >= _BATCH or self._waiting_words >= _BATCH_WORDS:
            self._take_batch()

    def _keep_if_any(self, name: str, value: int, row: int) -> None:
        """Keep a value that few files have at all: a column without any takes no memory."""
        column = self._columns[name]
        if value and len(column) < row:
            column.frombytes(bytes(8 * (row - len(column))))
        if value or (len(column) == row and row):
            column.append(value)

    def finish(self) -> "Gathered":
        """Return the arrays. Nothing can be added afterwards."""
        self._take_batch()
        self._words.flush()
        return Gathered(
            columns={
                name: np.frombuffer(column, dtype=np.uint64)
                if len(column) == len(self)
                else np.zeros(len(self), np.uint64)
                for name, column in self._columns.items()
            },
            lines=np.frombuffer(self._lines, dtype=np.uint32),
            sources=np.frombuffer(self._sources, dtype=np.uint8),
            sizes={name: np.frombuffer(size, dtype=np.uint32) for name, size in self._sizes.items()},
            word_counts=np.frombuffer(self._word_counts, dtype=np.uint32),
            words=Path(self._words.name),
            near=self._near,
            gathering=self,
        )

    def close(self) -> None:
        self._words.close()
        self._near.close()

    def _take_batch(self) -> None:
        if not self._waiting:
            return
        words = Words(self._waiting)
        self._waiting, self._waiting_words = [], 0
        self._near.add(words)
        self._words.write(words.hashes.astype(np.uint32).tobytes())
        self._word_counts.extend(words.lengths.tolist())

    def _note_finds(self, row: int, example: Example, size: int, *, is_csv: bool) -> None:
        if size > LONG_ROW_CHARS:
            self.finds["long_row"].add(row, f"{size:,} characters, some {size // 4:,} tokens")
        if _SAYS_NOTHING.fullmatch(example.answer[:60]) and not example.messages[-1].tool_calls:
            self.finds["empty_answer"].add(row, example.answer[:40])
        if match := _REFUSAL.search(example.answer[:300]):
            self.finds["refusal"].add(row, match.group())
        if example.tools or any(message.tool_calls for message in example.messages):
            self.finds["tools"].add(row, "")
        found = {find for message in example.messages for find in find_private(message.content)}
        for code, is_secret in (("secret", True), ("personal", False)):
            if notes := sorted(note for secret, note in found if secret is is_secret):
                self.finds[code].add(row, ", ".join(notes[:3]))
        if is_csv:
            formulas = [message.content for message in example.messages if _FORMULA.match(message.content)]
            if formulas:
                self.finds["formula"].add(row, formulas[0][:40])

    def _note_classes(self, row: int, answer: str) -> None:
        fields = {"": answer}
        if answer[:1] == "{":
            try:
                found = json.loads(answer)
            except (ValueError, RecursionError):
                found = {}
            fields |= {
                name[:80]: json.dumps(value, ensure_ascii=False) if not isinstance(value, str) else value
                for name, value in list(found.items())[:_MAX_FIELDS]
                if not isinstance(value, dict | list)
            }
        for name, value in fields.items():
            if name in self._given_up:
                continue
            if name not in self.classes and len(self.classes) > _MAX_FIELDS:
                continue
            if len(value) > 80 or not self.classes.setdefault(name, ClassField()).add(row, value):
                self.classes.pop(name, None)
                self._given_up.add(name)


class Gathered:
    """The arrays of a gathering, one entry a row: hashes by name, source lines, source numbers, sizes in characters."""

    def __init__(
        self,
        *,
        columns: dict[str, Hashes],
        lines: NDArray[np.uint32],
        sources: NDArray[np.uint8],
        sizes: dict[str, NDArray[np.uint32]],
        word_counts: NDArray[np.uint32],
        words: Path,
        near: NearDuplicates,
        gathering: Gathering,
    ) -> None:
        self.columns, self.lines, self.sources, self.sizes = columns, lines, sources, sizes
        self.word_counts, self.words, self.near = word_counts, words, near
        self.finds, self.metadata, self.classes = gathering.finds, gathering.metadata, gathering.classes

    def __len__(self) -> int:
        return len(self.lines)


def _metadata_hash(example: Example, field: str) -> int:
    """Return the hash of a metadata value, 0 when the row has none."""
    value = example.metadata.get(field) if field else None
    return hash64(value) or 1 if value is not None else 0
