"""The `/// kind | argument` … `///` blocks of an article: where each begins and ends, and what is wrong with them.

A look at the lines, as pymdownx.blocks reads them. It says nothing of a block that it cannot read, and shows its marks
as text; one that is never closed takes the rest of the article along, and an embed then hides it. Renders nothing.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from playbook.library.embeds import EMBED_KINDS

ADMONITIONS = ("note", "tip", "hint", "warning", "attention", "caution", "danger", "error", "disagree")
#: What may follow `///`, beside the embeds.
BLOCK_KINDS = frozenset({*ADMONITIONS, "admonition", "figure", "tab"})

_MARK = re.compile(
    r"(?P<before>[ \t>]*(?:(?:[-*+]|\d{1,9}[.)])[ \t]+)?)(?P<marks>/{3,})[ \t]*(?P<words>[^\n]*?)[ \t]*", re.ASCII
)
_HEAD = re.compile(r"(?P<kind>[\w-]+)[ \t]*(?:\|[ \t]*(?P<argument>.*))?")


@dataclass(frozen=True)
class BlockMark:
    """The first line of a block. `kind` is in small letters."""

    line: int
    kind: str
    argument: str


@dataclass
class _Open:
    block: BlockMark
    marks: int
    indent: int


def read_blocks(
    shown: Sequence[str], bare: Sequence[str], first_line: int
) -> tuple[list[BlockMark], list[tuple[int, str]]]:
    """Return the blocks, and what is wrong with their marks: line and message.

    `shown`: the lines of the body without fenced code, `bare`: the same with inline code and formulas blanked out.
    """
    reader = _Reader(first_line)
    for number, line in enumerate(bare, start=first_line):
        reader.read(number, line, shown[number - first_line])
    return reader.blocks, sorted([*reader.mistakes, *reader.left_open()])


class _Reader:
    def __init__(self, first_line: int) -> None:
        self.blocks: list[BlockMark] = []
        self.mistakes: list[tuple[int, str]] = []
        self.open: list[_Open] = []
        self.after_head = False  # the line before was the first of a block
        self.told = -1  # the embed whose text was noted already, by its line

    def read(self, number: int, bare: str, shown: str) -> None:
        found = _MARK.fullmatch(bare) if "///" in bare else None
        after_head, self.after_head = self.after_head, False
        if found is None:
            self._text(number, bare, after_head=after_head)
        elif not found["words"]:
            self._close(number, len(found["marks"]))
        else:
            self._begin(number, found, shown)

    def _begin(self, number: int, found: re.Match[str], shown: str) -> None:
        written = _MARK.fullmatch(shown)
        head = _HEAD.fullmatch(written["words"] if written else found["words"])
        if head is None:
            words = found["words"][:60]
            self.mistakes.append((number, f"/// {words} is no block; write /// kind, or /// kind | title"))
            kind, argument = "", ""
        else:
            kind, argument = head["kind"].lower(), head["argument"] or ""
            self.blocks.append(BlockMark(number, kind, argument))
        indent = len(found["before"].expandtabs(4))
        self.open.append(_Open(BlockMark(number, kind, argument), len(found["marks"]), indent))
        self.after_head = True

    def _close(self, number: int, marks: int) -> None:
        places = [place for place, one in enumerate(self.open) if one.marks == marks]
        if not places:
            self.mistakes.append((number, f"{'/' * marks} closes no block; remove it, or open one above"))
            return
        self.mistakes.extend(_never_closed(one) for one in self.open[places[-1] + 1 :])
        del self.open[places[-1] :]

    def _text(self, number: int, line: str, *, after_head: bool) -> None:
        if not self.open or not line.strip(" \t>"):
            return
        innermost = self.open[-1]
        kind, indent = innermost.block.kind, len(line.expandtabs(4)) - len(line.expandtabs(4).lstrip(" "))
        if after_head and indent >= innermost.indent + 4:
            message = f"indented lines below /// {kind} are read as its options, of which there are none; unindent them"
            self.mistakes.append((number, message))
        elif kind in EMBED_KINDS and self.told != innermost.block.line:
            self.told = innermost.block.line
            message = f"text inside /// {kind} is not shown; write /// in the line below it, and the text after that"
            self.mistakes.append((number, message))

    def left_open(self) -> Iterator[tuple[int, str]]:
        """Yield the blocks that the end of the article closes."""
        return map(_never_closed, self.open)


def _never_closed(one: _Open) -> tuple[int, str]:
    marks = "/" * one.marks
    return one.block.line, f"{marks} {one.block.kind} is opened here and never closed; write {marks} where it ends"
