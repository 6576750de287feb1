"""Client and retry against a fake site: what is repeated, what never is, what a person reads."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from playbook.contracts.protocol import PROTOCOL_VERSION, ClaimRequest, InputLocation
from playbook.worker.client import Client, JobKey, Refusal, SiteFailure
from playbook.worker.retry import FAULT_TRIES, GaveUp, retry
from tests.ports import port_of, reserve_port
from tests.web.jobs.factories import make_capabilities

KEY = JobKey(job_id=7, attempt=2, token="pbj_secret")
REQUEST = ClaimRequest(protocol_version=PROTOCOL_VERSION, capabilities=make_capabilities())
BEAT = json.dumps({"lease_seconds": 60, "cancel": False}).encode()


class FakeSite:
    """Answers with the given statuses and bodies in turn, the last one for ever, and remembers what was asked."""

    def __init__(self, *answers: tuple[int, bytes]) -> None:
        self.asked: list[tuple[str, str, str]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.answer()

            def do_GET(self) -> None:
                self.answer()

            def answer(self) -> None:
                status, body = answers[min(len(site.asked), len(answers) - 1)]
                site.asked.append((self.command, self.path, self.headers["Authorization"]))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def answering(*answers: tuple[int, bytes]) -> Iterator[tuple[FakeSite, Client]]:
    site = FakeSite(*answers)
    thread = threading.Thread(target=site.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        with Client(site.address, "pbw_secret") as client:
            yield site, client
    finally:
        site.server.shutdown()
        thread.join()
        site.server.server_close()


def never() -> bool:
    return False


def test_each_call_carries_its_own_token() -> None:
    with answering((204, b""), (200, BEAT)) as (site, client):
        assert client.claim(REQUEST) is None
        client.heartbeat(KEY)
    assert site.asked == [
        ("POST", "/api/worker/v1/claim", "Bearer pbw_secret"),
        ("POST", "/api/worker/v1/jobs/7/heartbeat", "Bearer pbj_secret"),
    ]


@pytest.mark.parametrize("status", [400, 401, 404, 409, 413, 416, 422, 426])
def test_refusal_is_never_repeated(status: int) -> None:
    body = json.dumps({"detail": "no, because", "offset": 12 if status == 416 else None}).encode()
    with answering((status, body)) as (site, client), pytest.raises(Refusal) as refused:
        retry(lambda: client.heartbeat(KEY), give_up=never)
    assert (refused.value.status, refused.value.detail, len(site.asked)) == (status, "no, because", 1)
    assert refused.value.ends_the_attempt == (status in (401, 404, 409))


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_site_that_is_away_is_asked_until_it_answers(status: int) -> None:
    with answering((status, b""), (status, b""), (200, BEAT)) as (site, client):
        answer = retry(lambda: client.heartbeat(KEY), give_up=never)
    assert (answer.lease_seconds, len(site.asked)) == (60, 3)


def test_lasting_fault_of_the_site_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("playbook.worker.retry._FIRST_WAIT_SECONDS", 0.001)
    with answering((500, b"")) as (site, client), pytest.raises(SiteFailure, match="HTTP 500"):
        retry(lambda: client.heartbeat(KEY), give_up=never)
    assert len(site.asked) == FAULT_TRIES


def test_answer_of_something_else_than_the_site_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("playbook.worker.retry._FIRST_WAIT_SECONDS", 0.001)
    with answering((200, b"<html>Please log in</html>"), (200, BEAT)) as (site, client):
        assert retry(lambda: client.heartbeat(KEY), give_up=never).cancel is False
    assert len(site.asked) == 2


def test_caller_may_give_up_on_a_site_that_is_away() -> None:
    with (
        reserve_port() as closed,
        Client(f"http://127.0.0.1:{port_of(closed)}", "pbw_secret") as client,
        pytest.raises(GaveUp),
    ):
        retry(lambda: client.claim(REQUEST), give_up=lambda: True)


def test_address_of_another_site_is_named() -> None:
    with answering((404, b"<html>nothing here</html>")) as (site, client), pytest.raises(Refusal) as refused:
        client.claim(REQUEST)
    assert refused.value.detail == f"no Playbook site answers at {site.address}/api/worker/v1/claim; check --site"


@pytest.mark.parametrize("url", ["//elsewhere.example/secret", "https://elsewhere.example/secret", "relative"])
def test_job_token_never_travels_to_another_host(url: str) -> None:
    location = InputLocation(name="inputs/train.jsonl", url=url, sha256="0" * 64, size_bytes=1)
    with answering((200, b"x")) as (site, client), pytest.raises(Refusal, match="is not a path on the site"):
        client.input(KEY, location).__enter__()
    assert site.asked == []
