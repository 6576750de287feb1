"""Markdown of an article → its headings, links, images, formulas and embeds, each with its line. Renders nothing.

A scan with regular expressions, thirty times faster than rendering, so that thousands of articles can be checked and
linked in seconds. It agrees with `markdown` on what an anchor is called; a test compares them.
"""

import bisect
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from markdown.extensions.toc import slugify_unicode, unique

from playbook.library.blocks import BlockMark, read_blocks
from playbook.library.formulas import FORMULA
from playbook.library.limits import lines_outside_code, refuse_pathological
from playbook.library.problems import ContentError

#: Written in place of the bars of a wikilink while Markdown is read: in a table, a bar ends the cell.
BAR = "\x04"
#: `[[slug]]`, `[[area/slug]]`, `[[slug#heading|label]]`. A label may hold brackets and go on in the next line.
WIKILINK = (
    r"\[\[(?P<name>[^\[\]|\\#\n\x04]*)(?:#(?P<anchor>[^\[\]|\\\n\x04]*))?"
    r"(?:(?:\\?\||\x04)(?P<label>(?:[^\[\]\n]|\n(?!\s*\n)|\[[^\[\]\n]*\])*))?\]\]"
)

#: Code, comments, formulas and escaped marks. Begins with a look at the next character, so that plain text is passed
#: over at the speed of a character search.
HIDDEN = re.compile(
    r"(?=[`<$\\])(?:"
    r"(?P<code>(?P<ticks>`+)(?!`)(?:[^`\n]|\n(?!\s*\n)|(?<!`)(?!(?P=ticks)(?!`))`+(?!`))+?(?P=ticks)(?!`))"
    rf"|<!--.*?-->|(?P<formula>{FORMULA})|\\[!-/:-@\[-`{{-~])",
    re.DOTALL,
)
_HEADING = re.compile(
    r"^(?P<before>[ >\t]*)(?:(?:[-*+]|\d+\.)[ \t]+)?(?P<level>#{1,6})(?P<text>(?:\\.|[^\\\n])*?)#*[ \t]*$", re.M
)
_ESCAPED_BAR = re.compile(r"(\[\[[^\[\]|\\\n]*)\\\|")
#: Python-Markdown takes it for a heading where a paragraph begins.
_UNDERLINE = re.compile(r"^(?P<line>=+|-+)[ \t]*$", re.MULTILINE)
_FOOTNOTE = re.compile(r"\[\^(?P<name>[^\[\]\n]+)\](?P<colon>:?)")
_FOOTNOTE_NAME = re.compile(r"[\w:.-]{1,200}")
_NO_FORMULA = re.compile(r"^[ >\t]*(?:[-*+] +)?\$\$", re.MULTILINE)
_LINE_BREAK = re.compile(r"\n[ \t]*")
_QUOTED_LINE_BREAK = re.compile(r"\n[ >\t]*")
_AUTOLINK = re.compile(r"<((?:\w+:|[^\s<>@]+@)[^\s<>]*)>")
_CLOSING_MARKS = re.compile(r"(?<![\\#])#+$")
_LINK = re.compile(r"\[(?<!!\[)(?:[^\[\]]|\[[^\[\]]*\])*\]\(\s*<?(?P<href>[^\s<>()]*(?:\([^\s()]*\)[^\s<>()]*)*)")
_IMAGE = re.compile(r"!\[(?P<alt>[^\[\]]*)\](?:\(\s*<?(?P<href>[^\s<>()]*)|\s?\[)")
_DEFINITION = re.compile(r"^ {0,3}\[(?P<name>[^\]^][^\]]*)\]:[ \t]*<?(?P<href>[^\s<>]+)", re.MULTILINE)
_HTML_LINK = re.compile(r"<a\s[^>]*?href\s*=\s*[\"']?(?P<href>[^\"'\s>]+)", re.IGNORECASE)
_HTML_IMAGE = re.compile(r"<img\s(?P<attributes>[^>]*)>", re.IGNORECASE)
_HTML_ATTRIBUTE = re.compile(
    r"(?P<name>alt|src)\s*=\s*(?:\"(?P<a>[^\"]*)\"|'(?P<b>[^']*)'|(?P<c>[^\s\"'>]+))", re.IGNORECASE
)
_HTML_ID = re.compile(r"<(?:h[2-6]|li|sup)\s[^>]*?id\s*=\s*[\"']?(?P<id>[^\"'\s>]+)", re.IGNORECASE)
_WIKILINK = re.compile(WIKILINK)
_HTML_TAG = re.compile(r"<(?P<tag>[a-zA-Z][^\s<>/:@]*)(?P<rest>[\s/][^<>]*)?>")
_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'")
_MARKS = re.compile(r"[`*_\[\]<&$\\]")


@dataclass(frozen=True)
class Heading:
    """A heading, in reading order."""

    level: int
    id: str
    title: str


@dataclass(frozen=True)
class Mention:
    """A link or image as it is written. `alt` is the text of an image."""

    kind: Literal["link", "wikilink", "image"]
    line: int
    href: str
    alt: str = ""


@dataclass(frozen=True)
class Formula:
    line: int
    tex: str
    block: bool


@dataclass(frozen=True)
class HtmlTag:
    """A tag of HTML in the Markdown. `attributes`: their names, in small letters."""

    line: int
    name: str
    attributes: tuple[str, ...]


@dataclass(frozen=True)
class Outline:
    """What an article's Markdown holds. `anchors`: every id that a link may name. `mistakes`: what is wrong with
    its headings and the marks of its blocks, line and message. `refused`: why it is not rendered."""

    headings: tuple[Heading, ...] = ()
    anchors: frozenset[str] = frozenset()
    mentions: tuple[Mention, ...] = ()
    formulas: tuple[Formula, ...] = ()
    blocks: tuple[BlockMark, ...] = ()
    mistakes: tuple[tuple[int, str], ...] = ()
    html: tuple[HtmlTag, ...] = ()
    refused: ContentError | None = field(default=None, compare=False)


def read_outline(body: str, body_line: int) -> Outline:
    """Return the outline of a body that begins on line `body_line`. Never raises: see `Outline.refused`."""
    try:
        refuse_pathological(body, body_line)
        return _Scanner(body, body_line).outline()
    except ContentError as error:
        return Outline(refused=error)


class _Scanner:
    """`text` is the body without fenced code; `bare` is `text` with inline code, formulas, comments and escaped marks
    blanked out, character for character, so that places in one are places in the other."""

    def __init__(self, body: str, body_line: int) -> None:
        text = _without_fences(body, body_line)
        self.text = _ESCAPED_BAR.sub(r"\1 |", text) if "\\|" in text else text
        self.formulas: list[tuple[int, str, bool]] = []
        self.mistakes: list[tuple[int, str]] = []
        self.bare = HIDDEN.sub(self._hide, self.text) if re.search(r"[`$\\]|<!--", self.text) else self.text
        self.line_starts = [found.end() for found in re.finditer("\n", self.text)]
        self.first_line = body_line

    def outline(self) -> Outline:
        headings = tuple(self._headings())
        self._note_open_formulas()
        self._note_footnotes()
        ids = {found["id"] for found in _HTML_ID.finditer(self.bare)} if "<" in self.bare else set()
        blocks, mistakes = self._blocks()
        return Outline(
            headings=headings,
            anchors=frozenset(ids.union(heading.id for heading in headings if heading.level > 1)),
            mentions=tuple(sorted(self._mentions(), key=lambda mention: mention.line)),
            formulas=tuple(Formula(self._line(at), tex, block) for at, tex, block in self.formulas),
            blocks=tuple(blocks),
            mistakes=(*sorted(self.mistakes), *mistakes),
            html=tuple(self._html()) if "<" in self.bare else (),
        )

    def _hide(self, found: re.Match[str]) -> str:
        if found["formula"]:
            tex = one_line(found) if found["block"] is not None else found["inline"]
            self.formulas.append((found.start(), tex.strip(), found["block"] is not None))
        return re.sub(r"[^\n]", " ", found[0])

    def _note_open_formulas(self) -> None:
        """Note each $$ that is left: a formula's own marks are hidden. Every other one would be the end."""
        for mark in list(_NO_FORMULA.finditer(self.bare))[::2] if "$$" in self.bare else []:
            message = "shown as text, not as a formula: $$ is not closed before the next empty line"
            self.mistakes.append((self._line(mark.end()), message))

    def _note_footnotes(self) -> None:
        """Note marks without a footnote, which are shown as they are written, and footnotes that no mark leads to."""
        marks, notes = dict[str, int](), dict[str, int]()
        for found in _FOOTNOTE.finditer(self.bare) if "[^" in self.bare else ():
            name, line = found["name"], self._line(found.start())
            begins_line = not self.bare[self._line_start(found.start()) : found.start()].strip(" >")
            if found["colon"] and begins_line and name in notes:
                self.mistakes.append(
                    (line, f"footnote [^{name[:80]}] is there twice, and the last is shown; rename one")
                )
            if not _FOOTNOTE_NAME.fullmatch(name):
                self.mistakes.append((line, f"footnote [^{name[:80]}]: write its name without spaces and marks"))
            (notes if found["colon"] and begins_line else marks).setdefault(name, line)
        for name in marks.keys() - notes.keys():
            self.mistakes.append((marks[name], f"[^{name[:80]}] has no footnote; write a line [^{name[:80]}]: with it"))
        for name in notes.keys() - marks.keys():
            self.mistakes.append(
                (notes[name], f"no text has the mark of footnote [^{name[:80]}]; set it, or remove this")
            )

    def _line_start(self, place: int) -> int:
        return self.bare.rfind("\n", 0, max(place, 0)) + 1

    def _line(self, place: int) -> int:
        return bisect.bisect_right(self.line_starts, place) + self.first_line

    def _headings(self) -> Iterator[Heading]:
        found = list[tuple[int, int, int]]()
        if "#" in self.bare:
            # The end is sought in the text: code or a formula at the end of the line is blank in `bare`.
            for mark in _HEADING.finditer(self.bare):
                if mark["before"] in (" ", "  ", "   "):
                    message = "shown as text, not as a heading: there is a space before #; remove it"
                    self.mistakes.append((self._line(mark.start("level")), message))
                    continue
                start = mark.start("text")
                line_end = self.text.find("\n", start)
                line = self.text[start : line_end if line_end >= 0 else None]
                found.append((start, start + len(_CLOSING_MARKS.sub("", line.rstrip())), len(mark["level"])))
        ends = {self._line_start(start) for start, _, _ in found}
        for mark in _UNDERLINE.finditer(self.bare):
            start, end = self._line_start(mark.start() - 1), mark.start() - 1
            if end <= start or self.bare[start] in "#|" or self.bare[start].isspace():
                continue
            before = self._line_start(start - 1) if start else None
            if before is None or before in ends or not self.text[before:start].strip():
                found.append((start, end, 1 if mark["line"].startswith("=") else 2))
                if self.bare.startswith((">", "- ", "* ", "+ "), start):
                    message = f"shown as a heading, for {mark['line'][:3]} stands below it; put an empty line between"
                    self.mistakes.append((self._line(start), message))
        used: set[str] = set()
        for start, end, level in sorted(found):
            title = _plain(self.text[start:end])
            if title and level == 1:
                message = "a heading with one # is shown as text, for the title is above it; write ## or more"
                self.mistakes.append((self._line(start), message))
            if not title:
                message = "a heading needs words for the table of contents; write some, or remove the #"
                self.mistakes.append((self._line(start), message))
            else:
                yield Heading(level=level, id=unique(slugify_unicode(title, "-"), used), title=title)

    def _mentions(self) -> Iterator[Mention]:
        bare = self.bare
        if "](" in bare:
            for found in _LINK.finditer(bare):
                yield Mention("link", self._line(found.start()), found["href"])
        if "]:" in bare:
            for found in _DEFINITION.finditer(bare):
                yield Mention("link", self._line(found.start()), found["href"])
        if "![" in bare:
            for found in _IMAGE.finditer(bare):
                yield Mention("image", self._line(found.start()), found["href"] or "", found["alt"].strip())
        if "[[" in bare:
            for found in _WIKILINK.finditer(bare):
                yield Mention("wikilink", self._line(found.start()), wikilink_target(found))
        if "<" in bare:
            yield from self._html_mentions()

    def _html_mentions(self) -> Iterator[Mention]:
        for found in _HTML_LINK.finditer(self.bare):
            yield Mention("link", self._line(found.start()), html.unescape(found["href"]))
        for found in _HTML_IMAGE.finditer(self.bare):
            values = {
                pair["name"].lower(): html.unescape(pair["a"] or pair["b"] or pair["c"] or "")
                for pair in _HTML_ATTRIBUTE.finditer(found["attributes"])
            }
            yield Mention("image", self._line(found.start()), values.get("src", ""), values.get("alt", "").strip())

    def _html(self) -> Iterator[HtmlTag]:
        for found in _HTML_TAG.finditer(self.bare):
            names = (word.partition("=")[0].lower() for word in _QUOTED.sub("", found["rest"] or "").split())
            attributes = tuple(name for name in names if name.strip("/"))
            yield HtmlTag(self._line(found.start()), found["tag"].lower(), attributes)

    def _blocks(self) -> tuple[list[BlockMark], list[tuple[int, str]]]:
        if "///" not in self.bare:
            return [], []
        return read_blocks(self.text.split("\n"), self.bare.split("\n"), self.first_line)


def wikilink_target(found: re.Match[str]) -> str:
    """Return `name` or `name#anchor` of a match of WIKILINK."""
    name, anchor = found["name"].strip(), (found["anchor"] or "").strip()
    return f"{name}#{anchor}" if anchor else name


def one_line(found: re.Match[str]) -> str:
    """Return the TeX of a match of HIDDEN that is a formula in `$$`, without its line breaks: Markdown would read a
    line that begins with # or > as a heading or a quote. A comment of TeX ends with its line, so those stay."""
    tex: str = found["block"]
    if "\n" not in tex or "%" in tex:
        return tex
    before = found.string[found.string.rfind("\n", 0, found.start()) + 1 : found.start()]
    return (_QUOTED_LINE_BREAK if before.lstrip().startswith(">") else _LINE_BREAK).sub(" ", tex)


def _without_fences(body: str, body_line: int) -> str:
    """Return `body` with the lines of code fences empty, so that the line numbers stay."""
    if "```" not in body and "~~~" not in body:
        return body
    lines = [""] * (body.count("\n") + 1)
    for number, line in lines_outside_code(body, body_line):
        lines[number - body_line] = line
    return "\n".join(lines)


def _plain(heading: str) -> str:
    """Return the text of a heading without its Markdown, as it reads on the page."""
    if not _MARKS.search(heading):
        return " ".join(heading.split())
    parts = re.split(r"(`+)(.+?)\1", heading)
    plain = []
    for index in range(0, len(parts), 3):
        text = re.sub(r"!\[[^\]]*\]\([^)]*\)|<(?!\w+:|[^\s<>@]+@)[^>]+>|\[\^[^\]]+\]", "", parts[index])
        text = _AUTOLINK.sub(r"\1", text)
        text = re.sub(r"\[\[(?:[^\[\]|]*\|)?((?:[^\[\]]|\[[^\[\]]*\])*)\]\]", r"\1", text)
        text = re.sub(r"\[((?:[^\[\]]|\[[^\[\]]*\])*)\](?:\((?:[^()]|\([^()]*\))*\)|\[[^\]]*\])", r"\1", text)
        text = re.sub(rf"{FORMULA}", lambda found: (found["block"] or found["inline"]).strip(), text, flags=re.DOTALL)
        text = re.sub(r"(?<!\\)\*+(?=\S)|(?<=\S)(?<!\\)\*+|(?<![\w\\])_+(?=\S)|(?<=[^\s\\])_+(?!\w)", "", text)
        plain.append(html.unescape(re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", text)))
        if index + 2 < len(parts):
            plain.append(parts[index + 2])
    return " ".join("".join(plain).split())
