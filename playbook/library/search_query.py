"""The words of a query → a tantivy query: which documents match, and how well. No query string is ever parsed.

All words must match, each in any field. Only when nothing does, one typo a word is forgiven; only when nothing does
then, one word in three may be missing. So a right query is never drowned by guesses.
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import IntEnum

from tantivy import Occur, Query, Schema, SchemaBuilder

from playbook.library.search_documents import HEADING
from playbook.library.search_words import Word, Words

#: Raw fields hold one exact value, the `STEM` fields words without their ending, the `PLAIN` fields words as written.
RAW, STEM, PLAIN = "raw", "playbook_stem", "playbook_plain"

#: How much a word counts by where it stands.
_STEM_FIELDS = {"title": 6.0, "labels": 3.0, "summary": 2.0, "joined": 2.0, "context": 1.0, "text": 1.0}
_TITLE_PREFIX, _PREFIX, _TITLE_TYPO, _TYPO = 8.0, 1.0, 4.0, 0.5
_WHOLE_TITLE, _TITLE_BEGINS, _TITLE_PHRASE, _TEXT_PHRASE = 30.0, 15.0, 6.0, 3.0
#: Small: it decides between equals. An article explains; a heading of it leads to the same page.
_KINDS = {"article": 6.0, "command": 3.0, "term": 2.0, "checklist": 2.0, "use_case": 1.0}
#: Letters from which a beginning, a typo, and a typo in a beginning are looked for: shorter ones match anything.
MIN_PREFIX, MIN_TYPO, MIN_PREFIX_TYPO = 3, 4, 5
#: Letters from which two typos still leave the word: "zebra" is two letters from "zero".
MIN_TWO_TYPOS = 8


class Care(IntEnum):
    """How exactly the words are taken, in the order in which it is tried."""

    EXACT = 0
    TYPO = 1
    SOME = 2


@dataclass(frozen=True)
class Filters:
    """What a result must be; "" means any. `groups`: a result belongs to one of them."""

    groups: Collection[str]
    kind: str = ""
    area: str = ""
    tag: str = ""


def build_schema() -> Schema:
    """Return the fields of the index. Only what is shown is stored."""
    builder = SchemaBuilder()
    for name, stored in (("id", True), ("source", False), ("area", True), ("tag", True), ("group", False)):
        builder.add_text_field(name, stored=stored, tokenizer_name=RAW, index_option="basic")
    builder.add_text_field("kind", stored=True, fast=True, tokenizer_name=RAW, index_option="basic")
    builder.add_text_field("whole_title", stored=False, tokenizer_name=RAW, index_option="basic")
    for name in _STEM_FIELDS:
        stored = name not in ("labels", "joined")
        option = "position" if name in ("title", "text") else "freq"
        builder.add_text_field(name, stored=stored, tokenizer_name=STEM, index_option=option)
    for name in ("title_words", "words"):
        builder.add_text_field(name, stored=False, tokenizer_name=PLAIN, index_option="basic")
    return builder.build()


def build_query(schema: Schema, words: Words, filters: Filters, care: Care) -> Query:
    """Return the query for `words`, of which there must be one at least."""
    asked = [_matches(schema, word, care) for word in words.asked]
    missing = len(asked) // 3 if care is Care.SOME else 0
    parts = [
        (Occur.Must, Query.boolean_query([(Occur.Should, one) for one in asked], len(asked) - missing)),
        *((Occur.Must, part) for part in filter_queries(schema, filters)),
        *((Occur.Should, part) for part in _better(schema, words, care)),
        (Occur.MustNot, _heading_whose_title_says_nothing(schema, words, care)),
    ]
    return Query.boolean_query(parts)


def build_nearest_title(schema: Schema, words: Words, filters: Filters) -> Query:
    """Return the query for titles that look like the words: any of them, two typos in each long one."""
    near = [
        Query.fuzzy_term_query(
            schema, "title_words", word.text, distance=1 + (len(word.text) >= MIN_TWO_TYPOS), prefix=not word.whole
        )
        for word in words.asked
        if len(word.text) >= MIN_TYPO
    ]
    if not near:
        return Query.empty_query()
    parts = [(Occur.Must, Query.boolean_query([(Occur.Should, one) for one in near], 1))]
    return Query.boolean_query([*parts, *((Occur.Must, part) for part in filter_queries(schema, filters))])


def filter_queries(schema: Schema, filters: Filters) -> list[Query]:
    """Return one query for each filter; they decide what matches and count nothing."""
    chosen = [Query.term_set_query(schema, "group", sorted(filters.groups))]
    for field, value in (("kind", filters.kind), ("area", filters.area), ("tag", filters.tag)):
        if value:
            chosen.append(Query.term_query(schema, field, value))
    return [Query.const_score_query(query, 0.0) for query in chosen]


def _matches(schema: Schema, word: Word, care: Care) -> Query:
    """The best of the ways in which one word can match."""
    ways = [
        Query.boost_query(Query.term_query(schema, field, word.stem), boost) for field, boost in _STEM_FIELDS.items()
    ]
    if not word.whole:
        ways.append(_begins(schema, "title_words", word.text, _TITLE_PREFIX))
        if len(word.text) >= MIN_PREFIX:
            ways.append(_begins(schema, "words", word.text, _PREFIX))
    if care is not Care.EXACT and len(word.text) >= MIN_TYPO:
        for field, boost in (("title_words", _TITLE_TYPO), ("words", _TYPO)):
            ways.append(Query.boost_query(_typo(schema, field, word), boost))
    return Query.disjunction_max_query(ways, tie_breaker=0.1)


def _typo(schema: Schema, field: str, word: Word) -> Query:
    begins = not word.whole and len(word.text) >= MIN_PREFIX_TYPO
    return Query.fuzzy_term_query(schema, field, word.text, distance=1, prefix=begins)


def _begins(schema: Schema, field: str, text: str, boost: float) -> Query:
    return Query.boost_query(Query.fuzzy_term_query(schema, field, text, distance=0, prefix=True), boost)


def _better(schema: Schema, words: Words, care: Care) -> list[Query]:
    """What lifts a document among those that match: its title is the query or begins so, words stand together, kind."""
    whole = " ".join(word.text for word in words.words)
    title = Query.fuzzy_term_query(schema, "whole_title", whole, distance=int(care is not Care.EXACT))
    found = [Query.const_score_query(title, _WHOLE_TITLE)]
    if len(words.words) > 1:
        begun = Query.fuzzy_term_query(schema, "whole_title", whole, distance=0, prefix=True)
        found.append(Query.const_score_query(begun, _TITLE_BEGINS))
        stems = [word.stem for word in words.words]
        found += [
            Query.boost_query(Query.phrase_query(schema, field, [*stems], slop=1), boost)
            for field, boost in (("title", _TITLE_PHRASE), ("text", _TEXT_PHRASE))
        ]
    for kind, score in _KINDS.items():
        found.append(Query.const_score_query(Query.term_query(schema, "kind", kind), score))
    return found


def _heading_whose_title_says_nothing(schema: Schema, words: Words, care: Care) -> Query:
    """A heading matches by its article's title as well, but not by that alone: the article is found anyway."""
    said = [
        way
        for word in words.asked
        for way in (
            Query.term_query(schema, "title", word.stem),
            *([] if word.whole else [_begins(schema, "title_words", word.text, 1.0)]),
            *([_typo(schema, "title_words", word)] if care is not Care.EXACT and len(word.text) >= MIN_TYPO else []),
        )
    ]
    return Query.boolean_query(
        [
            (Occur.Must, Query.term_query(schema, "kind", HEADING)),
            (Occur.MustNot, Query.boolean_query([(Occur.Should, way) for way in said])),
        ]
    )
