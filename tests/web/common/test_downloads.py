"""A file to keep, whole and in parts, as a browser asks for it that lost the connection."""

import pytest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.test import RequestFactory

from playbook.web.common import blobs
from playbook.web.common.downloads import download

# What closes an answer looks after the connections of the database too.
pytestmark = pytest.mark.django_db

CONTENT = bytes(range(100))
NAME = 'odd "name"; ü.zip'


@pytest.fixture
def sha256() -> str:
    return blobs.store([CONTENT]).sha256


def _get(**headers: str) -> HttpRequest:
    """Ask with these headers, whose names have `_` for `-`."""
    return RequestFactory().get("/", headers={name.replace("_", "-"): value for name, value in headers.items()})


def _answer(sha256: str, asked: HttpRequest) -> tuple[HttpResponseBase, bytes]:
    answer = download(asked, sha256=sha256, filename=NAME)
    content = b"".join(answer) if answer.streaming else answer.content  # type: ignore[attr-defined]
    answer.close()
    return answer, content


def test_the_whole_file_has_a_name_its_length_and_a_tag(sha256: str) -> None:
    answer, content = _answer(sha256, _get())
    assert (answer.status_code, content) == (200, CONTENT)
    assert {name: answer.headers[name] for name in ("Content-Length", "ETag", "Accept-Ranges", "Cache-Control")} == {
        "Content-Length": "100",
        "ETag": f'"{sha256}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": "private, no-cache",
    }
    assert answer.headers["Content-Disposition"] == "attachment; filename*=utf-8''odd%20%22name%22%3B%20%C3%BC.zip"


@pytest.mark.parametrize(
    ("asked", "begin", "end"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=90-", 90, 100),
        ("bytes=-5", 95, 100),
        ("bytes=95-500", 95, 100),
        ("bytes=-500", 0, 100),
    ],
)
def test_a_part_is_sent_with_where_it_stands(sha256: str, asked: str, begin: int, end: int) -> None:
    answer, content = _answer(sha256, _get(Range=asked, If_Range=f'"{sha256}"'))
    assert (answer.status_code, content) == (206, CONTENT[begin:end])
    assert answer.headers["Content-Range"] == f"bytes {begin}-{end - 1}/100"
    assert answer.headers["Content-Length"] == str(end - begin)
    assert answer.headers["ETag"] == f'"{sha256}"'
    assert NAME.rpartition(" ")[0].split()[0] in answer.headers["Content-Disposition"]


@pytest.mark.parametrize("asked", ["bytes=100-", "bytes=500-600", "bytes=-0"])
def test_what_is_not_there_is_refused_with_the_size(sha256: str, asked: str) -> None:
    answer, content = _answer(sha256, _get(Range=asked))
    assert (answer.status_code, content, answer.headers["Content-Range"]) == (416, b"", "bytes */100")


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-6", "rows=0-1", "bytes=9-2", "bytes=-", "bytes=x-", "bytes=" + "9" * 30 + "-"]
)
def test_what_is_no_single_range_gets_the_whole_file(sha256: str, asked: str) -> None:
    answer, content = _answer(sha256, _get(Range=asked))
    assert (answer.status_code, content) == (200, CONTENT)


def test_who_has_the_start_of_another_file_gets_this_one_from_its_start(sha256: str) -> None:
    answer, content = _answer(sha256, _get(Range="bytes=50-", If_Range='"another"'))
    assert (answer.status_code, content) == (200, CONTENT)


def test_who_has_the_file_is_sent_nothing(sha256: str) -> None:
    answer, content = _answer(sha256, _get(If_None_Match=f'"{sha256}"'))
    assert (answer.status_code, content, answer.headers["ETag"]) == (304, b"", f'"{sha256}"')


def test_a_question_for_the_headers_alone_is_told_of_the_whole_file(sha256: str) -> None:
    answer, _ = _answer(sha256, RequestFactory().head("/", headers={"Range": "bytes=0-9"}))
    assert (answer.status_code, answer.headers["Content-Length"]) == (200, "100")
