"""The page around an article is rendered once for each reader, and never shows what belongs to another request."""

import re
from pathlib import Path

from django.test import Client

from playbook.web.accounts.models import User
from playbook.web.wiki.shell import _SLOTS
from tests.web.wiki.shelf import article_text

THIRD = "/library/train/third/"


def _page(client: Client, path: str) -> str:
    response = client.get(path)
    assert response.status_code == 200
    return response.content.decode()


def test_each_reader_and_theme_has_a_shell_of_its_own(client: Client, alice: User, bob: User, content: Path) -> None:
    client.force_login(alice)
    assert "Signed in as <strong>Alice Moreau</strong>" in _page(client, THIRD)
    client.cookies["theme"] = "dark"
    assert '<html lang="en" data-theme="dark">' in _page(client, THIRD)

    client.force_login(bob)

    assert "Signed in as <strong>Bob Okafor</strong>" in _page(client, THIRD)


def test_title_address_and_path_are_those_of_the_article(reader: Client) -> None:
    first, third = _page(reader, "/library/decide/first/?a=<b>"), _page(reader, THIRD)

    assert "<title>First &amp; foremost · Playbook</title>" in first
    assert '<input type="hidden" name="next" value="/library/decide/first/?a=%3Cb%3E">' in first
    assert "<title>Third · Playbook</title>" in third
    assert f'<input type="hidden" name="next" value="{THIRD}">' in third
    assert '<link rel="alternate" type="text/markdown" href="/library/train/third.md">' in third
    assert "slot-" not in first + third


def test_every_form_carries_a_token_that_works(alice: User, content: Path) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    _page(client, THIRD)
    page = _page(client, THIRD)

    tokens = set(re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', page))
    header = re.findall(r'"X-CSRFToken": "([^"]+)"', page)
    sent = client.post(f"{THIRD}flag/", {"comment": "Old.", "csrfmiddlewaretoken": header[0]})

    assert len(header) == 1
    assert tokens == set(header)
    assert sent.status_code == 302
    assert client.post(f"{THIRD}flag/", {"comment": "Older."}).status_code == 403


def test_the_cookie_behind_the_token_is_sent_once(reader: Client) -> None:
    first, second = reader.get(THIRD), reader.get(THIRD)

    assert "csrftoken" in first.cookies
    assert "csrftoken" not in second.cookies


def test_what_the_first_drawing_waits_for_is_the_end_of_the_page(reader: Client) -> None:
    page = _page(reader, THIRD)

    # A browser draws at the start tag: with the footer in its place, the footer grew after it was shown.
    assert '<link rel="expect" href="#page-end" blocking="render">' in page
    assert page.split('<span id="page-end" hidden></span>')[1].split() == ["</body>", "</html>"]


def test_a_message_is_shown_once(reader: Client) -> None:
    reader.post(f"{THIRD}flag/", {"comment": "Old."})

    assert "Thank you. Alice Moreau will see your remark" in _page(reader, THIRD)
    assert "Thank you." not in _page(reader, THIRD)


def test_a_message_waits_for_a_page_that_shows_it(reader: Client) -> None:
    reader.post(f"{THIRD}flag/", {"comment": "Old."})
    reader.get("/library/freshness.json")

    assert "Thank you." in _page(reader, "/library/glossary/")


def test_a_comment_to_correct_is_shown_to_its_sender_once(reader: Client, client: Client, bob: User) -> None:
    refused = reader.post(f"{THIRD}flag/", {"comment": "x" * 5_000})

    assert (refused.status_code, refused.content.decode().count("x" * 5_000)) == (422, 1)
    assert "xxx" not in _page(reader, THIRD)
    client.force_login(bob)
    assert "xxx" not in _page(client, THIRD)


def test_an_article_cannot_write_a_slot(reader: Client, content: Path) -> None:
    text = article_text("Third", f"{_SLOTS['csrf_token']} {_SLOTS['path']}\n")
    (content / "articles/train/third.md").write_text(text)

    assert f"{_SLOTS['csrf_token']} {_SLOTS['path']}" in _page(reader, THIRD)
