"""Bounds on the text of an article, looked at before any Markdown parser sees it.

Python-Markdown takes time that is quadratic in the unclosed marks of a paragraph, in the blocks of an article and in
its references to one footnote, and recurses into quotes. Within these bounds any text renders in seconds.
"""

import re
from collections.abc import Iterator

from playbook.library.problems import ContentError

MAX_PARAGRAPH_CHARACTERS = 40_000
MAX_PARAGRAPH_MARKS = 400
MAX_MARKS = 5_000
MAX_BLOCKS = 3_000
MAX_FOOTNOTE_REFERENCES = 500
MAX_FORMULAS = 1_000
MAX_EMBEDS = 100
MAX_INDENT = 40
MAX_QUOTE_DEPTH = 20

_BLOCK = re.compile(r"\n\s*\n|^ *(?:/{3,}|`{3,}|~{3,})", re.MULTILINE)
_EMBED = re.compile(r"^[ \t>]*/{3,} *(?:checklist|job|evidence|calculator|measured|figure)\b", re.MULTILINE)
_FENCE = re.compile(r" {0,40}(`{3,}|~{3,})")
_QUOTE_MARKS = re.compile(r"(?:[ \t]*>)+")


def refuse_pathological(body: str, body_line: int) -> None:
    """Raise ContentError, with the line, for text on which rendering would take minutes, and for an open code fence."""
    _refuse_long_paragraphs(body, body_line)
    if (blocks := len(_BLOCK.findall(body))) > MAX_BLOCKS:
        raise ContentError((body_line, f"{blocks:,} paragraphs and blocks; split it at {MAX_BLOCKS:,}"))
    if (notes := body.count("[^")) > MAX_FOOTNOTE_REFERENCES:
        raise ContentError((body_line, f"{notes:,} footnotes; keep to {MAX_FOOTNOTE_REFERENCES}"))
    if (formulas := body.count("$") // 2) > MAX_FORMULAS:
        raise ContentError((body_line, f"{formulas:,} formulas; keep to {MAX_FORMULAS:,}"))
    if (embeds := len(_EMBED.findall(body))) > MAX_EMBEDS:
        raise ContentError((body_line, f"{embeds:,} live parts; keep to {MAX_EMBEDS}"))


def lines_outside_code(body: str, body_line: int) -> Iterator[tuple[int, str]]:
    """Yield the lines that lie in no code fence, with their numbers. Raises ContentError at the end for an open one."""
    fence, opened = "", 0
    for number, line in enumerate(body.split("\n"), start=body_line):
        found = _FENCE.match(line)
        if fence:
            if found and found[1].startswith(fence) and not line.strip().strip(fence[0]):
                fence = ""
        elif found:
            fence, opened = found[1], number
        else:
            yield number, line
    if fence:
        raise ContentError((opened, f"code fence {fence} is opened here and never closed"))


def _refuse_long_paragraphs(body: str, body_line: int) -> None:
    characters = marks = total = 0
    for number, line in lines_outside_code(body, body_line):
        text = line.strip()
        if not text:
            characters = marks = 0
            continue
        here = line.count("[") + line.count("<") + line.count("`") + line.count("\\")
        characters, marks, total = characters + len(line), marks + here, total + here
        if characters > MAX_PARAGRAPH_CHARACTERS:
            raise ContentError((number, f"paragraph over {MAX_PARAGRAPH_CHARACTERS:,} characters; divide it"))
        if text.startswith(">") and _quote_depth(line) > MAX_QUOTE_DEPTH:
            raise ContentError((number, f"quotes nested more than {MAX_QUOTE_DEPTH} deep; flatten them"))
        if marks > MAX_PARAGRAPH_MARKS or total > MAX_MARKS:
            message = f"at most {MAX_PARAGRAPH_MARKS} a paragraph and {MAX_MARKS:,} an article: divide the text"
            raise ContentError((number, f"too many of [ < ` and backslash; {message}, or put code between ``` lines"))
        if line.startswith(" " * (MAX_INDENT + 1)) or len(line) - len(line.lstrip()) > MAX_INDENT:
            raise ContentError((number, f"indented by more than {MAX_INDENT} characters; flatten the list"))


def _quote_depth(line: str) -> int:
    found = _QUOTE_MARKS.match(line)
    return found[0].count(">") if found else 0
