"""The review queue: which articles need their owner, most urgent first. Pure; no request and no query."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date

from playbook.library.articles import Article, Freshness
from playbook.web.wiki.catalogue import Catalogue
from playbook.web.wiki.flags import Flags, OpenFlag

#: Rows that one page shows; the numbers above it count them all.
SHOWN = 200


@dataclass(frozen=True)
class Review:
    """One article in the queue. `days` is how long it is overdue, below zero how long there is left."""

    article: Article
    freshness: Freshness
    days: int
    flags: tuple[OpenFlag, ...]

    @property
    def days_left(self) -> int:
        return -self.days


@dataclass(frozen=True)
class ReviewQueue:
    """`rows`: those shown, flagged and overdue first. `gone`: flags on articles whose file is gone."""

    rows: tuple[Review, ...]
    hidden: int
    overdue: int
    due_soon: int
    flagged: int
    fresh: int
    gone: tuple[tuple[str, OpenFlag], ...]


def review_of(article: Article, flags: Flags, *, today: date) -> Review:
    return Review(
        article=article,
        freshness=article.freshness(today),
        days=(today - article.due).days,
        flags=flags.get(article.key, ()),
    )


def waits(review: Review) -> bool:
    """True when the article needs its owner now."""
    return bool(review.flags) or review.freshness is Freshness.OVERDUE


def review_queue(shelf: Catalogue, flags: Flags, *, today: date, owners: Collection[str] | None = None) -> ReviewQueue:
    """Return the queue of everybody, or of some owners (in small letters): overdue, flagged, then due soon."""
    articles = shelf.content.articles.values() if owners is None else shelf.owned_by(owners)
    reviews = [review_of(article, flags, today=today) for article in articles]
    waiting = [review for review in reviews if review.flags or review.freshness is not Freshness.FRESH]
    waiting.sort(key=lambda review: (review.freshness is not Freshness.OVERDUE, not review.flags, -review.days))
    return ReviewQueue(
        rows=tuple(waiting[:SHOWN]),
        hidden=max(0, len(waiting) - SHOWN),
        overdue=sum(review.freshness is Freshness.OVERDUE for review in reviews),
        due_soon=sum(review.freshness is Freshness.DUE_SOON for review in reviews),
        flagged=sum(bool(review.flags) for review in reviews),
        fresh=sum(review.freshness is Freshness.FRESH for review in reviews),
        gone=tuple((key, flag) for key, found in flags.items() if key not in shelf.content.articles for flag in found),
    )
