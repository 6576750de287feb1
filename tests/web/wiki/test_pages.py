"""Pages of the library: what they show, what they refuse, and that a broken file takes no page down."""

import re
from datetime import date
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from playbook.library.articles import Freshness
from playbook.web.accounts.models import User
from playbook.web.wiki.catalogue import catalogue
from playbook.web.wiki.fragments import fragments
from tests.web.wiki.shelf import CHECKLIST
from tests.web.wiki.shelf import article_text as _article


def _get(client: Client, path: str, *, status: int = 200) -> str:
    response = client.get(path)
    assert response.status_code == status
    return response.content.decode()


def _links(html: str) -> list[str]:
    return re.findall(r'href="([^"#][^"]*)"', html)


def test_index_lists_areas_that_have_articles_and_the_checklists(reader: Client) -> None:
    main = _get(reader, "/library/").partition("<main")[2].partition("</main>")[0]

    assert _links(main) == [
        "/library/review/",
        "/library/calculators/",
        "/library/models/",
        "/library/glossary/",
        "/library/decide/",
        "/library/decide/first/",
        "/library/train/",
        "/library/train/second/",
        "/library/train/third/",
        "/decide/",
        "/decide/go/",
    ]
    assert "First &amp; foremost" in main


def test_area_shows_its_articles_with_their_freshness(reader: Client) -> None:
    page = _get(reader, "/library/train/")

    assert "Reviewed 1 January 2020 by Alice Moreau" in page
    assert '<span class="badge bad">Overdue</span>' in page
    assert "<h1>Train</h1>" in page


def test_an_area_without_articles_says_how_to_add_one(reader: Client) -> None:
    assert "No article here yet" in _get(reader, "/library/operate/")


def test_article_shows_text_contents_owner_and_sources(reader: Client) -> None:
    page = _get(reader, "/library/decide/first/")

    assert "<h1>First &amp; foremost</h1>" in page
    assert 'or read <a href="/library/train/second/#why" rel="noopener noreferrer">on</a>.' in page
    assert page.count('<li class="level-2"><a href="#why">Why</a></li>') == 2  # phone and wide screen
    assert "Owner: Alice Moreau" in page
    assert '<time datetime="2026-11-01">1 November 2026</time>' in page
    assert 'Hu: <a href="https://example.org/lora" rel="noopener noreferrer">On &lt;adapters&gt;</a>, 2021-06.' in page
    assert "Someone: <cite>A course</cite>, undated." in page
    assert "to be checked again by 1 January 2027" in page
    assert "Explains claims C01, C02" in page


def test_article_leads_to_the_checklist_and_says_where_the_reader_came_from(reader: Client) -> None:
    page = _get(reader, "/library/decide/first/")
    start = "/decide/go/?article=decide/first"

    assert _links(page).count(start) == 3  # in the text, below it, and beside it
    assert _get(reader, start)


def test_a_checklist_that_names_an_article_is_offered_there_without_a_link(reader: Client, content: Path) -> None:
    (content / "checklists/go.yaml").write_text(CHECKLIST.replace("questions:", "article: train/third\nquestions:", 1))

    assert "Start: Go or wait?" in _get(reader, "/library/train/third/")


def test_articles_are_chained_across_areas(reader: Client) -> None:
    page = _get(reader, "/library/train/second/")

    assert re.findall(r'<a rel="(prev|next)" href="([^"]+)"', page) == [
        ("prev", "/library/decide/first/"),
        ("next", "/library/train/third/"),
    ]
    assert 'rel="prev"' not in _get(reader, "/library/decide/first/")
    assert 'rel="next"' not in _get(reader, "/library/train/third/")


def test_the_current_article_is_marked_in_the_navigation(reader: Client) -> None:
    page = _get(reader, "/library/train/second/")

    assert '<a href="/library/train/second/" aria-current="page">Second</a>' in page
    assert page.count('aria-current="page"') == 1


def test_outcomes_panel_is_shown(reader: Client) -> None:
    assert "What came of it" in _get(reader, "/library/decide/first/")


def test_markdown_source_is_the_file(reader: Client, content: Path) -> None:
    response = reader.get("/library/decide/first.md")

    assert response.headers["Content-Type"] == "text/markdown; charset=utf-8"
    assert response.content == (content / "articles/decide/first.md").read_bytes()


@pytest.mark.parametrize(
    "path",
    [
        "/library/nowhere/",
        "/library/decide/nothing/",
        "/library/nowhere/first/",
        "/library/decide/nothing.md",
        "/library/decide/../models.yaml",
        "/library/decide/%2e%2e%2fmodels/",
        "/library/train/first/",
    ],
)
def test_what_is_not_there_is_not_found(reader: Client, path: str) -> None:
    _get(reader, path, status=404)


@pytest.mark.parametrize(
    "path", ["/library/", "/library/decide/", "/library/decide/first/", "/library/decide/first.md"]
)
@pytest.mark.django_db
def test_pages_need_a_login_and_refuse_writes(client: Client, content: Path, path: str, alice: User) -> None:
    assert client.get(path).headers["Location"] == f"/account/login/?next={path}"
    client.force_login(alice)
    assert client.post(path).status_code == 405


def test_a_file_that_cannot_be_read_says_why_and_the_rest_stays_up(reader: Client, content: Path) -> None:
    (content / "articles/train/second.md").write_text("---\ntitle: [\n---\n<script>")

    page = _get(reader, "/library/train/second/", status=404)

    assert "This article cannot be read" in page
    assert "<code>articles/train/second.md:3</code> not YAML: did not find expected node content" in page
    _get(reader, "/library/train/third/")
    _get(reader, "/library/")


def test_text_that_cannot_be_rendered_is_shown_as_it_is(reader: Client, content: Path) -> None:
    (content / "articles/train/third.md").write_text(
        _article("Third", "Hello.\n\n```python\n<script>alert(1)</script>\n")
    )

    page = _get(reader, "/library/train/third/")

    assert "<code>articles/train/third.md:9</code> code fence ``` is opened here and never closed" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert(1)" not in page


def test_a_broken_link_is_reported_on_the_page(reader: Client, content: Path) -> None:
    (content / "articles/train/third.md").write_text(_article("Third", "[gone](gone.md)\n"))

    page = _get(reader, "/library/train/third/")

    assert "link &#x27;gone.md&#x27; leads nowhere" in page
    assert '<a rel="noopener noreferrer">gone</a>' in page


def test_problems_of_the_library_are_shown_to_staff_alone(reader: Client, content: Path, alice: User) -> None:
    (content / "checklists/broken.yaml").write_text("a: b: c")
    assert "checklists/broken.yaml" not in _get(reader, "/library/")

    User.objects.filter(pk=alice.pk).update(is_staff=True)

    assert "<code>checklists/broken.yaml:1</code> not YAML" in _get(reader, "/library/")


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        '<img src=x onerror="alert(1)">',
        "[x](javascript:alert(1))",
        '<a href="/" hx-post="/account/logout/">x</a>',
        "</div></main><script>alert(1)</script>",
    ],
)
def test_nothing_that_an_author_writes_executes(reader: Client, content: Path, text: str) -> None:
    (content / "articles/train/third.md").write_text(
        _article('"<script>alert(1)</script>"', f"## {text}\n\n{text}\n", more="tags: [a]\nclaims: [C01]\n")
    )

    page = _get(reader, "/library/train/third/")

    assert "<script>alert" not in page
    assert re.search(r"<[^>]+(?:onerror|javascript:)", page) is None
    assert page.count("hx-post=") == 0
    assert page.count("</main>") == 1


def test_files_that_change_show_without_a_restart(reader: Client, content: Path) -> None:
    _get(reader, "/library/train/third/")
    (content / "articles/train/fourth.md").write_text(_article("Fourth", "New.\n"))

    assert "<h1>Fourth</h1>" in _get(reader, "/library/train/fourth/")


@pytest.mark.parametrize("path", ["/library/", "/library/train/", "/library/train/third/"])
def test_the_number_of_queries_does_not_grow_with_the_articles(reader: Client, content: Path, path: str) -> None:
    _get(reader, path)  # a process reads the open flags once
    counts = []
    for more in ("fourth", "fifth", "sixth"):
        with CaptureQueriesContext(connection) as queries:
            _get(reader, path)
        counts.append(len(queries))
        (content / f"articles/train/{more}.md").write_text(_article(more, "Text.\n"))

    assert counts == counts[:1] * 3
    assert counts[0] <= 3


def test_the_front_page_lists_the_first_articles_of_a_large_area(reader: Client, content: Path) -> None:
    for number in range(30):
        (content / f"articles/train/more-{number:02}.md").write_text(_article(f"More {number:02}", "Text.\n"))

    page = _get(reader, "/library/")

    assert page.count("/library/train/more-") == 5
    assert "27 more in Train" in page


def test_the_navigation_stays_short_in_a_large_library(reader: Client, content: Path) -> None:
    for number in range(150):
        (content / f"articles/train/more-{number:03}.md").write_text(_article(f"More {number:03}", "Text.\n"))

    page = _get(reader, "/library/train/more-100/").partition('class="library-nav"')[2]

    assert page.count('href="/library/train/more-') == 40
    assert '<a href="/library/train/more-100/" aria-current="page">More 100</a>' in page
    assert '<a href="/library/train/">All 152 articles</a>' in page
    assert '<a class="other-area spread" href="/library/decide/">Decide <span class="small num">1</span></a>' in page
    assert "/library/decide/first/" not in page


def test_tags_lead_to_the_articles_that_have_them(reader: Client, content: Path) -> None:
    (content / "articles/train/third.md").write_text(_article("Third", "Text.\n", more="tags: [lora, memory]\n"))

    assert '<a class="tag" href="/library/tags/lora/">lora</a>' in _get(reader, "/library/train/third/")
    page = _get(reader, "/library/tags/lora/")
    assert "<h1>Tag: lora</h1>" in page
    assert re.findall(r'class="cover" href="([^"]+)"', page) == ["/library/train/third/"]
    assert '<a class="tag" href="/library/tags/memory/">memory <span class="num">1</span></a>' in page
    _get(reader, "/library/tags/nothing/", status=404)


def test_preview_is_a_fragment_with_the_summary(reader: Client) -> None:
    page = _get(reader, "/library/decide/first/preview/")

    assert page.startswith('<p class="eyebrow">decide</p>')
    assert "<strong>First &amp; foremost</strong>" in page
    assert "The answer in one sentence." in page
    assert "<html" not in page
    _get(reader, "/library/decide/nothing/preview/", status=404)


def test_the_text_of_an_article_is_rendered_once(reader: Client, content: Path) -> None:
    before = fragments.get(catalogue(), catalogue().content.articles["train/third"], today=date(2026, 11, 24))

    again = fragments.get(catalogue(), catalogue().content.articles["train/third"], today=date(2026, 11, 24))
    tomorrow = fragments.get(catalogue(), catalogue().content.articles["train/third"], today=date(2027, 11, 24))

    assert again is before
    assert (before.freshness, tomorrow.freshness) == (Freshness.FRESH, Freshness.OVERDUE)


def test_related_articles_are_the_named_and_then_the_most_alike(reader: Client, content: Path) -> None:
    text = "Rank and adapter decide how much of the memory a batch of tokens takes.\n" * 5
    for name in ("fourth", "fifth"):
        (content / f"articles/train/{name}.md").write_text(
            _article(name.title(), text, more="related: [decide/first]\n")
        )

    related = _get(reader, "/library/train/fourth/").partition('id="page-related"')[2].partition("</section>")[0]

    assert _links(related)[:2] == ["/library/decide/first/", "/library/train/fifth/"]
