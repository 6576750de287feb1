"""Sanitised HTML → what the page shows: formulas drawn, tabs that work, pictures with their size, terms marked.

The last step of rendering, on markup that `sanitise` has let through; whatever is added here is written by us. In
sanitised HTML `<` of the text is `&lt;` and attributes stand in double quotes in the order in which they were written,
so what these expressions find is markup.
"""

import html
import itertools
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from playbook.library.embeds import EMBED_KINDS, Embed, EmbedKind, parse_embed
from playbook.library.figures import Figure
from playbook.library.formulas import FormulaError, to_mathml
from playbook.library.glossary import mark_terms
from playbook.library.images import Image
from playbook.library.terms import Term

_FORMULA = re.compile(r'<code class="math-(?P<kind>inline|block)">(?P<tex>[^<]*)</code>')
_TAB = re.compile(r'<p class="tab-title" id="tab-(?P<group>\d+)-(?P<number>\d+)">(?P<title>[^<]*)</p>')
_EMBED = re.compile(
    rf'<div class="embed" data-embed="(?P<kind>{"|".join(EMBED_KINDS)})" data-ref="(?P<argument>[^"]*)"></div>'
)
_FIGURE = re.compile(r'<figure data-figure="(?P<slug>[^"]*)">')
_IMAGE = re.compile(r'<img(?P<before>(?: [a-z]+="[^"]*")*?) src="(?P<src>[^"]*)"')


@dataclass(frozen=True)
class Html:
    """A piece of safe HTML. Pieces are balanced together, not one by one: an embed may stand inside a tab."""

    html: str
    kind: Literal["html"] = "html"


Part = Html | Embed


def decorate(
    clean: str,
    terms: tuple[Term, ...],
    images: Mapping[str, Image],
    figures: Mapping[str, Figure] = MappingProxyType({}),
) -> str:
    """Return the HTML with all that readers see in it. `images`: address → picture; `figures`: slug → drawing."""
    labelled = (
        clean.replace("<table>", '<div class="table-scroll" tabindex="0"><table>')
        .replace("</table>", "</table></div>")
        .replace('<a class="headerlink"', '<a aria-label="Link to this section" class="headerlink"')
    )
    if "math-" in labelled:
        labelled = _FORMULA.sub(_formula, labelled)
    if "<img" in labelled:
        labelled = _IMAGE.sub(lambda found: _image(found, images), labelled)
    marked = mark_terms(labelled, terms)
    if "<figure" in marked:
        numbers = itertools.count(1)  # terms were marked before: a drawing has no room for their definitions
        marked = _FIGURE.sub(lambda found: _drawing(found, figures, next(numbers)), marked)
    return _TAB.sub(_tab, marked)


def split_parts(decorated: str, known: Mapping[EmbedKind, Collection[str]]) -> tuple[Part, ...]:
    """Return the HTML before, between and after the embeds, and the embeds. One that names nothing is left out."""
    return tuple(_parts(decorated, known))


def placeholder(embed: Embed) -> str:
    """Return an empty element that marks the place of an embed in one piece of HTML."""
    ref = html.escape(f"{embed.ref}?{embed.query}" if embed.query else embed.ref)
    return f'<div class="embed" data-embed="{embed.kind}" data-ref="{ref}"></div>'


def _parts(decorated: str, known: Mapping[EmbedKind, Collection[str]]) -> Iterator[Part]:
    place = 0
    for found in _EMBED.finditer(decorated):
        if piece := decorated[place : found.start()].strip("\n"):
            yield Html(piece)
        place = found.end()
        try:
            yield parse_embed(found["kind"], html.unescape(found["argument"]), known)
        except ValueError:
            continue  # `check` names the line
    if piece := decorated[place:].strip("\n"):
        yield Html(piece)


def _formula(found: re.Match[str]) -> str:
    block = found["kind"] == "block"
    try:
        return to_mathml(html.unescape(found["tex"]), block=block)
    except FormulaError:
        return f"<code>{found['tex']}</code>"  # `check` names the line


def _image(found: re.Match[str], images: Mapping[str, Image]) -> str:
    image = images.get(html.unescape(found["src"]))
    if image is None or image.width is None:
        return found[0]
    return f'{found[0]} width="{image.width}" height="{image.height}" loading="lazy"'


def _drawing(found: re.Match[str], figures: Mapping[str, Figure], number: int) -> str:
    figure = figures.get(html.unescape(found["slug"]))
    return f'<figure class="drawing">{figure.markup(f"figure-{number}") if figure else ""}'  # `check` names the line


def _tab(found: re.Match[str]) -> str:
    """Write a radio button and its label before the panel that follows: `:checked + label + .tab` shows it."""
    group, number, title = found["group"], found["number"], found["title"]
    checked = " checked" if number == "1" else ""
    return (
        f'<input class="tab-choice" type="radio" name="tabs-{group}" id="tab-{group}-{number}"{checked}>'
        f'<label class="tab-title" for="tab-{group}-{number}">{title}</label>'
    )
