"""The search index: documents in, hits out. A cache of files and rows, never a second truth.

Each process of the site keeps its own index in memory. That is the simplest that is right: there is no index file to
lock, to migrate, to back up or to find half-written after a crash, and a new process is in step as soon as it has read
what there is (a few seconds for 10,000 articles). What changes is replaced source by source, see `replace`.

Knows no address of the site and no database: `web.search` brings the rows, and turns keys into links.
"""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tantivy import DocAddress, Index, Occur, Query, Searcher
from tantivy import Document as IndexedDocument

from playbook.library.search_documents import ARTICLE, PUBLIC, Document
from playbook.library.search_query import (
    PLAIN,
    STEM,
    Care,
    Filters,
    build_nearest_title,
    build_query,
    build_schema,
    filter_queries,
)
from playbook.library.search_snippet import Marker, Part
from playbook.library.search_words import STEMS, WORDS, joined_compounds, read_words

_WRITER_BYTES = 50_000_000
_CLEARING_SECONDS = 0.005
#: Nobody pages this far, and every result before the page has to be ranked.
_MAX_OFFSET = 2_000


@dataclass(frozen=True)
class Hit:
    """One result. `key` with `kind` names the page; the parts are marked where the query's words stand."""

    kind: str
    key: str
    title: tuple[Part, ...]
    context: str
    snippet: tuple[Part, ...]
    area: str
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Results:
    """`query` is the text that was looked for; `care` says how loosely its words had to be taken."""

    query: str
    care: Care
    total: int
    hits: tuple[Hit, ...]


class SearchIndex:
    """Safe to share between threads: writers take turns, readers see the index as it was when they began."""

    def __init__(self) -> None:
        self._schema = build_schema()
        self._index = Index(self._schema)
        self._index.register_tokenizer(STEM, STEMS)
        self._index.register_tokenizer(PLAIN, WORDS)
        self._writer = self._index.writer(heap_size=_WRITER_BYTES, num_threads=1)
        self._lock = threading.Lock()

    def replace(self, changed: Mapping[str, Sequence[Document]]) -> None:
        """Take the documents of each named source in place of those it had. No documents: the source is gone."""
        if not changed:
            return
        with self._lock:
            for source, documents in changed.items():
                self._writer.delete_documents_by_term("source", source)
                for document in documents:
                    self._writer.add_document(_indexed(source, document))
            self._writer.commit()
            # tantivy clears files away behind the commit under a lock that a reader waits for in steps of 100 ms.
            time.sleep(_CLEARING_SECONDS)
            self._index.reload()

    def search(self, query: str, filters: Filters, *, limit: int = 20, offset: int = 0) -> Results:
        """Return the results `offset` to `offset + limit`, the best first. Any string is a query.

        Only documents of `filters.groups` are found, counted and cited.
        """
        words = read_words(query)
        if not words.words:
            return Results(words.text, Care.EXACT, 0, ())
        searcher = self._index.searcher()
        for care in Care:
            built = build_query(self._schema, words, filters, care)
            found = searcher.search(built, limit=limit, offset=min(offset, _MAX_OFFSET))
            total = int(found.count)  # type: ignore[attr-defined]  # missing in tantivy's stubs
            if total:
                break
        marker = Marker(words, care)
        hits = tuple(_hit(searcher, address, marker) for _, address in found.hits)
        return Results(words.text, care, total, hits)

    def nearest(self, query: str, filters: Filters, *, limit: int = 3) -> tuple[Hit, ...]:
        """Return what is titled most like the query; for "did you mean" where nothing was found."""
        words = read_words(query)
        if not words.words:
            return ()
        searcher = self._index.searcher()
        found = searcher.search(build_nearest_title(self._schema, words, filters), limit=limit, count=False)
        return tuple(_hit(searcher, address, Marker(words, Care.TYPO)) for _, address in found.hits)

    def related(self, article_key: str, *, limit: int = 3) -> tuple[str, ...]:
        """Return the keys of the articles that share the most telling words with one, the nearest first."""
        searcher = self._index.searcher()
        itself = Query.term_query(self._schema, "id", f"{ARTICLE}:{article_key}")
        place = searcher.search(itself, limit=1, count=False).hits
        if not place:
            return ()
        alike = Query.more_like_this_query(
            place[0][1],
            min_doc_frequency=2,
            max_doc_frequency=max(searcher.num_docs // 4, 5),
            min_term_frequency=1,
            min_word_length=3,
            max_query_terms=30,
        )
        articles = filter_queries(self._schema, Filters(groups=(PUBLIC,), kind=ARTICLE))
        query = Query.boolean_query(
            [(Occur.Must, alike), (Occur.MustNot, itself), *((Occur.Must, part) for part in articles)]
        )
        found = searcher.search(query, limit=limit, count=False)
        return tuple(_name(searcher, address)[1] for _, address in found.hits)

    def kinds(self, results: Results, filters: Filters) -> dict[str, int]:
        """Count what `search` found by kind, the most frequent first; the kind that it was asked for aside."""
        words = read_words(results.query)
        if not words.words:
            return {}
        query = build_query(self._schema, words, replace(filters, kind=""), results.care)
        counted = self._index.searcher().aggregate(query, {"kinds": {"terms": {"field": "kind", "size": 30}}})
        return {bucket["key"]: bucket["doc_count"] for bucket in counted["kinds"]["buckets"]}


def _indexed(source: str, document: Document) -> IndexedDocument:
    text = " ".join((document.title, document.labels, document.summary, document.text))
    return IndexedDocument(
        id=f"{document.kind}:{document.key}",
        source=source,
        kind=document.kind,
        group=document.group,
        area=document.area,
        tag=list(document.tags),
        title=document.title,
        whole_title=" ".join(WORDS.analyze(document.title)),
        title_words=document.title,
        context=document.context,
        summary=document.summary,
        text=document.text,
        labels=document.labels,
        words=text,
        joined=joined_compounds(text),
    )


def _name(searcher: Searcher, address: DocAddress) -> tuple[str, str]:
    kind, _, key = str(searcher.doc(address).get_first("id")).partition(":")
    return kind, key


def _hit(searcher: Searcher, address: DocAddress, marker: Marker) -> Hit:
    stored = searcher.doc(address)
    kind, _, key = str(stored.get_first("id")).partition(":")
    return Hit(
        kind=kind,
        key=key,
        title=marker.mark(str(stored.get_first("title"))),
        context=str(stored.get_first("context") or ""),
        snippet=marker.snippet(str(stored.get_first("summary") or ""), str(stored.get_first("text") or "")),
        area=str(stored.get_first("area") or ""),
        tags=tuple(str(tag) for tag in stored.get_all("tag")),
    )
