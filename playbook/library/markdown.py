"""Markdown of an article → safe HTML in parts, its headings and its links. Knows no address of the site.

Python-Markdown with `syntax` writes the HTML, `sanitise` keeps of it what is harmless, `decorate` draws what was kept.
Links to content files are turned into addresses on the way, by a function that the caller passes.
"""

import html
import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import markdown as python_markdown
from markdown.extensions.toc import slugify_unicode

from playbook.library.articles import Article
from playbook.library.blocks import ADMONITIONS
from playbook.library.check import check_article
from playbook.library.content import Library
from playbook.library.decorate import Html, Part, decorate, placeholder, split_parts
from playbook.library.images import Image
from playbook.library.limits import refuse_pathological
from playbook.library.links import judge
from playbook.library.outline import BAR, Heading
from playbook.library.problems import ContentError, ContentProblem
from playbook.library.sanitise import Clean, Link, ResolveLink, sanitise
from playbook.library.syntax import Syntax

__all__ = ["Heading", "Html", "Link", "Part", "Rendered", "Renderer", "ResolveLink", "render"]

#: Of HTML kept in memory: some 10,000 articles of ordinary length.
CACHED_CHARACTERS = 150_000_000

_EXTENSIONS = (
    "tables",
    "footnotes",
    "toc",
    "sane_lists",
    "pymdownx.highlight",
    "pymdownx.superfences",
    "pymdownx.blocks.admonition",
)
_ADMONITION_TYPES = [
    {"name": name, "title": "Sources disagree" if name == "disagree" else name.title()} for name in ADMONITIONS
]
_SETTINGS: dict[str, dict[str, Any]] = {
    "tables": {"use_align_attribute": True},
    "toc": {
        "permalink": "#",
        "permalink_title": "Link to this section",
        "toc_depth": "2-3",
        "slugify": slugify_unicode,
    },
    "pymdownx.highlight": {"guess_lang": False, "use_pygments": True, "pygments_lang_class": False},
    "pymdownx.superfences": {"disable_indented_code_blocks": True},
    "pymdownx.blocks.admonition": {"types": _ADMONITION_TYPES},
    "footnotes": {"BACKLINK_TITLE": "Back to reference {}"},
}


@dataclass(frozen=True)
class Rendered:
    """A rendered article. `parts`: pieces of safe HTML and the embeds between them, in order; `headings`: those of
    level 2 and 3; `links`: the links to content files; `problems`: what is wrong with the text, each with its line."""

    parts: tuple[Part, ...] = field(repr=False)
    headings: tuple[Heading, ...]
    links: tuple[Link, ...]
    problems: tuple[ContentProblem, ...]

    @cached_property
    def html(self) -> str:
        """All parts as one piece; an embed is an empty `<div class="embed" data-embed="…" data-ref="…">`."""
        return "\n".join(part.html if isinstance(part, Html) else placeholder(part) for part in self.parts)


@dataclass
class _Kept:
    """A page, the library for which it was made, and what it took from it beside the article itself."""

    page: Rendered
    library: Library | None
    used: tuple[object, ...]

    @property
    def characters(self) -> int:
        return sum(len(part.html) for part in self.page.parts if isinstance(part, Html))


class Renderer:
    """Renders articles and keeps the results by the digest of the file, as long as what they name stays the same."""

    def __init__(self) -> None:
        self._pages: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self._characters = 0

    def render(self, article: Article, resolve_link: ResolveLink, library: Library | None = None) -> Rendered:
        """Return the rendered article. Raises ContentError when its Markdown cannot be rendered.

        `resolve_link` must depend on nothing but the library: while that is the same object, a page is not looked at
        again.
        """
        key = article.path, article.digest
        kept = self._pages.get(key)
        if kept is not None and library is not None and kept.library is library:
            return kept.page
        used = _used(article, library)
        if kept is not None and kept.used == used and _links_hold(kept.page, resolve_link):
            kept.library = library
            return kept.page
        page = render(article, resolve_link, library)
        self._keep(key, _Kept(page, library, used))
        return page

    def _keep(self, key: tuple[str, str], kept: _Kept) -> None:
        """Keep a page, and let the oldest go beyond CACHED_CHARACTERS."""
        with self._lock:
            before = self._pages.pop(key, None)
            self._characters += kept.characters - (before.characters if before else 0)
            self._pages[key] = kept
            while self._characters > CACHED_CHARACTERS and len(self._pages) > 1:
                _, oldest = self._pages.popitem(last=False)
                self._characters -= oldest.characters


def render(article: Article, resolve_link: ResolveLink, library: Library | None = None) -> Rendered:
    """Render the body of `article`. Raises ContentError with the line of what cannot be rendered.

    `resolve_link` gets the content path of each relative link (`checklists/should-we-fine-tune.yaml`). `library` is
    what wikilinks, embeds, pictures and glossary terms are looked up in.
    """
    names = library or Library(Path())
    refuse_pathological(article.body, article.body_line)
    raw, headings = _convert(article, names)
    clean = sanitise(raw, article, resolve_link, lambda name: _path_of(names, name))
    decorated = decorate(clean.html, tuple(names.glossary.values()), _images(names, clean), names.figures)
    return Rendered(
        parts=split_parts(decorated, names.embeddable()),
        headings=headings,
        links=tuple(clean.links.values()),
        problems=_problems(article, library, clean),
    )


def _convert(article: Article, library: Library) -> tuple[str, tuple[Heading, ...]]:
    syntax = Syntax(lambda name: found.title if (found := library.article(name)) else None)
    parser = python_markdown.Markdown(extensions=[*_EXTENSIONS, syntax], extension_configs=_SETTINGS)
    try:
        raw = parser.convert(article.body)
    except RecursionError as error:
        raise ContentError((article.body_line, "nested too deeply to render; flatten lists and quotes")) from error
    except Exception as error:
        # A fault of the parser on odd text must stay with this article: the page says so, the rest stays up.
        message = f"the Markdown parser fails on it ({type(error).__name__}: {str(error)[:200]}); simplify the text"
        raise ContentError((article.body_line, message)) from error
    return raw.replace(BAR, "|"), tuple(_headings(getattr(parser, "toc_tokens", [])))


def _headings(tokens: list[Any]) -> Iterator[Heading]:
    for token in tokens:
        if title := html.unescape(token["name"]).replace(BAR, "|").strip():
            yield Heading(level=token["level"], id=token["id"], title=title)
        yield from _headings(token["children"])


def _path_of(library: Library, name: str) -> str | None:
    found = library.article(name)
    return found.path if found else None


def _images(library: Library, clean: Clean) -> dict[str, Image]:
    return {
        link.url: library.images[link.path]
        for link in clean.images.values()
        if link.url and link.path in library.images
    }


def _problems(article: Article, library: Library | None, clean: Clean) -> tuple[ContentProblem, ...]:
    """Return what the check finds, and the links that were dropped and that its scan does not see."""
    if library is None:
        return tuple(clean.problems)
    checked = check_article(library, article)
    lines = {problem.line for problem in checked}
    return (*checked, *(problem for problem in clean.problems if problem.line not in lines))


def _used(article: Article, library: Library | None) -> tuple[object, ...]:
    """Return what a page takes from the library: the names it links to, the problems it shows, and the glossary."""
    if library is None:
        return ()
    targets = (judge(library, article, mention).target for mention in article.outline.mentions)
    return (
        tuple((target.key, target.title) if isinstance(target, Article) else target for target in targets),
        check_article(library, article),
        tuple(library.glossary.values()),
        tuple(library.figures.get(block.argument) for block in article.outline.blocks if block.kind == "figure"),
    )


def _links_hold(page: Rendered, resolve_link: ResolveLink) -> bool:
    return all(resolve_link(link.path) == link.url for link in page.links if link.path and link.url != "")
