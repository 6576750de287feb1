"""What a scan finds in Markdown, and that it agrees with what is rendered."""

import pytest

from playbook.library.articles import read_article
from playbook.library.blocks import BlockMark
from playbook.library.formulas import to_mathml
from playbook.library.markdown import render
from playbook.library.outline import Formula, Heading, Mention, Outline, read_outline

FRONT = "---\ntitle: T\nsummary: S\nowner: O\nreviewed: 2026-11-20\n---\n"


def test_everything_is_found_with_its_line() -> None:
    body = """Intro with [a link](rank.md#cost "title") and [[lora#how|how]].

## Heading with `code` and $x^2$

![a curve](curve.png)
![](bare.png) ![by name][pic]

[pic]: pictures/x.png

$$
a
= b
$$

/// checklist | go
///

### Again
"""

    assert read_outline(body, 7) == Outline(
        headings=(
            Heading(2, "heading-with-code-and-x2", "Heading with code and x^2"),
            Heading(3, "again", "Again"),
        ),
        anchors=frozenset({"heading-with-code-and-x2", "again"}),
        mentions=(
            Mention("link", 7, "rank.md#cost"),
            Mention("wikilink", 7, "lora#how"),
            Mention("image", 11, "curve.png", "a curve"),
            Mention("image", 12, "bare.png", ""),
            Mention("image", 12, "", "by name"),
            Mention("link", 14, "pictures/x.png"),
        ),
        formulas=(Formula(9, "x^2", block=False), Formula(16, "a = b", block=True)),
        blocks=(BlockMark(21, "checklist", "go"),),
    )


@pytest.mark.parametrize(
    "body",
    [
        "```\n[x](gone.md) [[gone]] $\\frac$\n## no\n/// job | gone\n```\n",
        "~~~~ python\n[x](gone.md)\n~~~\n[[gone]]\n~~~~\n",
        "Code `[x](gone.md)` and ``[[gone]] ` $x$`` here.\n",
        "Escaped \\[x\\](gone.md) and \\$x$.\n",
        "<!-- [x](gone.md)\n[[gone]] -->\n",
        "It costs $5 and $10, or $5/$10.\n",
        "Not a link [x] (gone.md), nor a [note].\n",
    ],
)
def test_code_comments_escapes_and_money_hold_nothing(body: str) -> None:
    assert read_outline(body, 1) == Outline()


def test_links_and_pictures_in_raw_html_are_found() -> None:
    body = '<a class="x" href="rank.md">r</a> <img alt="A &amp; B" src=\'x.png\'> <h2 id="own">Own</h2>\n'

    outline = read_outline(body, 1)

    assert outline.mentions == (Mention("link", 1, "rank.md"), Mention("image", 1, "x.png", "A & B"))
    assert outline.anchors == frozenset({"own"})


@pytest.mark.parametrize(
    "heading",
    [
        "Plain words",
        "How *much*?",
        "It's a lot & more",
        "A `snake_case` and _soft_ **loud** word",
        "snake_case_name",
        "[Linked](rank.md) heading",
        "An ![image](x.png) within",
        "Symbols: 100 % — “quoted”, (bracketed)!",
        "Ünïcode 学習率",
        "Escaped \\* star",
        "Escaped a\\_b and \\_c\\_",
        "&amp; entity &mdash; dash",
        "Formula $x^2$ here",
        "<b>Tag</b> here",
        "Note[^1]",
        "Trailing marks ##",
        "C\\#",
        "C\\# ##",
        "See <https://example.com/a?b=1> now",
        "Write to <carol@example.com>",
        "[Brackets](https://example.com/a_(b)) and more",
        "--help and other flags",
        "x" * 300,
    ],
)
def test_anchors_are_those_of_the_page(heading: str) -> None:
    article = read_article(
        "articles/a/b.md",
        f"{FRONT}## {heading}\n\nText[^1].\n\n### {heading}\n\n[^1]: Note.\n\nUnder\n-----\n\nText.\n",
    )

    rendered = render(article, lambda path: path)

    assert article.outline.headings == rendered.headings
    assert all(f'id="{found.id}"' in rendered.html for found in rendered.headings)


@pytest.mark.parametrize(
    "body",
    [
        "## \n\nText.\n\n##\n\n## ???\n\n## Real\n",
        "## ![A drawing](x.png)\n\n## [^1]\n\n## Real\n\n[^1]: Note.\n",
        "## Above\n\n$$\n## not one\nx\n$$\n\n## Below\n",
        "$$\na\n---\nb\n$$\n\n## Below\n",
        "## Above\nRight below\n---\n",
        "First line\nsecond line\n---\n\n## Below\n",
        "- item\n---\n\n## Below\n",
        "> quote\n---\n\n## Below\n",
    ],
)
def test_odd_headings_are_those_of_the_page(body: str) -> None:
    article = read_article("articles/a/b.md", f"{FRONT}{body}")

    rendered = render(article, lambda path: path)

    assert article.outline.headings == rendered.headings
    assert rendered.headings
    assert all(f'id="{found.id}"' in rendered.html for found in rendered.headings)


def test_a_heading_without_anything_is_left_out() -> None:
    page = render(read_article("articles/a/b.md", f"{FRONT}## \n\nText.\n\n###\n"), lambda path: path)

    assert (page.html, page.headings) == ("<p>Text.</p>", ())


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ("$$\na\n# b\n$$", "a # b"),
        ("$$\na\n> b\n$$", "a > b"),
        ("$$\na\n---\nb\n$$", "a --- b"),
        ("> $$\n> a\n> > b\n> $$", "a b"),
        ("- $$\n  a\n  = b\n  $$", "a = b"),
        ("$$ a % note\n b $$", "a % note\n b"),
    ],
)
def test_a_formula_of_several_lines_is_one_whatever_its_lines_begin_with(body: str, shown: str) -> None:
    article = read_article("articles/a/b.md", f"{FRONT}{body}\n")

    page = render(article, lambda path: path).html

    assert [formula.tex for formula in article.outline.formulas] == [shown]
    assert to_mathml(shown, block=True) in page
    assert "$" not in page


def test_formulas_in_fenced_code_stay_as_they_are() -> None:
    page = render(read_article("articles/a/b.md", f"{FRONT}```\n$$\na\n# b\n$$\n```\n"), lambda path: path)

    assert "$$\na\n# b\n$$" in page.html


def test_text_that_is_refused_has_an_outline_that_says_so() -> None:
    outline = read_outline("ok\n\n```\nopen", 7)

    assert (outline.mentions, str(outline.refused)) == ((), "line 9: code fence ``` is opened here and never closed")
