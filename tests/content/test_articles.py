"""Every shipped article: it parses, renders and links to what is there. `test_reading_rules` says how it is written."""

import re
from pathlib import Path

import pytest

from playbook.library.articles import Article
from playbook.library.check import check_library
from playbook.library.content import load_library
from playbook.library.markdown import Rendered, render

LIBRARY = load_library(Path(__file__).parent.parent.parent / "content")
ARTICLES = list(LIBRARY.articles.values())

each_article = pytest.mark.parametrize("article", ARTICLES, ids=lambda article: article.key)


def _render(article: Article) -> Rendered:
    return render(article, lambda path: path if LIBRARY.target(path) else None, LIBRARY)


def test_the_check_finds_nothing() -> None:
    """On the day of the latest review: a source that expires later must not turn the suite red by itself."""
    today = max(article.reviewed for article in ARTICLES)

    assert [str(problem) for problem in check_library(LIBRARY, today=today)] == []


@each_article
def test_the_page_says_of_no_problem(article: Article) -> None:
    assert _render(article).problems == ()


@each_article
def test_the_outline_agrees_with_the_page(article: Article) -> None:
    assert (
        tuple(heading for heading in article.outline.headings if heading.level in (2, 3)) == _render(article).headings
    )


def test_the_glossary_is_found_in_the_articles() -> None:
    """Terms that no article uses yet are for those to come; most must be of use today."""
    html = " ".join(_render(article).html for article in ARTICLES)
    used = [slug for slug in LIBRARY.glossary if f'id="term:{slug}"' in html]

    assert len(used) > len(LIBRARY.glossary) / 2


@each_article
def test_every_source_is_named_in_the_text(article: Article) -> None:
    """A list of sources that nothing refers to proves nothing."""
    names = {source.title: re.split(r"[ ,]", source.author)[0] for source in article.sources}

    assert [
        title for title, name in names.items() if name not in article.body and title.split(",")[0] not in article.body
    ] == []


def test_the_first_article_leads_to_the_checklist() -> None:
    links = {link.path for link in _render(LIBRARY.articles["decide/when-fine-tuning-pays-off"]).links}

    assert "checklists/should-we-fine-tune.yaml" in links
