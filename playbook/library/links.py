"""Links between content files: what a relative link or `[[wikilink]]` means, and who links to whom.

Works on outlines, not on HTML. The library that is asked comes as an argument, so nothing here imports `content`.
"""

import posixpath
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Protocol
from urllib.parse import unquote

from playbook.library.articles import Article
from playbook.library.definition import Checklist
from playbook.library.outline import Mention


class Names(Protocol):
    """The part of a library that resolves names; see `content.Library`."""

    @property
    def articles(self) -> Mapping[str, Article]: ...
    @property
    def aliases(self) -> Mapping[str, str]: ...
    @property
    def checklists(self) -> Mapping[str, Checklist]: ...
    def article(self, ref: str) -> Article | None: ...
    def target(self, path: str) -> object | None: ...


@dataclass(frozen=True)
class Verdict:
    """What became of a link. `target`: what it leads to, an article, a checklist, an image and so on; None when it is
    broken or leaves the content folder. `error` and `warning`: what to mend, each None when nothing."""

    target: object | None = None
    error: str | None = None
    warning: str | None = None


@dataclass(frozen=True)
class LinkGraph:
    """`backlinks`: key → the other articles whose text links to it. `orphans`: articles to which no text, no `related`
    and no checklist leads."""

    backlinks: Mapping[str, tuple[Article, ...]]
    orphans: tuple[Article, ...]


#: Key → the article, and the keys of the other articles to which its text links, each once.
Targets = dict[str, tuple[Article, tuple[str, ...]]]


@dataclass
class LinkMemory:
    """What each article links to, under the names of one state of the library. In the next state with the same names,
    an article that did not change links to the same ones. Both are one value, so that no thread mixes them."""

    state: tuple[tuple[object, ...], Targets] = field(default_factory=lambda: ((), {}))


SOUND = Verdict()
#: Of whole addresses that a page shows; a link of another kind loses its address.
SCHEMES = frozenset({"http", "https", "mailto"})
#: A scheme ("https:", "mailto:") or another host ("//example.org").
_WHOLE_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:|//")


@lru_cache(maxsize=100_000)
def content_path(article_path: str, href: str) -> tuple[str, str] | None:
    """Return the content path and the anchor of a link in the file at `article_path`; None when it is a whole address
    ("https://…"). The path is empty when it leaves the content folder.

    >>> content_path("articles/train/lora.md", "../decide/x.md#cost")
    ('articles/decide/x.md', 'cost')
    """
    if _WHOLE_ADDRESS.match(href):
        return None
    rest, _, anchor = href.partition("#")
    anchor = unquote(anchor)
    if not rest:
        return (article_path if href else ""), anchor
    named = unquote(rest.partition("?")[0])
    path = posixpath.normpath(posixpath.join(posixpath.dirname(article_path), named))
    inside = bool(named) and not named.startswith("/") and not path.startswith("..")
    return (path if inside else ""), anchor


def judge(names: Names, article: Article, mention: Mention) -> Verdict:
    """Return where a link or image of `article` leads, and what is wrong with it."""
    if mention.kind == "wikilink":
        return _judge_wikilink(names, article, mention.href)
    if mention.kind == "image" and not mention.href:
        return SOUND  # its address is in a definition of its own, which is a link
    place = content_path(article.path, mention.href)
    if place is None:
        if mention.kind == "image":
            return Verdict(error=f"image {mention.href[:200]!r} is elsewhere; put the file into the content folder")
        if not mention.href.startswith("//") and mention.href.partition(":")[0].lower() not in SCHEMES:
            known = ", ".join(f"{scheme}:" for scheme in sorted(SCHEMES))
            return Verdict(error=f"link {mention.href[:200]!r} is not shown; an address begins with {known}")
        return SOUND
    path, anchor = place
    if not path:
        return Verdict(error=broken(mention.href, path))
    target = article if path == article.path else names.target(path)
    if target is None:
        return Verdict(error=broken(mention.href, path))
    return _judge_target(
        article, mention.href, anchor, target, named=path.removeprefix("articles/").removesuffix(".md")
    )


def broken(href: str, path: str) -> str:
    """Say that a relative link leads nowhere. `path`: the content path that it means, empty when it means none."""
    meant = f"no file {path!r} in the content folder" if path else "it leaves the content folder"
    return f"link {href[:200]!r} leads nowhere: {meant}; correct the relative path"


def link_graph(names: Names, memory: LinkMemory) -> LinkGraph:
    """Return the graph of a library's links; broken ones are left out. Updates `memory`."""
    known = (tuple(names.articles), tuple(names.aliases.items()))
    before = memory.state[1] if memory.state[0] == known else {}
    targets: Targets = {}
    sources: dict[str, list[Article]] = {}
    reached: set[str] = set()
    for article in names.articles.values():
        kept = before.get(article.key)
        if kept is None or kept[0] is not article:
            kept = article, _linked(names, article)
        targets[article.key] = kept
        for key in kept[1]:
            sources.setdefault(key, []).append(article)
        reached.update(found.key for ref in article.related if (found := names.article(ref)) and found is not article)
    for checklist in names.checklists.values():
        refs = [checklist.article, *(question.article for question in checklist.questions)]
        reached.update(found.key for ref in refs if ref and (found := names.article(ref)))
    reached |= sources.keys()
    memory.state = known, targets
    return LinkGraph(
        backlinks={key: tuple(found) for key, found in sources.items()},
        orphans=tuple(article for key, article in names.articles.items() if key not in reached),
    )


def _linked(names: Names, article: Article) -> tuple[str, ...]:
    found = (_target(names, article, mention) for mention in article.outline.mentions)
    keys = (target.key for target in found if isinstance(target, Article) and target is not article)
    return tuple(dict.fromkeys(keys))


def _target(names: Names, article: Article, mention: Mention) -> object | None:
    """Return what a link leads to, without a look at its anchor."""
    if mention.kind == "wikilink":
        return names.article(mention.href.partition("#")[0])
    place = content_path(article.path, mention.href)
    return names.target(place[0]) if place and place[0] else None


def _judge_wikilink(names: Names, article: Article, href: str) -> Verdict:
    name, _, anchor = href.partition("#")
    if not name and not anchor:
        return Verdict(error="a wikilink names nothing; write the slug of an article between [[ and ]]")
    target = names.article(name) if name else article
    if target is None:
        areas = [key for key in names.articles if key.rpartition("/")[2] == name]
        if len(areas) > 1:
            return Verdict(error=f"[[{href}]] could mean {' or '.join(areas)}; write the area too")
        return Verdict(
            error=f"[[{href[:200]}]] leads nowhere: no article has this slug; correct it, or write the article"
        )
    return _judge_target(article, f"[[{href}]]", anchor, target, named=name)


def _judge_target(article: Article, href: str, anchor: str, target: object, *, named: str) -> Verdict:
    """Check the anchor of a link, and whether it uses a former name. `named`: the name that the link uses."""
    if not isinstance(target, Article):
        return Verdict(target)
    error = warning = None
    if anchor and anchor not in target.outline.anchors and target.outline.refused is None:
        error = f"link {href[:200]!r} names a heading that {target.path} lacks; {_near(anchor, target.outline.anchors)}"
    if target is not article and named not in (target.key, target.slug):
        warning = f"link {href[:200]!r} uses a former name; the article is now {target.key}"
    return Verdict(target, error, warning)


def _near(anchor: str, anchors: Collection[str]) -> str:
    if not anchors:
        return "it has no headings; remove the anchor"
    shared = sorted(anchors, key=lambda known: (-len(set(known.split("-")) & set(anchor.split("-"))), known))
    return f"it has #{', #'.join(shared[:3])}"
