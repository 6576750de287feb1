"""Find a file of a package index and fetch it, continuing where an interrupted download stopped.

Used by `sample_model` alone, before any job: no training run opens a connection. Never import torch here.
"""

import contextlib
import os
import re
import ssl
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx

DEFAULT_INDEX_URL = "https://pypi.org/simple"
_CHUNK_BYTES = 1024 * 1024
_ATTEMPTS = 3
#: PEP 691: ask for JSON, accept the HTML of PEP 503.
_ACCEPT = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.5, text/html;q=0.2"

#: Called with (bytes on disk, bytes in all).
OnProgress = Callable[[int, int], None]


class DownloadError(Exception):
    """The file could not be fetched; the message is one sentence for a person."""


def index_url() -> str:
    """Return the package index that pip would use: PIP_INDEX_URL, pip's configuration, or PyPI."""
    from_environment = os.environ.get("PIP_INDEX_URL", "").strip()
    if from_environment:
        return from_environment.rstrip("/")
    found = subprocess.run(
        [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True, check=False
    )
    return (found.stdout.strip() if found.returncode == 0 else "").rstrip("/") or DEFAULT_INDEX_URL


def open_client() -> httpx.Client:
    """Return an HTTP client that trusts the certificates pip trusts (PIP_CERT, SSL_CERT_FILE)."""
    certificates = os.environ.get("PIP_CERT") or os.environ.get("SSL_CERT_FILE")
    context = ssl.create_default_context(cafile=certificates if certificates and Path(certificates).is_file() else None)
    return httpx.Client(verify=context, follow_redirects=True, timeout=httpx.Timeout(30, connect=10))


def find_file_url(client: httpx.Client, *, index: str, project: str, filename: str) -> str:
    """Return the address of `filename` on the project's page of a simple index (PEP 691 or PEP 503).

    Raises httpx.HTTPError when the index does not answer, DownloadError when it does not list the file.
    """
    page = f"{index}/{project}/"
    response = client.get(page, headers={"Accept": _ACCEPT})
    response.raise_for_status()
    links = _json_links(response) if "json" in response.headers.get("content-type", "") else _html_links(response)
    for name, href in links:
        if name == filename:
            return urljoin(str(response.url), href).split("#")[0]
    raise DownloadError(f"the package index {urlsplit(index).hostname} does not list {filename}")


def _json_links(response: httpx.Response) -> list[tuple[str, str]]:
    return [(file["filename"], file["url"]) for file in response.json()["files"]]


def _html_links(response: httpx.Response) -> list[tuple[str, str]]:
    parser = _LinkParser()
    parser.feed(response.text)
    return parser.links


class _LinkParser(HTMLParser):
    """Collects (text, href) of every anchor."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[tuple[str, str]] = []
        self._href: str | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._href = dict(attrs).get("href")

    def handle_data(self, data: str) -> None:
        if self._href is not None and data.strip():
            self.links.append((data.strip(), self._href))
            self._href = None


def fetch(client: httpx.Client, *, url: str, part: Path, on_progress: OnProgress) -> None:
    """Download `url` to `part`, continuing from its current size with an HTTP Range request.

    A connection that breaks is tried again from where it broke, 3 times in all. Raises httpx.HTTPError after that;
    what has arrived stays in `part` for the next call.
    """
    for _ in range(_ATTEMPTS - 1):
        with contextlib.suppress(httpx.TransportError):
            _fetch_once(client, url=url, part=part, on_progress=on_progress)
            return
    _fetch_once(client, url=url, part=part, on_progress=on_progress)


def _fetch_once(client: httpx.Client, *, url: str, part: Path, on_progress: OnProgress) -> None:
    have = part.stat().st_size if part.exists() else 0
    # "identity": an encoded body would make the byte offsets of a Range meaningless.
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={have}-"} if have else {})
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
            # Nothing follows our last byte: either the file is whole (the digest decides) or it is not this file.
            return
        response.raise_for_status()
        continues = _content_range_start(response) == have
        total = int(response.headers.get("content-length", 0)) + (have if continues else 0)
        done = have if continues else 0
        with part.open("ab" if continues else "wb") as file:
            for chunk in response.iter_bytes(_CHUNK_BYTES):
                file.write(chunk)
                done += len(chunk)
                on_progress(done, max(total, done))


def _content_range_start(response: httpx.Response) -> int | None:
    """Return the first byte that a 206 answer holds; None when the server sent the whole file instead."""
    if response.status_code != httpx.codes.PARTIAL_CONTENT:
        return None
    match = re.match(r"bytes (\d+)-", response.headers.get("content-range", ""))
    return int(match.group(1)) if match else None


def fetch_with_pip(requirement: str, *, into: Path) -> None:
    """Let pip fetch a wheel (it also knows find-links and extra indexes). Raises DownloadError with pip's last line."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "download", "--no-deps", "--retries", "1", "--dest", str(into), requirement],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or ["pip gave no reason"]
        raise DownloadError(f"pip download {requirement} failed: {lines[-1].removeprefix('ERROR: ')}")
