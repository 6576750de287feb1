"""What pages ask of the whole library, worked out once for each state of it: order and owners.

Between `library.content`, which reads files, and the views. A view never walks through all articles.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from playbook.library.articles import Article
from playbook.library.content import Library
from playbook.web.common.content import library


@dataclass(frozen=True)
class Neighbours:
    previous: Article | None
    next: Article | None


@dataclass(frozen=True)
class Catalogue:
    """The library with its derived tables. `owners` has owners in small letters."""

    content: Library
    neighbours: Mapping[str, Neighbours]
    owners: Mapping[str, tuple[Article, ...]]

    def owned_by(self, names: Collection[str]) -> tuple[Article, ...]:
        """Return the articles whose owner is one of `names`, in small letters."""
        return tuple(article for name in sorted(names) for article in self.owners.get(name, ()))

    def owned_by_nobody(self, known: Collection[str]) -> tuple[Article, ...]:
        """Return the articles whose owner is none of `known`, in small letters."""
        return tuple(article for name, found in self.owners.items() if name not in known for article in found)


_kept: Catalogue | None = None


def catalogue() -> Catalogue:
    """Return the catalogue of the current library."""
    global _kept
    content, kept = library(), _kept
    if kept is None or kept.content is not content:
        # Two threads may both build it; either result is right, and neither waits.
        kept = _kept = build_catalogue(content)
    return kept


def build_catalogue(content: Library) -> Catalogue:
    articles = list(content.articles.values())
    owners: dict[str, list[Article]] = {}
    neighbours = {}
    for place, article in enumerate(articles):
        neighbours[article.key] = Neighbours(
            previous=articles[place - 1] if place else None,
            next=articles[place + 1] if place + 1 < len(articles) else None,
        )
        owners.setdefault(article.owner.casefold(), []).append(article)
    return Catalogue(
        content=content,
        neighbours=neighbours,
        owners={owner: tuple(found) for owner, found in owners.items()},
    )
