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

from playbook.contracts.dataset_problems import as_text
from playbook.datasets.formats import Row
from playbook.datasets.near import NearDuplicates
from playbook.datasets.private import find_private
from playbook.datasets.text import Hashes, Texts, Words, hash64, mix, runs_of, words_of

#: Sets of intents have some 150 classes; more values than these are no classes.
MAX_CLASSES = 500
_MAX_FIELDS = 8
MAX_FINDS = 1_000
#: Names of metadata, and of fields of the answers, that are told apart. A file could bring new ones in each row.
_MAX_NAMES = 10_000
_BATCH = 2_000
#: A batch ends sooner when its rows are long: words in memory take some hundred bytes each, and not all are short.
_BATCH_WORDS, _BATCH_CHARS = 100_000, 1_000_000
#: About 8,000 tokens at 4 characters each: the whole context of the sample base model.
LONG_ROW_CHARS = 32_000
_FINDS = ("ungrouped", "empty_answer", "refusal", "secret", "personal", "long_row", "formula", "tools")
TEMPLATE_KEY = "template"
_REFUSAL = re.compile(
    r"(?:\bi['’]?m (?:very |really )?sorry,? but|\bi apologi[sz]e,? but|\bsorry,? (?:but )?i\b|"
    r"\bi(?: can(?:no|['’])t| am (?:unable|not able) to|['’]m (?:unable|not able) to| won['’]t(?: be able to)?) "
    r"(?:help|assist|provide|answer|do|comply|fulfil|fulfill|create|generate|continue|with)\b|"
    r"\bi(?: must|['’]ll have to) (?:decline|refuse)\b|\bas an ai\b|\bas a (?:large )?language model|"
    r"\bi['’]?m (?:just |only )?an ai\b|\bes tut mir leid,? aber ich kann|"
    r"\b(?:dabei|damit) kann ich (?:\w+ ){0,2}nicht|\btut mir leid,? (?:aber )?(?:das|dabei|damit|dazu) kann ich|"
    r"\bich kann (?:\w+ ){0,3}nicht (?:weiter)?(?:helfen|antworten|beantworten|dienen)\b|"
    r"\bje suis désolée?,? mais je ne peux|\bje ne peux pas (?:vous |t['’])?(?:aider|répondre|fournir|faire)|"
    r"\blo siento,? pero no puedo|\bno puedo (?:ayudar|responder|proporcionar)|"
    r"\bnon posso (?:aiutar|risponder|fornir)|"
    r"\bleider kann ich (?:\w+ ){0,4}nicht (?:weiter)?(?:helfen|antworten|beantworten|dienen|geben)\b|"
    r"\bich bin (?:\w+ )?nicht in der lage\b|\bals (?:eine? )?ki(?:\b|-sprachmodell)|"
    r"\bdésolée?,? (?:mais )?je ne peux|\bje ne suis pas en mesure\b|"
    r"\bno me es posible (?:ayudar|responder|proporcionar)|\bcomo (?:un )?modelo de lenguaje|"
    r"(?:抱歉|对不起)[,，]?\s?我?(?:无法|不能)|作为(?:一个|一名)?(?:ai|人工智能|(?:大型)?语言模型)|申し訳.{0,12}できません)",
    re.IGNORECASE,
)
#: One of these is in everything that the pattern finds, case aside. None has an i, which has four cases (i, I, İ, ı).
_REFUSAL_WORDS = (
    *("sorry", "apolog", "cannot", "can't", "can’t", "unable to", "not able to", "won't", "won’t", "decl", "refuse"),
    *("as an a", "language model", "m an a", "just an a", "only an a", "es tut m", "kann", "je su"),
    *("je ne peux", "lo s", "no puedo", "non posso", "der lage", "als k", "als e", "en mesure", "no me es pos"),
    *("modelo de lenguaje", "抱歉", "对不起", "作为", "申し訳"),
)
#: Marks that say nothing by themselves; the last four are white space of no width.
_MARKS = r"[\s().…?*\"'\[\]{}–—\u200b\u200c\u2060\ufeff-]*"
_SAYS_NOTHING = re.compile(rf"{_MARKS}(?:(?:n\s*/\s*a|nan|null|nil|undefined|todo|tbd|empty){_MARKS})?", re.IGNORECASE)
#: What a spreadsheet would compute: a call, another sheet or program, a cell, a sum, a joined text, a list. Behind
#: a plus or a minus, which begin ordinary text too, only what is hardly anything else.
_FORMULA = re.compile(
    r"\s*(?:[=@]\s?[a-z_][\w.]*[!(|]|=\s?(?:'[^'\n]{1,60}'|\[[^\]\n]{1,60}\][^!\n]{0,60})!|=\s?\{"
    r"|=[-+(]*(?:\$?[a-z]{1,3}\$?\d|\d+(?:\.\d+)?\s*(?:[-+*/^&%(]|$)|\"[^\"]*\"\s*&)"
    r"|[-+](?-i:[A-Z][A-Z0-9.]+\()|[-+]\d+(?:\.\d+)?[+*^]\d|[-+=@][^\n]{0,60}\bcmd\|)",
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
    """The values of one field of the answers; given up when there are more than 500."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.rows: array[int] = array("I")
        self.values: array[int] = array("H")

    def add(self, row: int, value: str) -> bool:
        number = self.names.setdefault(value[:80], len(self.names))
        if number >= MAX_CLASSES:
            return False
        self.rows.append(row)
        self.values.append(number)
        return True


class _Batch:
    """Rows whose words and texts are looked at together: their `words`, without the system's, which many rows share by
    design, and how many each has; how its answer `begins`; all `texts`, and the row that each belongs to."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self.words: list[str] = []
        self.word_counts: list[int] = []
        self.begins: list[str] = []
        self.texts: list[str] = []
        self.row_of: list[int] = []
        self._counted = self._chars = 0

    def add(self, row: int, contents: list[str], chars: int, *, called: list[str]) -> bool:
        """Take a row whose words were added before, and its `called`: calls of tools. Return whether the batch is
        full."""
        self.word_counts.append(len(self.words) - self._counted)
        self._counted = len(self.words)
        self.rows.append(row)
        self.begins.append(contents[-1][:300])
        self.texts += contents + called
        self.row_of += [row] * (len(contents) + len(called))
        self._chars += chars + sum(map(len, called))
        return len(self.rows) >= _BATCH or self._counted >= _BATCH_WORDS or self._chars >= _BATCH_CHARS


class Gathering:
    """Rows in the order in which they come; a row is its position, from 0."""

    def __init__(self, folder: Path, *, is_grouped: bool) -> None:
        self._is_grouped = is_grouped
        self._near = NearDuplicates(folder / "near")
        self._words = (folder / "words").open("w+b")
        self._word_counts: array[int] = array("I")
        self._batch = _Batch()
        self._columns = {name: array("Q") for name in ("prompt", "answer", "group", "template")}
        self._lines: array[int] = array("I")
        self._sources: array[int] = array("B")
        self._sizes = {"prompt": array("I"), "answer": array("I")}
        self.finds = {code: Finds() for code in _FINDS}
        self.metadata: Counter[str] = Counter()
        self.classes: dict[str, ClassField] = {}
        self._given_up: set[str] = set()

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, row: Row, *, line: int, source: int, is_csv: bool, group: str) -> None:
        """Take one row. `group`: what it is kept together by, "" for nothing."""
        number, messages, batch = len(self._lines), row["messages"], self._batch
        contents: list[str] = []
        folded: list[str] = []
        called: list[str] = []
        for message in messages:
            content, role = message.get("content") or "", message["role"]
            words = words_of(content)
            said = " ".join(words)
            if role != "system":
                batch.words += runs_of(words, said)
            contents.append(content)
            if calls := message.get("tool_calls"):
                called.append(as_text(calls))
                said = f"{said}\x1f{called[-1]}"
            folded.append(f"{role}\x1f{said}")
        self._columns["prompt"].append(hash64("\x1e".join(folded[:-1] or folded)))
        self._columns["answer"].append(hash64(said))
        metadata = row.get("metadata") or {}
        for name in metadata:
            if name in self.metadata or len(self.metadata) < _MAX_NAMES:
                self.metadata[name] += 1
        self._keep_if_any("template", metadata.get(TEMPLATE_KEY), number)
        if self._is_grouped:
            self._keep_if_any("group", group or None, number)
            if not group:
                self.finds["ungrouped"].add(number, "")
        self._lines.append(line)
        self._sources.append(source)
        answer, size = contents[-1], sum(map(len, contents))
        self._sizes["prompt"].append(size - len(answer))
        self._sizes["answer"].append(len(answer))
        self._note_finds(number, row, contents, size, is_csv=is_csv)
        self._note_classes(number, answer)
        if batch.add(number, contents, size, called=called):
            self._take_batch()

    def _keep_if_any(self, name: str, value: str | None, row: int) -> None:
        """Keep the hash of a value that few files have at all, 0 for a row without one: a column without any takes no
        memory."""
        column = self._columns[name]
        if value is None and not column:
            return
        if len(column) < row:
            column.frombytes(bytes(8 * (row - len(column))))
        column.append(0 if value is None else hash64(value) or 1)

    def finish(self) -> "Gathered":
        """Return the arrays. Nothing can be added afterwards."""
        self._take_batch()
        self._words.flush()
        columns = {
            name: np.frombuffer(column, dtype=np.uint64) if len(column) == len(self) else np.zeros(len(self), np.uint64)
            for name, column in self._columns.items()
        }
        return Gathered(
            columns=columns | {"row": mix(columns["prompt"]) ^ columns["answer"]},
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
        batch, self._batch = self._batch, _Batch()
        if not batch.rows:
            return
        words = Words(batch.words, batch.word_counts)
        self._near.add(words)
        self._words.write(words.hashes.astype(np.uint32).tobytes())
        self._word_counts.extend(batch.word_counts)
        self._note_texts(batch)

    def _note_finds(self, number: int, row: Row, contents: list[str], size: int, *, is_csv: bool) -> None:
        """Note what a look at the row alone tells."""
        answer, messages = contents[-1], row["messages"]
        if size > LONG_ROW_CHARS:
            self.finds["long_row"].add(number, f"{size:,} characters, some {size // 4:,} tokens")
        if _SAYS_NOTHING.fullmatch(answer, 0, 60) and not messages[-1].get("tool_calls"):
            self.finds["empty_answer"].add(number, answer[:40])
        if row.get("tools") or any(message.get("tool_calls") for message in messages):
            self.finds["tools"].add(number, "")
        if is_csv:
            cells = (*contents, *(row.get("metadata") or {}).values())
            if formula := next(filter(_FORMULA.match, cells), None):
                self.finds["formula"].add(number, formula[:40])

    def _note_texts(self, batch: "_Batch") -> None:
        """Note what most rows do not hold, so that many texts are looked at together."""
        for position in Texts([begin.casefold() for begin in batch.begins]).holding(*_REFUSAL_WORDS):
            if match := _REFUSAL.search(batch.begins[position]):
                self.finds["refusal"].add(batch.rows[position], match.group())
        found: dict[tuple[bool, int], set[str]] = {}
        for position, is_secret, note in find_private(batch.texts):
            found.setdefault((is_secret, batch.row_of[position]), set()).add(note)
        for (is_secret, row), notes in sorted(found.items()):
            self.finds["secret" if is_secret else "personal"].add(row, ", ".join(sorted(notes)[:3]))

    def _note_classes(self, row: int, answer: str) -> None:
        fields = {"": answer}
        if answer[:1] != "{":
            if "" in self._given_up:
                return
        else:
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
                if len(self._given_up) < _MAX_NAMES:
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
