"""What articles may write beyond Markdown: `[[wikilinks]]`, formulas, tabs and embeds. Adds it to Python-Markdown.

Everything here becomes plain elements with a few known classes; `sanitise` decides what survives, and `decorate` turns
the rest into live markup afterwards. So nothing that is written here has to be trusted.
"""

import re
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, SubElement

from markdown import Markdown
from markdown.inlinepatterns import InlineProcessor
from markdown.preprocessors import Preprocessor
from markdown.treeprocessors import Treeprocessor
from markdown.util import AtomicString
from pymdownx.blocks import BlocksExtension
from pymdownx.blocks.block import Block

from playbook.library.embeds import EMBED_KINDS
from playbook.library.formulas import FORMULA
from playbook.library.outline import BAR, HIDDEN, WIKILINK, one_line, wikilink_target

#: How a wikilink is written as an address until `sanitise` resolves it.
WIKI_SCHEME = "wiki"
_HEADING_TAG = re.compile("h[1-6]")
#: Name of an article → its title; None when there is none.
TitleOf = Callable[[str], str | None]


class Wikilinks(InlineProcessor):
    """`[[slug]]`, `[[area/slug]]`, `[[slug#heading|label]]`; without a label, the title of the article is shown."""

    ANCESTOR_EXCLUDES = ("a",)

    def __init__(self, title_of: TitleOf) -> None:
        super().__init__(WIKILINK)
        self.title_of = title_of

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[Element, int, int]:  # type: ignore[override]
        target = wikilink_target(m)
        name = target.partition("#")[0]
        label = " ".join((m["label"] or "").split()) or (self.title_of(name) if name else None) or target.lstrip("#")
        link = Element("a", {"href": f"{WIKI_SCHEME}:{target}"})
        link.text = AtomicString(label)
        return link, m.start(0), m.end(0)


class Formulas(InlineProcessor):
    """`$…$` and `$$…$$`, kept as code until `decorate` writes the MathML."""

    ANCESTOR_EXCLUDES = ("code", "pre")

    def __init__(self) -> None:
        super().__init__(FORMULA)

    def handleMatch(  # type: ignore[override]
        self, m: re.Match[str], data: str
    ) -> tuple[Element | None, int | None, int | None]:
        block = m["block"] is not None
        tex = (m["block"] if block else m["inline"]).strip()
        if "\x02" in tex or not tex:
            return None, None, None  # inline code within, which another pattern has taken out already
        code = Element("code", {"class": "math-block" if block else "math-inline"})
        code.text = AtomicString(tex)
        return code, m.start(0), m.end(0)


class Whole(Preprocessor):
    """Keeps together what blocks would take apart: lays each `$$…$$` on one line, before a line of it can be taken for
    a heading, a rule or a quote, and hides the bar of each wikilink from tables."""

    _KEPT = re.compile(rf"{HIDDEN.pattern}|{WIKILINK}", re.DOTALL)

    def run(self, lines: list[str]) -> list[str]:
        text = "\n".join(lines)
        return self._KEPT.sub(self._whole, text).split("\n") if "$$" in text or "[[" in text else lines

    def _whole(self, found: re.Match[str]) -> str:
        if found["block"] is not None:
            return f"$${one_line(found)}$$"
        if found["label"] is not None:
            label = " ".join(found["label"].replace("\\|", BAR).replace("|", BAR).split())
            return f"[[{wikilink_target(found)}{BAR}{label}]]"
        return found[0]


class EmptyHeadings(Treeprocessor):
    """Leaves out headings that hold nothing, before the table of contents is made; `check` names their lines."""

    def run(self, root: Element) -> None:
        for parent in root.iter():
            for child in [one for one in parent if _HEADING_TAG.fullmatch(str(one.tag))]:
                if not len(child) and not (child.text or "").strip():
                    parent.remove(child)


class EmbedBlock(Block):  # type: ignore[misc]
    """`/// checklist | slug`: an empty element that names what belongs in its place."""

    ARGUMENT = None

    def on_create(self, parent: Element) -> Element:
        return SubElement(
            parent, "div", {"class": "embed", "data-embed": self.NAME, "data-ref": (self.argument or "").strip()}
        )

    def on_add(self, block: Element) -> Element:
        return Element("div")  # what is written inside goes nowhere: the site fills the place


class FigureBlock(Block):  # type: ignore[misc]
    """`/// figure | slug`, and below it the caption: a figure that `decorate` draws."""

    NAME = "figure"
    ARGUMENT = None

    def on_create(self, parent: Element) -> Element:
        figure = SubElement(parent, "figure", {"data-figure": (self.argument or "").strip()})
        SubElement(figure, "figcaption")
        return figure

    def on_add(self, block: Element) -> Element:
        return block[0]


class TabBlock(Block):  # type: ignore[misc]
    """`/// tab | Title`: neighbouring tabs form one group."""

    NAME = "tab"
    ARGUMENT = True

    def on_create(self, parent: Element) -> Element:
        group = parent[-1] if len(parent) else None
        if group is None or group.get("class") != "tabs" or (parent.tail or "").strip():
            self.tracker["tabs"] = self.tracker.get("tabs", 0) + 1
            group = SubElement(parent, "div", {"class": "tabs", "id": f"tabs-{self.tracker['tabs']}"})
        number = len(group) // 2 + 1
        title = SubElement(
            group, "p", {"class": "tab-title", "id": f"{(group.get('id') or '').replace('tabs', 'tab')}-{number}"}
        )
        title.text = AtomicString(self.argument)
        SubElement(group, "div", {"class": "tab"})
        return group

    def on_add(self, block: Element) -> Element:
        return block[-1]


class Syntax(BlocksExtension):  # type: ignore[misc]  # pymdownx ships no types
    """Adds all of the above to one Markdown object."""

    def __init__(self, title_of: TitleOf) -> None:
        super().__init__()
        self.title_of = title_of

    def extendMarkdown(self, md: Markdown) -> None:
        super().extendMarkdown(md)
        # Fenced code is taken out at 25; formulas and links become elements at 20, the table of contents is made at 5.
        md.preprocessors.register(Whole(), "whole", 24)
        md.treeprocessors.register(EmptyHeadings(), "empty-headings", 10)
        # Backticks have 190, escapes 180, footnotes and links 175 and below.
        md.inlinePatterns.register(Formulas(), "formulas", 185)
        md.inlinePatterns.register(Wikilinks(self.title_of), "wikilinks", 176)

    def extendMarkdownBlocks(self, md: Markdown, block_mgr: Any) -> None:
        block_mgr.register(TabBlock, {})
        block_mgr.register(FigureBlock, {})
        for kind in EMBED_KINDS:
            block_mgr.register(type(f"{kind.title()}Block", (EmbedBlock,), {"NAME": kind}), {})
