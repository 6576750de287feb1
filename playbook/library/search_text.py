"""Markdown of an article → the plain text and the sections that the search index holds. No HTML is rendered here.

Rendering 10,000 articles takes minutes; this takes seconds, and the index needs words, not markup. Every pattern is
linear in the length of the text. What headings are called in an address is `outline`'s business.
"""

import html
import re
from collections.abc import Iterator
from dataclasses import dataclass

from playbook.library.formulas import FORMULA

_FENCE_OR_HEADING = re.compile(
    r"^(?: {0,40}(?P<fence>`{3,}|~{3,})(?P<info>[^\n]*)| {0,3}#{1,6}(?P<title>[^\n]*))$", re.MULTILINE
)
_CLOSING_MARKS = re.compile(r"(?<![\\#])#+$")
#: What a line may begin with, left out: quote marks, a fence, `/// note |`, a rule of a table, a list mark. What stands
#: after a block that embeds a live part is its address, so all of that line goes.
_LINE_MARKS = re.compile(
    r"^[ >]*(?:[`~]{3,}[^\n]*$"
    r"|///+ *(?:(?:calculator|job|checklist|evidence|figure|measured)\b[^\n]*|end\b|[a-z-]{1,40} *\|?)?"
    r"|[|:-][ |:-]*$"
    r"|(?:[-*+] |\d{1,3}[.)] )(?:\[[ xX]\] )?)?",
    re.MULTILINE,
)
_TAG = re.compile(r"</?[a-zA-Z][^<>\n]{0,300}>")
_FOOTNOTE = re.compile(r"\[\^[^\[\]\n]{1,80}\]:?")
_EMPHASIS = re.compile(r"[*`]+")
_OUTER_UNDERSCORE = re.compile(r"_(?<!\w_)|_(?!\w)")
_WIKILINK = re.compile(
    r"\[\[(?P<name>[^\[\]|\n]{1,200})(?:\|(?P<label>(?:[^\[\]\n]|\[[^\[\]\n]{0,80}\]|\n(?!\n)){1,200}))?\]\]"
)
_FORMULA = re.compile(FORMULA, re.DOTALL)
_TEX_COMMAND = re.compile(r"\\([a-zA-Z]+) ?")
_TEX_SIGNS = {
    "times": "× ",
    "cdot": "· ",
    "alpha": "α",
    "sqrt": "√",
    "le": "≤ ",
    "ge": "≥ ",
    "approx": "≈ ",
    "pm": "± ",
}
_ROW = re.compile(r"^\|([^\n]*)$", re.MULTILINE)
_IMAGE_OR_LINK = re.compile(r"!?\[([^\[\]\n]{0,500})\]\([^()\n]{0,500}\)")


@dataclass(frozen=True)
class Section:
    """A heading and the plain text up to the next one; the text before the first heading has no title."""

    title: str
    text: str


def plain_text(markdown: str) -> str:
    """Return the words of some Markdown in reading order, on one line.

    >>> plain_text("A **rank** of [eight](lora.md) is `r=8`.")
    'A rank of eight is r=8.'
    """
    text = _FORMULA.sub(_formula_words, markdown) if "$" in markdown else markdown
    text = _TAG.sub("", _LINE_MARKS.sub("", text))
    if "[" in text:
        text = _IMAGE_OR_LINK.sub(r"\1", _WIKILINK.sub(_wikilink_words, _FOOTNOTE.sub("", text)))
    if "_" in text:
        text = _OUTER_UNDERSCORE.sub("", text)
    text = _EMPHASIS.sub("", text)
    if "|" in text:
        text = _ROW.sub(_row_words, text).replace("|", " ")
    return " ".join(html.unescape(text).split())


def _row_words(found: re.Match[str]) -> str:
    """`| rank | loss |` → `rank · loss.`, so that cells and rows stay apart in a snippet."""
    words = " · ".join(filter(None, (cell.strip() for cell in found[1].split("|"))))
    return words if words.endswith((".", "?", "!", ":")) else f"{words}."


def _formula_words(found: re.Match[str]) -> str:
    """`$n \\times n$` → `n × n`; nothing of a formula that stands alone, which makes no words."""
    tex = found["inline"]
    if tex is None:
        return " "
    return _TEX_COMMAND.sub(lambda command: _TEX_SIGNS.get(command[1], command[1]), tex).translate({123: "", 125: ""})


def _wikilink_words(found: re.Match[str]) -> str:
    """`[[slug|label]]` → its label; `[[area/what-is-lora#cost]]` → "what is lora", as the title is not known here."""
    name: str = found["name"]
    return found["label"] or name.partition("#")[0].rpartition("/")[2].replace("-", " ")


def sections(markdown: str) -> tuple[Section, ...]:
    """Return the sections of an article's body in reading order; headings inside code are code."""
    return tuple(Section(plain_text(title), plain_text(text)) for title, text in _split(markdown))


def _split(markdown: str) -> Iterator[tuple[str, str]]:
    """Yield title and text of each part."""
    title, begin, fence = "", 0, ""
    for mark in _FENCE_OR_HEADING.finditer(markdown):
        if fence:
            if (mark["fence"] or "").startswith(fence) and not mark["info"].strip().strip(fence[0]):
                fence = ""
        elif mark["fence"]:
            fence = mark["fence"]
        elif heading := mark["title"].strip():
            yield title, markdown[begin : mark.start()]
            title, begin = _CLOSING_MARKS.sub("", heading).strip(), mark.end()
    yield title, markdown[begin:]
