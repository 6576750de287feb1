"""Search at 10,000 articles: time to build, to answer, and to take over one changed article.

`python -m tests.benchmarks search` prints the rows. The corpus is generated: words drawn as natural text draws
them (Zipf's law), 400 to 800 an article, four headings each, the same for the same seed.
"""

import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from itertools import accumulate
from pathlib import Path

from playbook.library.articles import Area, Article, read_article
from playbook.library.content import Library
from playbook.library.search import SearchIndex
from playbook.library.search_documents import PUBLIC, Fingerprints, changed_documents
from playbook.library.search_query import Filters
from tests.benchmarks.table import Row

ARTICLES = 10_000
SEED = 20_261_124
_VOCABULARY = 20_000
_AREAS = ("start-here", "decide", "data", "train", "evaluate", "operate")
_EVERYBODY = Filters(groups=(PUBLIC, "use_case:1", "use_case:2"))


class Corpus:
    """Generates articles. `words` are those that queries are made of, the most frequent first."""

    def __init__(self, seed: int = SEED) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a corpus, not a secret
        self.words = self._vocabulary()
        self._weights = list(accumulate(1 / (rank + 1) for rank in range(_VOCABULARY)))

    def _vocabulary(self) -> list[str]:
        begins = ("tr", "l", "pr", "m", "d", "str", "c", "b", "f", "gr", "n", "s")
        vowels, ends = ("a", "e", "i", "o", "u"), ("n", "r", "l", "t", "m", "st", "ck")
        found: dict[str, None] = {}
        while len(found) < _VOCABULARY:
            syllables = self._random.choices((2, 3, 4), (3, 5, 2))[0]
            parts = [
                self._random.choice(begins) + self._random.choice(vowels) + self._random.choice(ends)
                for _ in range(syllables)
            ]
            found["".join(parts)[:14]] = None
        return list(found)

    def text(self, count: int) -> str:
        return " ".join(self._random.choices(self.words, cum_weights=self._weights, k=count))

    def article(self, number: int) -> Article:
        area = _AREAS[number % len(_AREAS)]
        parts = [f"## {self.text(3).capitalize()}\n\n{self._paragraphs()}" for _ in range(4)]
        front = f"title: {self.text(4).capitalize()} {number}\nsummary: {self.text(14).capitalize()}.\nowner: bench\n"
        text = f"---\n{front}reviewed: {date(2026, 11, 1)}\n---\n{self._paragraphs()}\n" + "\n\n".join(parts)
        return read_article(f"articles/{area}/article-{number}.md", text)

    def _paragraphs(self) -> str:
        return "\n\n".join(f"{self.text(self._random.randint(40, 80)).capitalize()}." for _ in range(2))

    def queries(self, count: int) -> Iterator[str]:
        """Yield what people type: one to four words, one in three cut off while being typed, one in ten mistyped."""
        for _ in range(count):
            words = [
                self.words[min(int(self._random.expovariate(1 / 900)), _VOCABULARY - 1)] for _ in range(self._size())
            ]
            if self._random.random() < 1 / 3:
                words[-1] = words[-1][: self._random.randint(1, len(words[-1]))]
            elif self._random.random() < 0.1:
                place = self._random.randrange(1, len(words[0]) - 1)
                words[0] = words[0][:place] + words[0][place + 1 :]
            yield " ".join(words)

    def _size(self) -> int:
        return self._random.choices((1, 2, 3, 4), (4, 4, 2, 1))[0]


def measure(
    *, articles: int = ARTICLES, queries: int = 1_000, changes: int = 40
) -> tuple[list[Row], dict[str, object]]:
    """Return the rows, and nothing else worth keeping."""
    corpus = Corpus()
    made = {article.key: article for article in (corpus.article(number) for number in range(articles))}
    known: Fingerprints = {}
    index = SearchIndex()
    gc.collect()
    started = time.perf_counter()
    changed, known = changed_documents(_library(made), known)
    index.replace(changed)
    build_seconds = time.perf_counter() - started

    asked = list(corpus.queries(queries))
    for query in asked[:50]:
        index.search(query, _EVERYBODY, limit=12)
    searches = [_milliseconds(partial(index.search, query, _EVERYBODY, limit=12)) for query in asked]
    related = [_milliseconds(partial(index.related, key, limit=3)) for key in list(made)[:200]]

    reindexed = []
    for number in range(changes):
        article = corpus.article(number * (articles // changes))
        made[article.key] = article

        def one_change() -> None:
            nonlocal known
            changed, known = changed_documents(_library(made), known)
            index.replace(changed)

        reindexed.append(_milliseconds(one_change))
    rows = [
        Row(f"search: build the index of {articles:,} articles", build_seconds, "s"),
        Row(f"search: median of {queries:,} queries", statistics.median(searches), "ms"),
        Row(f"search: p95 of {queries:,} queries", _percentile(searches, 95), "ms", at_most=10),
        Row(f"search: p99 of {queries:,} queries", _percentile(searches, 99), "ms"),
        Row("search: related articles, p95", _percentile(related, 95), "ms"),
        Row(f"search: re-index of one change, p95 of {changes}", _percentile(reindexed, 95), "ms", at_most=100),
        Row(f"search: re-index of one change, slowest of {changes}", max(reindexed), "ms"),
    ]
    return rows, {}


def _library(articles: dict[str, Article]) -> Library:
    areas = tuple(Area(slug=slug, title=slug.capitalize(), summary="Generated.", articles=()) for slug in _AREAS)
    return Library(content_dir=Path("generated"), areas=areas, articles=articles)


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1_000


def _percentile(values: list[float], percent: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
