"""Atom feed, sitemap and llms.txt: well-formed, complete, behind the login."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
from django.test import Client

ATOM = "{http://www.w3.org/2005/Atom}"


def test_feed_lists_articles_by_their_last_change(reader: Client) -> None:
    response = reader.get("/library/feed.atom")

    root = ElementTree.fromstring(response.content)  # noqa: S314 - our own answer
    assert response.headers["Content-Type"] == "application/atom+xml; charset=utf-8"
    assert [entry.findtext(f"{ATOM}title") for entry in root.iter(f"{ATOM}entry")] == [
        "First & foremost",
        "Third",
        "Second",
    ]
    assert [entry.findtext(f"{ATOM}updated") for entry in root.iter(f"{ATOM}entry")][-1] == "2020-01-01T00:00:00+00:00"


def test_sitemap_lists_every_article(reader: Client) -> None:
    root = ElementTree.fromstring(reader.get("/sitemap.xml").content)  # noqa: S314 - our own answer

    namespace = "{http://www.sitemaps.org/schemas/sitemap/0.9}"
    assert [(url.findtext(f"{namespace}loc"), url.findtext(f"{namespace}lastmod")) for url in root] == [
        ("http://testserver/library/decide/first/", "2026-11-01"),
        ("http://testserver/library/train/second/", "2020-01-01"),
        ("http://testserver/library/train/third/", "2026-11-01"),
    ]


def test_llms_text_leads_to_the_markdown(reader: Client) -> None:
    response = reader.get("/llms.txt")
    text = response.content.decode()

    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert text.startswith("# Playbook library\n\n> ")
    assert "- [First & foremost](http://testserver/library/decide/first.md): The answer in one sentence.\n" in text
    assert "## Operate" not in text


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/library/feed.atom", "/sitemap.xml", "/llms.txt"])
def test_feeds_need_a_login_like_the_pages_that_they_name(client: Client, content: Path, path: str) -> None:
    assert client.get(path).headers["Location"] == f"/account/login/?next={path}"
