"""A broken article: its own page says what is wrong and where, and every other page stays up."""

import re
from html import unescape
from pathlib import Path

import pytest
from django.test import Client

from tests.web.wiki.shelf import article_text

BOMB = "---\na: &a [x, x]\nb: &b [*a, *a]\n---\ntext"
UNREADABLE: dict[str, tuple[bytes, str]] = {
    "five megabytes": (b"*" * 5_000_000, ":1 larger than 524,288 bytes; split it"),
    "no UTF-8": (b"---\ntitle: \xff\n---\nx", ":2 byte 0xff is not UTF-8; save the file as UTF-8"),
    "no front matter": (b"# Only text\n", ":1 no front matter; begin the file with ---, the fields, and --- again"),
    "no YAML": (b"---\ntitle: [\n---\nx", ":3 not YAML: did not find expected node content"),
    "a YAML bomb": (BOMB.encode(), ":2 anchors and aliases (& and *) are refused; write the value out"),
}
REFUSED = {
    "deep quotes": (">" * 10_000 + " x", ":7 quotes nested more than 20 deep; flatten them"),
    "many stars": ("*" * 100_000, ":7 paragraph over 40,000 characters; divide it"),
    "an open fence": ("```\n<script>alert(1)</script>", ":7 code fence ``` is opened here and never closed"),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_a_file_that_cannot_be_read_says_why(reader: Client, content: Path, case: str) -> None:
    data, message = UNREADABLE[case]
    (content / "articles/train/bad.md").write_bytes(data)

    broken = reader.get("/library/train/bad/")

    assert broken.status_code == 404
    assert f"articles/train/bad.md{message}" in _text(broken.content)
    assert reader.get("/library/train/second/").status_code == 200
    assert reader.get("/library/train/").status_code == 200


@pytest.mark.parametrize("case", REFUSED)
def test_text_that_cannot_be_rendered_is_shown_as_it_is(reader: Client, content: Path, case: str) -> None:
    body, message = REFUSED[case]
    (content / "articles/train/bad.md").write_text(article_text("Bad", body))

    broken = reader.get("/library/train/bad/")

    assert broken.status_code == 200
    assert f"articles/train/bad.md{message}" in _text(broken.content)
    assert "<script>alert" not in broken.content.decode()
    assert reader.get("/library/train/second/").status_code == 200


def _text(page: bytes) -> str:
    """Return the words of a page, without its tags."""
    return unescape(re.sub(r"<[^>]+>", "", page.decode()))
