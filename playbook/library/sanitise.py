"""HTML that an author could have written in any way → HTML that executes nothing, with its links resolved.

nh3 (Rust, html5ever) parses as a browser does and keeps what is on the lists below: no script, no event handler, no
inline style, no `javascript:` or `data:` address, no form, no SVG and MathML, and classes only from closed sets.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import nh3

from playbook.library.articles import Article
from playbook.library.blocks import ADMONITIONS
from playbook.library.links import SCHEMES, broken, content_path
from playbook.library.problems import ContentProblem
from playbook.library.syntax import WIKI_SCHEME

#: Content path, without anchor, → address; None when no such file is served.
ResolveLink = Callable[[str], str | None]
#: Name in a wikilink, without anchor, → content path; None when there is no such article.
ResolveName = Callable[[str], str | None]

_TEXT_TAGS = {"a", "abbr", "br", "code", "del", "em", "img", "kbd", "s", "small", "span", "strong", "sub", "sup"}
_BLOCK_TAGS = {"blockquote", "div", "figcaption", "figure", "h2", "h3", "h4", "h5", "h6", "hr", "p", "pre"}
_LIST_TAGS = {"dd", "dl", "dt", "li", "ol", "ul"}
_TABLE_TAGS = {"table", "tbody", "td", "th", "thead", "tr"}
SHOWN_TAGS = _TEXT_TAGS | _BLOCK_TAGS | _LIST_TAGS | _TABLE_TAGS
#: Tag → the attributes that it may have.
SHOWN_ATTRIBUTES = {
    "a": {"href", "title", "class"},
    "abbr": {"title"},
    "code": {"class"},
    "div": {"class", "data-embed", "data-ref"},
    "figure": {"data-figure"},
    "h2": {"id"},
    "h3": {"id"},
    "h4": {"id"},
    "h5": {"id"},
    "h6": {"id"},
    "img": {"src", "alt", "title"},
    "li": {"id"},
    "ol": {"start"},
    "p": {"class", "id"},
    "span": {"class"},
    "sup": {"id"},
    "td": {"align"},
    "th": {"align", "scope"},
}
_CLASSES = {
    "a": {"headerlink", "footnote-ref", "footnote-backref"},
    "code": {"math-inline", "math-block"},
    "div": {"admonition", "highlight", "footnote", "embed", "tabs", "tab", *ADMONITIONS},
    "p": {"admonition-title", "tab-title"},
}
#: Pygments names its tokens with one to three characters ("k", "nf", "gp").
_TOKEN_CLASS = re.compile(r"[a-z][a-z0-9]{0,2}")
_ID = re.compile(r"[\w-][\w:.-]{0,1000}")


@dataclass(frozen=True)
class Link:
    """A link to a content file: what the article says, the file it means, and its address (None when broken)."""

    href: str
    path: str
    url: str | None


@dataclass
class Clean:
    """Safe HTML. `links` and `images` are the relative ones of the text, each once."""

    html: str = ""
    links: dict[str, Link] = field(default_factory=dict)
    images: dict[str, Link] = field(default_factory=dict)
    problems: list[ContentProblem] = field(default_factory=list)


def sanitise(raw: str, article: Article, resolve_link: ResolveLink, resolve_name: ResolveName) -> Clean:
    """Return what may be shown of `raw`, the HTML that Markdown made of `article`."""
    links = _Links(article, resolve_link, resolve_name)
    clean = links.found
    clean.html = nh3.clean(
        raw,
        tags=SHOWN_TAGS,
        clean_content_tags={"script", "style", "template", "noscript", "iframe", "svg", "math", "title"},
        attributes=SHOWN_ATTRIBUTES,
        attribute_filter=links.filter_attribute,
        url_schemes={*SCHEMES, WIKI_SCHEME},
        link_rel="noopener noreferrer",
        strip_comments=True,
        set_tag_attribute_values={"pre": {"tabindex": "0"}},
    )
    clean.problems.extend(links.problems())
    return clean


def kept_classes(tag: str, value: str) -> str | None:
    """Return the classes that `tag` may have; None when there are none."""
    allowed = _CLASSES.get(tag, set())
    kept = [name for name in value.split() if name in allowed or (tag == "span" and _TOKEN_CLASS.fullmatch(name))]
    return " ".join(kept) or None


class _Links:
    """Filters attributes while nh3 cleans, and rewrites links to content files on the way."""

    def __init__(self, article: Article, resolve_link: ResolveLink, resolve_name: ResolveName) -> None:
        self.article = article
        self.resolve_link = resolve_link
        self.resolve_name = resolve_name
        self.found = Clean()

    def filter_attribute(self, tag: str, attribute: str, value: str) -> str | None:
        """Return the value to keep, or None to drop the attribute."""
        if attribute == "class":
            return kept_classes(tag, value)
        if attribute == "id":
            return value if _ID.fullmatch(value) else None
        if attribute == "src":
            return self.picture(value)
        if attribute == "href":
            return self.address(value)
        return value

    def picture(self, src: str) -> str | None:
        """Return the address of a picture; those of other sites are dropped."""
        place = content_path(self.article.path, src)
        path = place[0] if place else ""
        url = self.resolve_link(path) if path else None
        self.found.images[src] = Link(src, path, url)
        return url

    def address(self, href: str) -> str | None:
        """Return the address of a link. Whole addresses and anchors stay (nh3 judges the scheme)."""
        if href[: len(WIKI_SCHEME) + 1].lower() == f"{WIKI_SCHEME}:":
            return self.wikilink(href)
        place = content_path(self.article.path, href)
        if place is None or href.startswith("#"):
            return href
        path, anchor = place
        url = self.resolve_link(path) if path else None
        self.found.links[href] = Link(href, path, url)
        return _with_anchor(url, anchor)

    def wikilink(self, href: str) -> str | None:
        written = href[len(WIKI_SCHEME) + 1 :]
        name, _, anchor = written.partition("#")
        path = self.resolve_name(name) if name else self.article.path
        url = ("" if not name else self.resolve_link(path)) if path else None
        self.found.links[f"[[{written}]]"] = Link(f"[[{written}]]", path or "", url)
        return _with_anchor(url, anchor)

    def problems(self) -> Iterator[ContentProblem]:
        """Yield the links that were dropped. What else may be wrong with a link, `check` finds without rendering."""
        for link in (*self.found.links.values(), *self.found.images.values()):
            if link.url is None:
                if link.href.startswith("[["):
                    message = f"{link.href[:200]} leads nowhere, or could mean several articles; correct it"
                else:
                    message = broken(link.href, link.path)
                written = link.href.removesuffix("]]")
                line = self.article.text.count("\n", 0, max(self.article.text.find(written), 0)) + 1
                yield ContentProblem(path=self.article.path, line=line, message=message)


def _with_anchor(url: str | None, anchor: str) -> str | None:
    return f"{url}#{anchor}" if url is not None and anchor else url or None
