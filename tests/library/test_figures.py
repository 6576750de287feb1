"""Drawings: what is drawn, and every way in which an SVG file could do more than draw."""

import re
from pathlib import Path

import pytest

from playbook.library.check import check_article
from playbook.library.content import load_library
from playbook.library.figures import CLASSES, MAX_ELEMENTS, Figure, read_figure
from playbook.library.markdown import Renderer, render
from playbook.library.problems import ContentError
from tests.library.conftest import ARTICLE, Write

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 360 100">'
NAMED = f"{HEAD}<title>A line</title><desc>A line & more.</desc>".replace("&", "&amp;")
SOUND = f'{NAMED}\n<line class="line" x1="1" y1="2" x2="3.5" y2="-4"/><text x="1" y="9">a &lt; b</text>\n</svg>\n'


def _drawing(shapes: str) -> str:
    return f"{NAMED}\n{shapes}\n</svg>"


def _problems(text: str) -> list[tuple[int, str]]:
    with pytest.raises(ContentError) as raised:
        read_figure("figures/x.svg", text)
    return list(raised.value.found)


def test_a_drawing_is_read() -> None:
    assert read_figure("figures/a-line.svg", SOUND) == Figure(
        slug="a-line",
        title="A line",
        description="A line & more.",
        width=360,
        height=100,
        shapes='<line class="line" x1="1" y1="2" x2="3.5" y2="-4"></line><text x="1" y="9">a &lt; b</text>',
    )


def test_an_article_shows_it_with_its_text_alternative_and_caption(content: Path, write: Write) -> None:
    write("figures/a-line.svg", SOUND)
    write("articles/train/lora.md", f"{ARTICLE}\n/// figure | a-line\nDrawn by *hand*.\n///\n")
    library = load_library(content)
    article = library.articles["train/lora"]

    assert check_article(library, article) == ()
    assert render(article, lambda path: None, library).html.endswith(
        '<figure class="drawing"><svg viewBox="0 0 360 100" width="360" height="100" role="img"'
        ' aria-labelledby="figure-1-title figure-1-desc"><title id="figure-1-title">A line</title>'
        '<desc id="figure-1-desc">A line &amp; more.</desc>'
        '<line class="line" x1="1" y1="2" x2="3.5" y2="-4"></line><text x="1" y="9">a &lt; b</text></svg>\n'
        "<figcaption>\n<p>Drawn by <em>hand</em>.</p>\n</figcaption>\n</figure>"
    )


def test_two_drawings_on_a_page_have_names_of_their_own(content: Path, write: Write) -> None:
    write("figures/a-line.svg", SOUND)
    write("articles/train/lora.md", ARTICLE + "\n/// figure | a-line\nOne.\n///\n" * 2)
    library = load_library(content)

    html = render(library.articles["train/lora"], lambda path: None, library).html

    assert re.findall(r' id="(figure-[^"]+)"', html) == [
        "figure-1-title",
        "figure-1-desc",
        "figure-2-title",
        "figure-2-desc",
    ]


def test_a_changed_drawing_is_drawn_anew(content: Path, write: Write) -> None:
    write("figures/a-line.svg", SOUND)
    write("articles/train/lora.md", f"{ARTICLE}\n/// figure | a-line\nOurs.\n///\n")
    renderer, before = Renderer(), load_library(content)
    first = renderer.render(before.articles["train/lora"], lambda path: None, before)
    write("figures/a-line.svg", SOUND.replace("A line<", "A long line<"))

    after = load_library(content)
    second = renderer.render(after.articles["train/lora"], lambda path: None, after)

    assert ("A long line" in first.html, "A long line" in second.html) == (False, True)


def test_the_check_names_what_is_missing(content: Path, write: Write) -> None:
    write("figures/a-line.svg", SOUND)
    body = "\n/// figure | a-curve\nOurs.\n///\n\n/// figure | a-line\n///\n\n![x](../../figures/a-line.svg)\n"
    write("articles/train/lora.md", ARTICLE + body)
    library = load_library(content)

    assert sorted(str(problem) for problem in check_article(library, library.articles["train/lora"])) == [
        "articles/train/lora.md:12: /// figure names 'a-curve', which is no drawing in figures/; there are: a-line",
        "articles/train/lora.md:16: /// figure | a-line has no caption; write its source on the next line",
        "articles/train/lora.md:19: '../../figures/a-line.svg' is a drawing; show it with /// figure | a-line",
    ]


def test_a_broken_drawing_takes_nothing_else_down(content: Path, write: Write) -> None:
    write("figures/bad.svg", _drawing("<script>alert(1)</script>"))
    write("figures/Not A Slug.svg", SOUND)
    write("figures/good.svg", SOUND)

    library = load_library(content)

    assert list(library.figures) == ["good"]
    assert list(library.articles) == ["train/lora"]
    assert [(problem.path, problem.line) for problem in library.problems] == [
        ("figures/Not A Slug.svg", 1),
        ("figures/bad.svg", 2),
        ("figures/bad.svg", 2),
    ]


ELEMENTS = [
    "script",
    "foreignObject",
    "style",
    "use",
    "image",
    "a",
    "animate",
    "animateMotion",
    "animateTransform",
    "set",
    "discard",
    "feImage",
    "filter",
    "pattern",
    "mask",
    "marker",
    "linearGradient",
    "symbol",
    "defs",
    "switch",
    "iframe",
    "video",
    "audio",
    "canvas",
    "metadata",
    "view",
    "cursor",
    "font-face-uri",
    "handler",
    "listener",
    "solidcolor",
    "textPath",
    "mpath",
    "math",
    "SVG",
    "Script",
]


@pytest.mark.parametrize("name", ELEMENTS)
def test_an_element_that_is_no_shape_is_refused(name: str) -> None:
    line, message = _problems(_drawing(f"<{name}/>"))[0]

    assert (line, message.partition(";")[0]) == (2, f"<{name}> is not allowed")


ATTRIBUTES = [
    'onload="alert(1)"',
    'onclick="alert(1)"',
    'onbegin="alert(1)"',
    'href="javascript:alert(1)"',
    'href="#x"',
    'xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="https://evil.example/x.svg#y"',
    'xml:base="https://evil.example/"',
    'style="background:url(https://evil.example)"',
    'fill="url(https://evil.example/#x)"',
    'fill="red"',
    'stroke="url(#x)"',
    'clip-path="url(#x)"',
    'mask="url(//evil.example)"',
    'filter="url(#x)"',
    'marker-end="url(#x)"',
    'cursor="url(https://evil.example/x.cur), auto"',
    'id="main"',
    'tabindex="0"',
    'role="button"',
    'aria-label="forged"',
    'hx-get="/account/"',
    'data-hx-post="/x"',
    'class="site-head"',
    'class="line button"',
    'class="callout"',
    'class=""',
    'x="1px"',
    'x="expression(alert(1))"',
    'x="1e999"',
    'x="٣"',
    'width="calc(100vw)"',
    'width="100%"',
    'transform="translate(1)url(#x)"',
    'transform="matrix(1 0 0 1 0 0)"',
    'systemLanguage="en"',
    'requiredExtensions="http://www.w3.org/1999/xhtml"',
]


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_an_attribute_that_is_not_a_place_or_a_known_class_is_refused(attribute: str) -> None:
    found = _problems(_drawing(f"<rect {attribute}/>"))

    assert [line for line, _ in found] == [2]


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("", 1, "not XML: no element found"),
        ("<svg", 1, "not XML: unclosed token"),
        (f"{HEAD}\n<g></svg>", 2, "not XML: mismatched tag"),
        (_drawing("&nbsp;"), 2, "not XML: undefined entity"),
        (f"<!DOCTYPE svg>\n{SOUND}", 1, "<!DOCTYPE svg> is not allowed; remove it"),
        (f'<!DOCTYPE svg [<!ENTITY a "&b;&b;"><!ENTITY b "x">]>{SOUND}', 1, "<!DOCTYPE svg> is not allowed; remove it"),
        (f'<!DOCTYPE x SYSTEM "file:///etc/passwd">{SOUND}', 1, "<!DOCTYPE x> is not allowed; remove it"),
        (f'<?xml-stylesheet href="x.css"?>{SOUND}', 1, "<?xml-stylesheet?> is not allowed; remove it"),
        (_drawing("loose words"), 2, "text 'loose words' outside <text>"),
        (_drawing("<![CDATA[<script>]]>"), 2, "text '<script>' outside <text>"),
        (_drawing("<tspan>x</tspan>"), 2, "<tspan> cannot stand inside <svg>"),
        (_drawing("<text><text>x</text></text>"), 2, "<text> cannot stand inside <text>"),
        (_drawing("<rect><title>x</title></rect>"), 2, "<title> cannot stand inside <rect>"),
        (_drawing("<title>again</title>"), 2, "a second <title>; keep one"),
        (_drawing(f"{HEAD}</svg>"), 2, "<svg> cannot stand inside <svg>"),
        (f"{HEAD}<desc>x</desc></svg>", 1, "no <title>; say what the drawing is"),
        (f"{HEAD}<title>x</title><desc> </desc></svg>", 1, "no <desc>; say what the drawing shows"),
        (f"{HEAD}<title>{'x' * 121}</title><desc>x</desc></svg>", 1, "<title> of 121 characters; keep it under 120"),
        (SOUND.replace("360", "720"), 1, '<svg> needs viewBox="0 0 WIDTH HEIGHT", 240 to 420 wide and 40 to 900 high'),
        (SOUND.replace(" viewBox", " viewbox"), 1, "<svg> cannot have 'viewbox'; it may have: viewBox"),
        (SOUND.replace(" viewBox", " x:viewBox"), 1, "not XML: unbound prefix"),
        (_drawing("<g/>" * (MAX_ELEMENTS + 1)), 2, "more than 1,500 elements; simplify the drawing"),
        (_drawing("<!--" + "x" * 70_000 + "-->"), 1, "drawing of 70,"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(text: str, line: int, message: str) -> None:
    found = _problems(text)[0]

    assert (found[0], found[1][: len(message)]) == (line, message)


@pytest.mark.parametrize(
    "text",
    [
        SOUND.replace("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xhtml"),
        SOUND.replace(' xmlns="http://www.w3.org/2000/svg"', ""),
        _drawing('<p xmlns="http://www.w3.org/1999/xhtml" onclick="alert(1)">x</p>'),
        _drawing('<h:script xmlns:h="http://www.w3.org/1999/xhtml">alert(1)</h:script>'),
        _drawing('<s:script xmlns:s="http://www.w3.org/2000/svg">alert(1)</s:script>'),
        _drawing('<math xmlns="http://www.w3.org/1998/Math/MathML"><mtext>x</mtext></math>'),
    ],
)
def test_another_language_than_svg_is_refused(text: str) -> None:
    assert "not allowed" in _problems(text)[0][1] or "lacks xmlns" in _problems(text)[0][1]


def test_words_of_a_drawing_stay_words() -> None:
    words = "&lt;/text&gt;&lt;script&gt;alert(1)&lt;/script&gt;&quot; onload=&quot;x"
    figure = read_figure("figures/x.svg", f"{HEAD}<title>{words}</title><desc>{words}</desc><text>{words}</text></svg>")

    assert "<script" not in figure.markup("x")
    assert '" onload' not in figure.markup("x")


def test_many_mistakes_are_not_all_listed() -> None:
    assert len(_problems(_drawing("<use/>" * 100))) == 20


def test_an_author_cannot_forge_a_drawing(content: Path, write: Write) -> None:
    forged = '<figure class="drawing" onclick="x" data-figure="none"><svg onload="alert(1)"></svg>x</figure>'
    write("articles/train/lora.md", f"{ARTICLE}\n{forged}\n")
    library = load_library(content)

    html = render(library.articles["train/lora"], lambda path: None, library).html

    assert html.endswith('<figure class="drawing">x</figure>')


def test_the_style_sheet_knows_every_class() -> None:
    css = (Path(__file__).parents[2] / "playbook/web/static/css/wiki.css").read_text()

    assert {name for name in CLASSES if f".{name}" not in css.partition(".drawing")[2]} == set()
