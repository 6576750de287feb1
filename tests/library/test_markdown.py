"""Markdown → HTML: what authors may use, and that nothing they can write executes."""

import re

import pytest

from playbook.library.articles import Article, read_article
from playbook.library.markdown import Heading, Link, Renderer, render
from playbook.library.problems import ContentError

FRONT = "---\ntitle: T\nsummary: S\nowner: O\nreviewed: 2026-11-20\n---\n"
ADDRESSES = {"articles/train/rank.md": "/rank/", "checklists/go.yaml": "/go/"}


def _article(body: str) -> Article:
    return read_article("articles/train/lora.md", FRONT + body)


def _html(body: str) -> str:
    return render(_article(body), ADDRESSES.get).html


def test_headings_get_anchors_and_a_table_of_contents() -> None:
    page = render(_article("## How *much*?\n\n### It's a lot & more\n\n## How much?\n\n#### Deep\n"), ADDRESSES.get)

    assert page.headings == (
        Heading(2, "how-much", "How much?"),
        Heading(3, "its-a-lot-more", "It's a lot & more"),
        Heading(2, "how-much_1", "How much?"),
    )
    assert page.html.splitlines()[0] == (
        '<h2 id="how-much">How <em>much</em>?<a aria-label="Link to this section" class="headerlink" href="#how-much" '
        'title="Link to this section" rel="noopener noreferrer">#</a></h2>'
    )


def test_code_is_highlighted_with_classes_alone() -> None:
    assert _html('```python\nprint("<b>")\n```\n') == (
        '<div class="highlight"><pre tabindex="0"><span></span><code><span class="nb">print</span>'
        '<span class="p">(</span><span class="s2">"&lt;b&gt;"</span><span class="p">)</span>\n</code></pre></div>'
    )


def test_tables_scroll_and_keep_their_alignment() -> None:
    assert _html("| a | b |\n|---|--:|\n| 1 | 2 |\n").replace("\n", "") == (
        '<div class="table-scroll" tabindex="0"><table><thead><tr><th>a</th><th align="right">b</th></tr></thead>'
        '<tbody><tr><td>1</td><td align="right">2</td></tr></tbody></table></div>'
    )


def test_admonitions_keep_their_kind() -> None:
    assert _html("/// warning | Mind *this*\nText.\n///\n") == (
        '<div class="admonition warning">\n<p class="admonition-title">Mind <em>this</em></p>\n<p>Text.</p>\n</div>'
    )


def test_footnotes_link_both_ways() -> None:
    html = _html("Word[^a].\n\n[^a]: The note.\n")

    assert 'id="fnref:a"' in html
    assert 'href="#fn:a"' in html
    assert 'id="fn:a"' in html
    assert 'href="#fnref:a"' in html


def test_links_to_content_files_become_addresses() -> None:
    page = render(
        _article("[r](rank.md#cost) [c](../../checklists/go.yaml) [e](https://example.org/x) [h](#here)\n"),
        ADDRESSES.get,
    )

    assert re.findall(r'href="([^"]*)"', page.html) == ["/rank/#cost", "/go/", "https://example.org/x", "#here"]
    assert page.links == (
        Link("rank.md#cost", "articles/train/rank.md", "/rank/"),
        Link("../../checklists/go.yaml", "checklists/go.yaml", "/go/"),
    )
    assert page.problems == ()


def test_links_in_raw_html_are_rewritten_too() -> None:
    assert _html('<a href="rank.md">r</a>\n') == '<p><a href="/rank/" rel="noopener noreferrer">r</a></p>'


@pytest.mark.parametrize(
    ("href", "meant"),
    [
        ("gone.md", "no file 'articles/train/gone.md' in the content folder"),
        ("../../../etc/passwd", "it leaves the content folder"),
        ("/jobs/", "it leaves the content folder"),
        ("?a=1", "it leaves the content folder"),
    ],
)
def test_a_link_that_leads_nowhere_is_a_problem_with_its_line(href: str, meant: str) -> None:
    page = render(_article(f"First.\n\nSee [it]({href}).\n"), ADDRESSES.get)

    assert [str(problem) for problem in page.problems] == [
        f"articles/train/lora.md:9: link {href!r} leads nowhere: {meant}; correct the relative path"
    ]
    assert "href" not in page.html


def test_headings_in_the_table_of_contents_are_text() -> None:
    page = render(_article("## A <script>alert(1)</script> `<b>`\n"), ADDRESSES.get)

    assert [(heading.id, heading.title) for heading in page.headings] == [("a-alert1-b", "A alert(1) <b>")]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("*" * 400_000, "line 7: paragraph over 40,000 characters; divide it"),
        ("[" * 500, "line 7: too many of [ < ` and backslash"),
        (("[" * 390 + "\n\n") * 100, "line 31: too many of [ < ` and backslash"),
        ("/// note\nx\n///\n\n" * 2_000, "line 7: 6,000 paragraphs and blocks; split it at 3,000"),
        ("[^1] [^1]\n\n" * 300 + "[^1]: x", "line 7: 601 footnotes; keep to 500"),
        ("ok\n\n" + ">" * 10_000 + " a", "line 9: quotes nested more than 20 deep; flatten them"),
        ("> " * 10_000 + "a", "line 7: quotes nested more than 20 deep; flatten them"),
        ("ok\n\n" + " " * 60 + "- a", "line 9: indented by more than 40 characters; flatten the list"),
        ("ok\n\n```python\nx = 1\n", "line 9: code fence ``` is opened here and never closed"),
    ],
)
def test_text_that_would_take_minutes_is_refused_with_its_line(body: str, message: str) -> None:
    with pytest.raises(ContentError) as refused:
        _html(body)

    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    "body",
    [
        ">" * 20 + " a",
        "/// note\n" * 300,
        "<div>" * 390,
        "- a\n" * 5_000,
        "﷽ \u202e\u0000 😀 \ud7ff".replace("\x00", ""),
    ],
)
def test_odd_text_still_renders(body: str) -> None:
    html = _html(body)

    assert html.count("<div") == html.count("</div")


def test_code_may_hold_any_number_of_brackets() -> None:
    assert _html("```\n" + "[" * 5_000 + "\n```\n").count("[") == 5_000


def test_rendered_pages_are_kept_while_their_links_hold() -> None:
    renderer, article = Renderer(), _article("[r](rank.md)\n")
    first = renderer.render(article, ADDRESSES.get)

    assert renderer.render(article, ADDRESSES.get) is first
    assert renderer.render(article, {"articles/train/rank.md": "/moved/"}.get).links[0].url == "/moved/"
    assert [link.url for link in renderer.render(article, lambda path: None).links] == [None]
