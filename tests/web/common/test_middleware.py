"""What stands between a request and its view: the login, and compression, in which BREACH finds nothing to measure."""

import gzip
import re
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from playbook.web.accounts.models import User
from tests.conftest import PASSWORD

ACCEPT = {"Accept-Encoding": "gzip, deflate, br"}


@pytest.mark.parametrize("path", ["/library/", "/library/freshness.json", "/library/feed.atom", "/llms.txt"])
def test_text_is_compressed_when_the_browser_takes_it(client: Client, alice: User, path: str) -> None:
    client.force_login(alice)
    plain, packed = client.get(path), client.get(path, headers=ACCEPT)

    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in packed.headers["Vary"]
    assert len(gzip.decompress(packed.content)) == len(plain.content)
    assert len(packed.content) < len(plain.content) / 2
    assert "Content-Encoding" not in plain.headers


def test_neither_the_csrf_token_nor_the_size_repeats(client: Client, alice: User) -> None:
    client.force_login(alice)
    answers = [client.get("/library/", headers=ACCEPT).content for _ in range(8)]
    tokens = [set(re.findall(rb'X-CSRFToken": "(\w+)"', gzip.decompress(answer))) for answer in answers]

    assert len(set().union(*tokens)) == 8
    assert len({len(answer) for answer in answers}) > 1


def test_a_page_and_the_part_that_htmx_gets_are_kept_apart(client: Client, alice: User) -> None:
    client.force_login(alice)
    page, part = (
        client.get("/library/calculators/test-rows/", headers=headers) for headers in ({}, {"HX-Request": "true"})
    )

    assert ("<html" in page.content.decode(), "<html" in part.content.decode()) == (True, False)
    assert ["HX-Request" in answer.headers["Vary"] for answer in (page, part)] == [True, True]


def test_pictures_go_out_as_they_are(client: Client, alice: User, tmp_path: Path, settings: Settings) -> None:
    (tmp_path / "articles/train").mkdir(parents=True)
    picture = b"GIF89a\x02\x00\x01\x00" + b"\x00" * 500
    (tmp_path / "articles/train/dot.gif").write_bytes(picture)
    settings.PLAYBOOK_CONTENT_DIR = tmp_path
    client.force_login(alice)

    answer = client.get("/library/images/articles/train/dot.gif", headers=ACCEPT)

    assert "Content-Encoding" not in answer.headers
    assert b"".join(answer.streaming_content) == picture  # type: ignore[attr-defined]


PAGE = "http://testserver/decide/should-we-fine-tune/?by=alice#goal"


@pytest.mark.parametrize("method", ["get", "post"])
@pytest.mark.parametrize(
    ("seen", "back"),
    [
        (PAGE, "/decide/should-we-fine-tune/%3Fby%3Dalice%23goal"),
        ("https://elsewhere.example/decide/", "/"),
        ("", "/"),
    ],
)
def test_htmx_takes_the_whole_page_to_the_login(client: Client, method: str, seen: str, back: str) -> None:
    answer = getattr(client, method)("/use-cases/", headers={"HX-Request": "true", "HX-Current-URL": seen})

    assert (answer.status_code, answer.content) == (401, b"")
    assert answer.headers["HX-Redirect"] == f"/account/login/?next={back}"


def test_a_form_sent_after_the_session_ended_comes_back_to_its_page(client: Client, alice: User) -> None:
    answer = client.post("/decide/should-we-fine-tune/start/", headers={"Referer": PAGE})

    assert answer.headers["Location"] == "/account/login/?next=/decide/should-we-fine-tune/%3Fby%3Dalice%23goal"
    form = {"username": "alice", "password": PASSWORD}
    assert client.post(answer.headers["Location"], form).headers["Location"] == PAGE.removeprefix("http://testserver")


def test_a_page_asked_for_without_a_session_is_the_one_that_follows_the_login(client: Client) -> None:
    answer = client.get("/decide/?q=goal", headers={"Referer": PAGE})

    assert (answer.status_code, answer.headers["Location"]) == (302, "/account/login/?next=/decide/%3Fq%3Dgoal")


#: What every answer of a view says to the browser, whatever it is.
POLICY = [
    "base-uri 'none'",
    "connect-src 'self'",
    "default-src 'none'",
    "font-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "img-src 'self' data:",
    "manifest-src 'self'",
    "script-src 'self'",
    "style-src 'self'",
]
ALWAYS = {
    "X-Frame-Options": "DENY",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


@pytest.mark.parametrize(
    ("path", "status", "vary"),
    [
        ("/library/", 200, {"Accept-Encoding", "Cookie", "HX-Request"}),
        ("/library", 301, {"Cookie", "HX-Request"}),
        ("/library/no-area/no-article/", 404, {"Accept-Encoding", "Cookie", "HX-Request"}),
        ("/nowhere/", 404, {"Accept-Encoding", "Cookie", "HX-Request"}),
        ("/library/freshness.json", 200, {"Accept-Encoding", "Cookie", "HX-Request"}),
        ("/api/worker/v1/claim", 405, {"HX-Request"}),
        ("/theme/", 405, {"Cookie", "HX-Request"}),
    ],
)
def test_every_answer_has_the_headers_that_protect_it(
    client: Client, alice: User, path: str, status: int, vary: set[str]
) -> None:
    client.force_login(alice)
    answer = client.get(path)

    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in ALWAYS} == ALWAYS
    assert sorted(part.strip() for part in answer.headers["Content-Security-Policy"].split(";")) == POLICY
    assert set(answer.headers["Vary"].split(", ")) == vary
