"""Live parts of an article, and what else the library's new syntax needs of the site: pictures, terms, former names."""

import re
import struct
import zlib
from pathlib import Path

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from playbook.web.accounts.models import User
from tests.web.wiki.shelf import article_text

CLAIMS = """claims:
  - {id: C07, text: "Tuning <turns> a generalist into a specialist."}
"""
GLOSSARY = """terms:
  - {slug: adapter, term: adapter, definition: A small file of weights., article: train/second}
"""


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


PNG = (
    b"\x89PNG\r\n\x1a\n"
    + _chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 8, 2, 0, 0, 0))
    + _chunk(b"IDAT", zlib.compress(b"\x00" + b"\xff" * 6))
    + _chunk(b"IEND", b"")
)


def _write(content: Path, body: str, *, more: str = "") -> None:
    (content / "articles/train/third.md").write_text(article_text("Third", body, more=more))


def _third(reader: Client) -> str:
    response = reader.get("/library/train/third/")
    assert response.status_code == 200
    return response.content.decode().partition('<div class="prose">')[2]


def test_a_checklist_block_starts_it_from_here(reader: Client, content: Path) -> None:
    _write(content, "Before.\n\n/// checklist | go\n///\n\nAfter.\n")

    page = _third(reader)

    assert page.index("Before.") < page.index("Go or wait?") < page.index("After.")
    assert 'href="/decide/go/?article=train/third"' in page


def test_a_calculator_block_is_a_form_with_a_result_that_can_be_linked(reader: Client, content: Path) -> None:
    _write(content, "/// calculator | test-rows?rows=228&difference=10\n///\n\n/// calculator | test-rows\n///\n")

    page = _third(reader)

    forms = re.findall(r'<form class="inputs" method="get" novalidate action="([^"]+)" hx-get="([^"]+)"', page)
    assert forms == [("/library/calculators/test-rows/", "/library/calculators/test-rows/")] * 2
    assert re.findall(r'name="rows" value="(\d+)"', page) == ["228", "100"]
    ids = re.findall(r' id="(calculator-[^"]+)"', page)
    assert len(ids) == len(set(ids))
    assert "228 rows" in page
    link = "/library/calculators/test-rows/?rows=228&share=80&discordant=30&difference=10"
    assert f'href="{escape(link)}"' in page
    assert "228 rows" in reader.get(link).content.decode()


def test_a_calculator_in_an_article_is_swapped_by_htmx(reader: Client, content: Path) -> None:
    query = {"rows": "50", "article": "train/third"}

    fragment = reader.get("/library/calculators/test-rows/", query, headers={"HX-Request": "true"}).content.decode()

    assert "at 50 rows" in fragment
    assert "<table" not in fragment
    assert "<html" not in fragment
    assert '<a href="/library/calculators/test-rows/?rows=50&amp;share=80&amp;discordant=30' in fragment


def test_a_calculator_in_an_article_without_javascript_leads_to_its_page_and_back(reader: Client) -> None:
    page = reader.get("/library/calculators/test-rows/", {"rows": "50", "article": "train/third"}).content.decode()
    unknown = reader.get("/library/calculators/test-rows/", {"rows": "50", "article": "../<script>"}).content.decode()

    assert "at 50 rows" in page
    assert '<a class="button" href="/library/train/third/">Back to “Third”</a>' in page
    assert '<input type="hidden" name="article" value="train/third">' in page
    assert "Back to" not in unknown
    assert "&lt;script" not in unknown.partition("<main")[2]


def test_a_calculator_block_with_wrong_inputs_says_so(reader: Client, content: Path) -> None:
    _write(content, "/// calculator | test-rows?rows=0\n///\n")

    assert "Test rows: Ensure this value is greater than or equal to 1." in _third(reader)


def test_a_job_block_leads_to_a_launch_form_with_its_recipe(client: Client, alice: User) -> None:
    """With the project's own content, which has a recipe."""
    client.force_login(alice)

    page = client.get("/jobs/choose/?recipe=support-tickets-lora").content.decode()

    assert "The launch form begins with the recipe" in page
    assert "The launch form begins" not in client.get("/jobs/choose/?recipe=nothing").content.decode()


def test_an_evidence_block_fetches_what_the_reader_may_see(reader: Client, content: Path) -> None:
    (content / "claims.yaml").write_text(CLAIMS)
    _write(content, "/// evidence | C07\n///\n", more="claims: [C07]\n")

    page = _third(reader)
    fragment = reader.get("/library/evidence/C07/", headers={"HX-Request": "true"}).content.decode()
    whole = reader.get("/library/evidence/C07/").content.decode()

    assert 'hx-get="/library/evidence/C07/"' in page
    assert "Tuning &lt;turns&gt; a generalist" in page
    assert "No decision that rests on this claim has an outcome" in fragment
    assert "<html" not in fragment
    assert re.findall(r'<a href="(/library/train/third/)">Third</a>', whole) == ["/library/train/third/"]
    assert reader.get("/library/evidence/C99/").status_code == 404


def test_an_article_with_every_embed_costs_no_further_query(reader: Client, content: Path) -> None:
    (content / "claims.yaml").write_text(CLAIMS)
    _write(
        content,
        "/// evidence | C07\n///\n\n/// checklist | go\n///\n\n/// calculator | lora-memory\n///\n",
        more="claims: [C07]\n",
    )
    _third(reader)

    with CaptureQueriesContext(connection) as queries:
        _third(reader)

    assert len(queries) == 1  # session and person


def test_a_former_name_leads_to_the_article(reader: Client, content: Path) -> None:
    _write(content, "Text.\n", more="aliases: [old-name, decide/older-name]\n")

    for former in ("/library/train/old-name/", "/library/decide/older-name/"):
        response = reader.get(former)
        assert (response.status_code, response.headers["Location"]) == (301, "/library/train/third/")
    assert reader.get("/library/train/old-name.md").status_code == 200


def test_pictures_of_articles_are_served_as_what_they_are(reader: Client, content: Path) -> None:
    (content / "articles/train/dot.png").write_bytes(PNG)
    _write(content, "![A dot](dot.png)\n")

    page = _third(reader)
    response = reader.get("/library/images/articles/train/dot.png")

    assert 'src="/library/images/articles/train/dot.png"' in page
    assert 'width="2" height="1"' in page
    assert response.headers["Content-Type"] == "image/png"
    assert b"".join(response.streaming_content) == PNG  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "path", ["models.yaml", "articles/train/fake.png", "../secret-key", "%2e%2e/secret-key", "/etc/passwd"]
)
def test_nothing_but_pictures_is_served(reader: Client, content: Path, path: str) -> None:
    (content / "articles/train/fake.png").write_text("<script>")

    assert reader.get(f"/library/images/{path}").status_code == 404


def test_articles_that_link_here_are_listed(reader: Client) -> None:
    page = reader.get("/library/train/second/").content.decode()

    assert re.findall(r'<a href="([^"]+)"', page.partition("Linked from")[2])[0] == "/library/decide/first/"
    assert "Linked from" not in reader.get("/library/train/third/").content.decode()


def test_terms_have_their_definition_beside_them_and_a_page(reader: Client, content: Path) -> None:
    (content / "glossary.yaml").write_text(GLOSSARY)
    _write(content, "Keep the adapter.\n")

    assert 'role="tooltip" id="term:adapter">A small file of weights.</span>' in _third(reader)
    page = reader.get("/library/glossary/").content.decode()
    assert '<div id="adapter">' in page
    assert '<a href="/library/train/second/">Second</a>' in page
