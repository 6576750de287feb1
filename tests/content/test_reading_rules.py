"""How every article is written, and what the library owes its readers as a whole."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from playbook.contracts.dataset_problems import ProblemCode
from playbook.contracts.run_spec import Recipe
from playbook.contracts.states import EndReason
from playbook.library.articles import Article
from playbook.library.catalog import DatasetCard
from playbook.library.content import load_library
from playbook.library.definition import Checklist
from playbook.library.fields import Source
from playbook.library.links import judge
from playbook.library.terms import Term

LIBRARY = load_library(Path(__file__).parents[2] / "content")
ARTICLES = list(LIBRARY.articles.values())
MODES = {"tutorial", "how-to", "explanation", "reference"}
MAX_WORDS = 35
#: A number that somebody must have measured or counted. "100 %" is a way to say "all".
FIGURE = re.compile(r"(?<![\d.,])(?!100\s?%)\d[\d,.]*\s?(?:%|GB|GiB|MB|TB|bytes?\b|points?\b|times\b|seconds?\b)|\$\d")
#: What a passage says of a figure that comes from no source: how it was arrived at.
OWN = re.compile(
    r"our judgement|arithmetic|Wilson's (?:method|interval)|rules? of thumb|could not find the figure|for example"
)
#: What a reader can do: start a checklist, launch a job, use a calculator.
DOING = ("checklist", "job", "calculator")

each_article = pytest.mark.parametrize("article", ARTICLES, ids=lambda article: article.key)


def _sections(article: Article) -> Iterator[tuple[str, str]]:
    """Yield headline and text of each part under a headline of level 2, and of what stands before the first."""
    for part in re.split(r"^## ", f"\n{_without_code(article.body)}", flags=re.MULTILINE):
        headline, _, text = part.partition("\n")
        yield headline.strip(), text


def _without_code(markdown: str) -> str:
    return re.sub(r"^```.*?^```", "", markdown, flags=re.DOTALL | re.MULTILINE)


def _sentences(article: Article) -> Iterator[str]:
    """Yield the sentences of the running text: without code, formulas, tables, quotations, headlines and block marks.
    An item of a list stands for itself; a colon or semicolon ends no sentence."""
    text = re.sub(r"\$\$.*?\$\$", "", _without_code(article.body), flags=re.DOTALL)
    for block in re.split(r"\n\s*\n|\n(?=\s*(?:[-*]|\d+\.) )|^///.*$", text, flags=re.MULTILINE):
        if block.lstrip().startswith(("#", "|", ">")):
            continue
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)|\[\[(?:[^]|]*\|)?([^]]*)\]\]", r"\1\2", " ".join(block.split()))
        yield from re.split(r"(?<=[.!?])[\"”)*]*\s+(?=[\"“(*`\[$]*[A-Za-z0-9])", plain)


def _named(source: Source, text: str) -> bool:
    """Tell whether a text names a source, by the first name of its author or by the first part of its title."""
    return re.split(r"[ ,]", source.author)[0] in text or re.split(r"[:,]", source.title)[0] in text


def test_there_are_enough_articles_in_every_area() -> None:
    assert len(ARTICLES) >= 32
    assert {area.slug: len(area.articles) for area in LIBRARY.areas if len(area.articles) < 3} == {}


def test_there_are_enough_terms() -> None:
    assert len(LIBRARY.glossary) >= 65


@each_article
def test_no_sentence_is_longer_than_35_words(article: Article) -> None:
    long = [sentence for sentence in (article.summary, *_sentences(article)) if len(sentence.split()) > MAX_WORDS]

    assert long == []


@pytest.mark.parametrize("term", LIBRARY.glossary.values(), ids=lambda term: term.slug)
def test_definitions_are_short(term: Term) -> None:
    sentences = re.split(r"(?<=[.!?])\s+", term.definition)

    assert [sentence for sentence in sentences if len(sentence.split()) > MAX_WORDS] == []


@each_article
def test_the_title_is_what_a_reader_asks(article: Article) -> None:
    """The tutorial says what it does, and one title is agreed as it stands."""
    assert article.title.endswith("?") or article.key in {
        "start-here/a-signed-decision-in-15-minutes",
        "decide/when-fine-tuning-pays-off",
    }


@each_article
def test_the_summary_is_one_sentence(article: Article) -> None:
    assert re.fullmatch(r"[^.!?]+(?:[.!?](?=\S)[^.!?]+)*[.!?]", article.summary), article.summary


@each_article
def test_each_article_belongs_to_one_mode(article: Article) -> None:
    assert len(MODES & set(article.tags)) == 1, article.tags


def test_every_mode_is_there() -> None:
    assert {tag for article in ARTICLES for tag in article.tags} >= MODES


@each_article
def test_each_article_has_a_source_or_our_own_evidence(article: Article) -> None:
    assert article.sources or any(block.kind == "evidence" for block in article.outline.blocks)


@each_article
def test_a_source_says_where_and_when_it_was_read(article: Article) -> None:
    """A page without a date of its own is what it was on the day of reading, so it needs its address."""
    assert [source.title for source in article.sources if not (source.url or source.date)] == []


@each_article
def test_each_figure_stands_beside_its_source(article: Article) -> None:
    bare = {
        headline: found
        for headline, text in _sections(article)
        if (found := FIGURE.findall(re.sub(r"\$[^$\n]+\$|^///.*$", "", text, flags=re.MULTILINE)))
        and not any(_named(source, text) for source in article.sources)
        and not OWN.search(" ".join(text.split()))
    }

    assert bare == {}


@each_article
def test_each_article_ends_with_something_to_do(article: Article) -> None:
    *_, (headline, text) = _sections(article)

    assert headline == "What to do next"
    doing = [block.kind for block in article.outline.blocks if block.kind in DOING and f"/// {block.kind}" in text]
    assert doing or re.search(r"\]\(|\[\[", text)


def test_every_claim_is_explained() -> None:
    assert LIBRARY.claims.keys() - {claim for article in ARTICLES for claim in article.claims} == set()


def _claims_table() -> dict[str, tuple[str, str]]:
    """Claim id → the article and the last cell, as the list of claims in Reference shows them."""
    body = LIBRARY.articles["reference/what-can-we-test-here"].body
    rows = re.findall(r"^\| (C\d\d) \|[^|]*\| \[\[([\w-]+)\]\] \|([^|]*)\|$", body, flags=re.MULTILINE)
    return {claim: (slug, cell.strip()) for claim, slug, cell in rows}


def test_the_list_of_claims_is_complete() -> None:
    assert list(_claims_table()) == sorted(LIBRARY.claims)


def test_the_list_of_claims_names_articles_that_cite_them() -> None:
    table = _claims_table()
    wrong = {
        claim: slug
        for claim, (slug, _) in table.items()
        if (article := LIBRARY.article(slug)) is None or claim not in article.claims
    }

    assert wrong == {}


def test_every_live_claim_leads_to_something_to_do() -> None:
    """A run to launch, a dataset to open, a checklist that asks for the claim or ends in it, or a calculator."""
    article, table = LIBRARY.articles["reference/what-can-we-test-here"], _claims_table()

    without = [claim.id for claim in LIBRARY.claims.values() if claim.live and not _doable(article, claim.id, table)]

    assert without == []


def _doable(article: Article, claim: str, table: dict[str, tuple[str, str]]) -> bool:
    cell = table[claim][1]
    hrefs = set(re.findall(r"\]\(([^)]+)\)", cell))
    for mention in article.outline.mentions:
        if mention.href not in hrefs:
            continue
        match judge(LIBRARY, article, mention).target:
            case Checklist() as checklist:
                asked = any(claim in question.claims for question in checklist.questions)
                if asked or any(outcome.title in cell for outcome in checklist.outcomes):
                    return True
            case Article() as target:
                part = mention.href.partition("#")[2]
                ids = {heading.title: heading.id for heading in target.outline.headings}
                if any(
                    ids.get(headline) == part and "/// calculator |" in text for headline, text in _sections(target)
                ):
                    return True
            case Recipe() | DatasetCard():
                return True
    return False


def test_the_format_article_lists_every_code_of_an_upload() -> None:
    body = LIBRARY.articles["data/which-format-does-a-dataset-need"].body
    listed = re.findall(r"^\| `(\w+)` \|[^|]*\|[^|]*\|$", body, flags=re.MULTILINE)

    assert sorted(code for code in listed if code not in {"messages", "tools"}) == sorted(
        str(code) for code in ProblemCode
    )


def test_the_list_of_symptoms_names_real_reasons() -> None:
    body = LIBRARY.articles["reference/what-is-wrong-with-my-run"].body
    named = set(re.findall(r"^\| `(\w+)` \|", body, flags=re.MULTILINE))

    assert named
    assert named <= {str(reason) for reason in EndReason}
