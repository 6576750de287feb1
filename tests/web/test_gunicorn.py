"""The site as it is served: what gunicorn would answer by itself, before Django sees the request."""

import contextlib
import html
import http.client
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest

from tests.e2e.demo import database
from tests.waiting import DEADLINE_SECONDS
from tests.worker.stack import ROOT, Site


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """Somebody signed in to a real site, which serves its pages as in use."""
    with database() as environ:
        site = Site(tmp_path_factory.mktemp("served"), {**environ, "PLAYBOOK_MAX_UPLOAD_MB": "1"})
        _manage(site, "collectstatic", "--noinput", "-v0")
        password = _manage(site, "create_person", "erin", "Erin Vasquez").split()[-1]
        site.start()
        try:
            with httpx.Client(base_url=site.address, trust_env=False, timeout=DEADLINE_SECONDS) as client:
                form = client.get("/account/login/").text
                token = re.findall(r'name="csrfmiddlewaretoken" value="([^"]+)"', form)[0]
                fields = {"username": "erin", "password": password, "csrfmiddlewaretoken": token}
                assert client.post("/account/login/", data=fields).status_code == 302
                yield client
        finally:
            site.close()


def _manage(site: Site, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=site.environ,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


def _search(reader: httpx.Client, query: str) -> tuple[int, str]:
    """Ask with an address longer than httpx allows."""
    connection = http.client.HTTPConnection(reader.base_url.host, reader.base_url.port, timeout=DEADLINE_SECONDS)
    cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in reader.cookies.jar)
    with contextlib.closing(connection):
        connection.request("GET", f"/search/?q={quote(query)}", headers={"Cookie": cookie})
        answer = connection.getresponse()
        return answer.status, answer.read().decode()


@pytest.mark.parametrize("letter", ["x", '"', "é", "\U0001f600", "ש"], ids=["x", "quote", "accent", "emoji", "hebrew"])
def test_a_query_of_20_000_characters_gets_a_page(reader: httpx.Client, letter: str) -> None:
    """An emoji takes twelve characters of an address, so the longest of these is 240,000 bytes."""
    status, page = _search(reader, letter * 20_000)

    found = re.findall(r'id="search-q" name="q" value="([^"]*)"', page)
    assert (status, [html.unescape(value) for value in found]) == (200, [letter * 200])


def test_an_address_without_end_is_refused(reader: httpx.Client) -> None:
    assert _search(reader, "x" * 300_000)[0] in (400, 414)


@pytest.mark.parametrize(
    ("length", "status"), [("Content-Length: 1000000000000", 413), ("Transfer-Encoding: chunked", 403)]
)
def test_a_form_of_any_length_is_answered_before_it_is_read(reader: httpx.Client, length: str, status: int) -> None:
    """What has no length is not read either: without its CSRF token it is refused."""
    cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in reader.cookies.jar)
    head = (
        "POST /datasets/new/x/ HTTP/1.1",
        f"Host: {reader.base_url.netloc.decode()}",
        f"Cookie: {cookie}",
        "Content-Type: multipart/form-data; boundary=part",
        length,
        "",
        "",
    )
    with socket.create_connection((reader.base_url.host, reader.base_url.port), DEADLINE_SECONDS) as connection:
        connection.sendall("\r\n".join(head).encode())
        answer = http.client.HTTPResponse(connection)
        answer.begin()
        assert answer.status == status


def test_a_form_that_is_too_long_gets_its_page_though_all_of_it_is_sent_first(reader: httpx.Client) -> None:
    """As browsers do. The connection was reset while they were still sending, and the page was lost."""
    cookie = "; ".join(f"{cookie.name}={cookie.value}" for cookie in reader.cookies.jar)
    connection = http.client.HTTPConnection(reader.base_url.host, reader.base_url.port, timeout=DEADLINE_SECONDS)
    headers = {"Cookie": cookie, "Content-Type": "multipart/form-data; boundary=part"}
    with contextlib.closing(connection):
        connection.request("POST", "/datasets/new/x/", body=b"x" * 30_000_000, headers=headers)
        answer = connection.getresponse()
        page = answer.read().decode()
    assert (answer.status, "A file may have 1 MB here, and 30" in page) == (413, True)
