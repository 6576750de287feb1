"""What articles may write beyond Markdown: wikilinks, formulas, tabs, embeds, pictures and blocks of disagreement."""

from pathlib import Path

import pytest

from playbook.library.articles import Article, read_article
from playbook.library.content import Library, load_library
from playbook.library.decorate import Html
from playbook.library.embeds import Embed, parse_embed
from playbook.library.markdown import Link, Rendered, Renderer, render
from tests.library.conftest import ARTICLE, PNG, Write

LORA = "articles/train/lora.md"


def _address(path: str) -> str | None:
    return f"/{path.removeprefix('articles/').removesuffix('.md')}/"


def _article(body: str) -> Article:
    return read_article(LORA, ARTICLE.replace("Little.", body))


@pytest.fixture
def library(content: Path, write: Write) -> Library:
    """Two articles, a picture, a claim and a term."""
    write("articles/train/rank.md", ARTICLE.replace("What LoRA changes", "Which <rank>?"))
    write("images/curve.png", PNG)
    write("claims.yaml", "claims:\n  - {id: C01, text: A claim.}\n")
    write("glossary.yaml", "terms:\n  - {slug: token, term: token, definition: A piece of text.}\n")
    return load_library(content)


def _page(body: str, library: Library) -> Rendered:
    return render(_article(body), _address, library)


def _html(body: str, library: Library) -> str:
    """Return the HTML below the first heading."""
    return _page(body, library).html.partition("</h2>")[2].strip()


@pytest.mark.parametrize(
    ("body", "link"),
    [
        ("[[rank]]", '<a href="/train/rank/" rel="noopener noreferrer">Which &lt;rank&gt;?</a>'),
        ("[[train/rank]]", '<a href="/train/rank/" rel="noopener noreferrer">Which &lt;rank&gt;?</a>'),
        ("[[rank#answer|the *answer*]]", '<a href="/train/rank/#answer" rel="noopener noreferrer">the *answer*</a>'),
        ("[[#answer]]", '<a href="#answer" rel="noopener noreferrer">answer</a>'),
        ("[[rank|a [b] | c]]", '<a href="/train/rank/" rel="noopener noreferrer">a [b] | c</a>'),
        ("[[rank|over\nlines]]", '<a href="/train/rank/" rel="noopener noreferrer">over lines</a>'),
        ("[[rank\\|it]]", '<a href="/train/rank/" rel="noopener noreferrer">it</a>'),
        ("\\[[rank|it]]", "[[rank|it]]"),
        ("`[[rank|it]]`", "<code>[[rank|it]]</code>"),
        ("[[gone|it]]", '<a rel="noopener noreferrer">it</a>'),
        ("`[[rank]]`", "<code>[[rank]]</code>"),
    ],
)
def test_wikilinks_become_links(library: Library, body: str, link: str) -> None:
    assert _html(body, library) == f"<p>{link}</p>"


@pytest.mark.parametrize("bar", ["|", "\\|"])
def test_a_wikilink_with_a_label_stays_in_its_cell(library: Library, bar: str) -> None:
    page = _page(f"| a | b |\n|---|---|\n| [[rank#answer{bar}the {bar} way]] | x |", library)

    assert '<td><a href="/train/rank/#answer" rel="noopener noreferrer">the | way</a></td>\n<td>x</td>' in page.html
    assert page.problems == ()


def test_no_mark_of_ours_is_left_in_text_that_is_no_wikilink(library: Library) -> None:
    body = "<div>[[rank|it]]</div>\n\n```\n[[rank|it]]\n```\n\n## On [[rank|a | b]]"

    page = _page(body, library)

    assert "\x04" not in page.html
    assert page.html.count("[[rank|it]]") == 2
    assert page.headings[-1].title == "On a | b"


def test_links_of_a_page_are_listed_with_what_they_mean(library: Library) -> None:
    page = _page("[[rank#answer]], [[gone]] and [x](rank.md#answer).", library)

    assert page.links == (
        Link("[[rank#answer]]", "articles/train/rank.md", "/train/rank/"),
        Link("[[gone]]", "", None),
        Link("rank.md#answer", "articles/train/rank.md", "/train/rank/"),
    )
    assert [str(problem) for problem in page.problems] == [
        f"{LORA}:10: [[gone]] leads nowhere: no article has this slug; correct it, or write the article"
    ]


def test_formulas_are_drawn_and_what_cannot_be_read_is_shown_as_code(library: Library) -> None:
    page = _page("With $n^2$ and $\\nope$.\n\n$$\nx\n$$", library)

    assert page.html.partition("</h2>")[2].strip() == (
        '<p>With <math display="inline"><mrow><msup><mi>n</mi><mn>2</mn></msup></mrow></math> and '
        '<code>\\nope</code>.</p>\n<p><math display="block"><mrow><mi>x</mi></mrow></math></p>'
    )
    assert [problem.line for problem in page.problems] == [10]


def test_tabs_are_radio_buttons_before_their_panels(library: Library) -> None:
    body = "/// tab | One & only\nFirst.\n///\n\n/// tab | Two\n- a\n///\n\nText.\n\n/// tab | Three\nx\n///"

    assert _html(body, library).replace("\n", "") == (
        '<div class="tabs">'
        '<input class="tab-choice" type="radio" name="tabs-1" id="tab-1-1" checked>'
        '<label class="tab-title" for="tab-1-1">One &amp; only</label><div class="tab"><p>First.</p></div>'
        '<input class="tab-choice" type="radio" name="tabs-1" id="tab-1-2">'
        '<label class="tab-title" for="tab-1-2">Two</label><div class="tab"><ul><li>a</li></ul></div></div>'
        '<p>Text.</p><div class="tabs">'
        '<input class="tab-choice" type="radio" name="tabs-2" id="tab-2-1" checked>'
        '<label class="tab-title" for="tab-2-1">Three</label><div class="tab"><p>x</p></div></div>'
    )


def test_sources_may_disagree(library: Library) -> None:
    assert _html("/// disagree\nOn rank.\n///", library) == (
        '<div class="admonition disagree">\n<p class="admonition-title">Sources disagree</p>\n<p>On rank.</p>\n</div>'
    )
    assert 'title">On rank</p>' in _html("/// disagree | On rank\nx\n///", library)


def test_embeds_part_the_page(library: Library) -> None:
    body = """Before.

/// checklist | go
///

/// tab | Live
/// job | quick
///
/// evidence | C01
Dropped text.
///
///

/// calculator | lora-memory?rank=16&batch=8
///

/// checklist | gone
///
"""
    page = _page(body, library)

    assert [part if isinstance(part, Embed) else "html" for part in page.parts] == [
        "html",
        Embed("checklist", "go"),
        "html",
        Embed("job", "quick"),
        Embed("evidence", "C01"),
        "html",
        Embed("calculator", "lora-memory", "rank=16&batch=8"),
    ]
    assert isinstance(page.parts[0], Html)
    assert page.parts[0].html.endswith("<p>Before.</p>")
    assert '<div class="embed" data-embed="calculator" data-ref="lora-memory?rank=16&amp;batch=8"></div>' in page.html
    assert "Dropped" not in page.html
    assert [str(problem) for problem in page.problems] == [
        f"{LORA}:19: text inside /// evidence is not shown; write /// in the line below it, and the text after that",
        f"{LORA}:26: /// checklist names 'gone', which is no checklist; there are: go",
    ]


@pytest.mark.parametrize("argument", ["", "a b", "go?", "go?x=<", "../go", "x" * 101])
def test_an_embed_names_one_thing(argument: str) -> None:
    with pytest.raises(ValueError, match=r"name one checklist after the bar|is no checklist"):
        parse_embed("checklist", argument, {"checklist": ["go"]})


def test_pictures_keep_their_place_while_they_load(library: Library) -> None:
    assert _html('![a curve](../../images/curve.png "Loss")', library) == (
        '<p><img alt="a curve" src="/images/curve.png/" width="3" height="2" loading="lazy" title="Loss"></p>'
    )
    assert _html('<img src="../../images/curve.png" width="9000" onerror="x">', library) == (
        '<p><img src="/images/curve.png/" width="3" height="2" loading="lazy"></p>'
    )


def test_pictures_of_other_sites_are_left_out(library: Library) -> None:
    page = _page("![a](https://example.org/x.png)", library)

    assert page.html.endswith('<p><img alt="a"></p>')
    assert [problem.line for problem in page.problems] == [10]


def test_terms_are_marked_once_in_the_text_alone(library: Library) -> None:
    html = _html("## A token\n\n[token](rank.md), `token`, token, token.", library)

    assert html.count('<span class="term">') == 1
    assert '<code>token</code>, <span class="term"><span class="term-word"' in html


def test_a_page_is_kept_while_the_files_are_the_same(library: Library, content: Path, write: Write) -> None:
    renderer, article = Renderer(), _article("[[rank]] and a token.")
    first = renderer.render(article, _address, library)
    assert renderer.render(article, _address, library) is first

    write("articles/train/new.md", ARTICLE)
    assert renderer.render(article, _address, load_library(content)) is first

    write("articles/train/rank.md", ARTICLE.replace("What LoRA changes", "Which width?"))
    renamed = renderer.render(article, _address, load_library(content))
    assert ("Which width?" in renamed.html, "Which &lt;rank&gt;?" in first.html) == (True, True)

    write("glossary.yaml", "terms: []\n")
    assert "term-word" not in renderer.render(article, _address, load_library(content)).html
