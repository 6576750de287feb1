"""What two versions of a prompt differ in, word by word."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import zip_longest
from typing import Literal

from playbook.contracts.prompting import PromptSettings

#: Longer texts are compared line by line: comparing words takes the square of their number.
_MAX_WORDS = 4_000


@dataclass(frozen=True)
class Part:
    kind: Literal["same", "removed", "added"]
    text: str


@dataclass(frozen=True)
class Difference:
    """One text of the prompt that is not the same in both; its parts in reading order."""

    label: str
    parts: tuple[Part, ...]


def differences(before: PromptSettings, after: PromptSettings) -> list[Difference]:
    """Return what changed from `before` to `after`, in the order of the workbench."""
    return [
        Difference(label, tuple(_parts(old, new)))
        for (label, old), (_, new) in zip(_texts(before, like=after), _texts(after, like=before), strict=True)
        if old != new
    ]


def _texts(settings: PromptSettings, *, like: PromptSettings) -> Iterator[tuple[str, str]]:
    if settings.system is None:
        yield "System message", "" if like.system is None else "(each row’s own)"
    else:
        yield "System message", settings.system or "(none)"
    yield "User template", settings.user_template
    for number, (example, _) in enumerate(zip_longest(settings.examples, like.examples), start=1):
        yield f"Example {number}, user", example.user if example else ""
        yield f"Example {number}, answer", example.assistant if example else ""


def _parts(before: str, after: str) -> Iterator[Part]:
    old, new = _units(before, after)
    for kind, start, end, from_, to in SequenceMatcher(None, old, new).get_opcodes():
        if kind == "equal":
            yield Part("same", "".join(old[start:end]))
            continue
        if start < end:
            yield Part("removed", "".join(old[start:end]))
        if from_ < to:
            yield Part("added", "".join(new[from_:to]))


def _units(before: str, after: str) -> tuple[list[str], list[str]]:
    words = [re.findall(r"\s+|\S+", text) for text in (before, after)]
    if sum(map(len, words)) <= _MAX_WORDS:
        return words[0], words[1]
    return before.splitlines(keepends=True), after.splitlines(keepends=True)
