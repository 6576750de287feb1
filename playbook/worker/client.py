"""The worker protocol as calls: one method an endpoint, no retries (see `retry`), no knowledge of jobs.

Answers are contracts models. A 4xx raises `Refusal`, a 5xx or 429 `SiteFailure`; what httpx raises passes through.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import BaseModel, ValidationError

from playbook.contracts import protocol
from playbook.contracts.playground import Turns
from playbook.contracts.protocol import (
    ArtifactComplete,
    ArtifactStored,
    ClaimRequest,
    ClaimResponse,
    FinishRequest,
    FinishResponse,
    HeartbeatRequest,
    HeartbeatResponse,
    InputLocation,
    Offset,
    ReleaseRequest,
    Telemetry,
)

API = "/api/worker/v1"
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
#: Connecting is quick or hopeless; an answer may wait while the site checks the digest of a large artifact.
_TIMEOUT = httpx.Timeout(60, connect=5)

Answer = TypeVar("Answer", bound=BaseModel)
log = logging.getLogger(__name__)


class Refusal(Exception):
    """The site said no (4xx) and will say it again: the same call must not be repeated."""

    def __init__(self, status: int, detail: str, *, offset: int | None = None) -> None:
        super().__init__(f"{detail} (HTTP {status})")
        self.status = status
        self.detail = detail
        self.offset = offset

    @property
    def ends_the_attempt(self) -> bool:
        """True when the site no longer knows this attempt, whatever is called: the trainer must stop."""
        return self.status in (401, 404, 409)


class SiteFailure(Exception):
    """The site failed to answer (5xx) or asked for patience (429)."""

    def __init__(self, status: int, *, retry_after_seconds: float | None) -> None:
        super().__init__(f"the site answered HTTP {status}")
        self.status = status
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True)
class JobKey:
    """What opens one job for one attempt."""

    job_id: int
    attempt: int
    token: str


class Client:
    """A connection to one site. Safe to use from several threads."""

    def __init__(self, site: str, worker_token: str) -> None:
        self._worker_token = worker_token
        parts = urlsplit(site)
        self._origin = f"{parts.scheme}://{parts.netloc}"
        self._http = httpx.Client(
            base_url=site.rstrip("/") + API,
            timeout=_TIMEOUT,
            # A proxy of the environment leads out of the machine, never back into it.
            trust_env=parts.hostname not in _LOOPBACK,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.close()

    def claim(self, request: ClaimRequest) -> ClaimResponse | None:
        response = self._call("POST", "/claim", token=self._worker_token, json=request.model_dump(mode="json"))
        return None if response.status_code == 204 else _read(ClaimResponse, response)

    @contextmanager
    def input(self, key: JobKey, location: InputLocation) -> Iterator[Iterator[bytes]]:
        """Yield the bytes of an input as they arrive."""
        if not location.url.startswith("/") or location.url.startswith("//"):
            # The job token must not travel to another host.
            raise Refusal(404, f"input {location.name!r} is at {location.url!r}, which is not a path on the site")
        headers = {"Authorization": f"Bearer {key.token}"}
        with self._http.stream("GET", self._origin + location.url, headers=headers) as response:
            if response.status_code != 200:
                response.read()
                _raise_for(response)
            yield response.iter_bytes()

    def heartbeat(self, key: JobKey, telemetry: Telemetry | None = None) -> HeartbeatResponse:
        body = HeartbeatRequest(attempt=key.attempt, telemetry=telemetry)
        response = self._call("POST", f"/jobs/{key.job_id}/heartbeat", token=key.token, json=body.model_dump())
        return _read(HeartbeatResponse, response)

    def append_events(self, key: JobKey, *, offset: int, data: bytes) -> int:
        """Send whole lines and return the next offset."""
        params = {"attempt": key.attempt, "offset": offset}
        response = self._call("POST", f"/jobs/{key.job_id}/events", token=key.token, params=params, content=data)
        return _read(Offset, response).offset

    def turns(self, key: JobKey) -> Turns:
        """Return what waits for an answer in a playground session."""
        path = f"/jobs/{key.job_id}/turns"
        params = {"attempt": key.attempt, "stops": "true"}
        return _read(Turns, self._call("GET", path, token=key.token, params=params))

    def artifact_offset(self, key: JobKey, name: str) -> int:
        path = f"/jobs/{key.job_id}/artifacts/{name}"
        response = self._call("GET", path, token=key.token, params={"attempt": key.attempt})
        return _read(Offset, response).offset

    def put_chunk(self, key: JobKey, name: str, *, offset: int, data: bytes) -> int:
        """Send a chunk of an artifact and return the bytes received so far."""
        path = f"/jobs/{key.job_id}/artifacts/{name}"
        params = {"attempt": key.attempt, "offset": offset}
        response = self._call("PUT", path, token=key.token, params=params, content=data)
        return _read(Offset, response).offset

    def complete_artifact(self, key: JobKey, name: str, *, sha256: str, size_bytes: int) -> ArtifactStored:
        body = ArtifactComplete(attempt=key.attempt, sha256=sha256, size_bytes=size_bytes)
        path = f"/jobs/{key.job_id}/artifacts/{name}/complete"
        response = self._call("POST", path, token=key.token, json=body.model_dump())
        return _read(ArtifactStored, response)

    def finish(self, key: JobKey, request: FinishRequest) -> FinishResponse:
        path = f"/jobs/{key.job_id}/finish"
        response = self._call("POST", path, token=key.token, json=request.model_dump(mode="json"))
        return _read(FinishResponse, response)

    def release(self, key: JobKey) -> FinishResponse:
        body = ReleaseRequest(attempt=key.attempt)
        response = self._call("POST", f"/jobs/{key.job_id}/release", token=key.token, json=body.model_dump())
        return _read(FinishResponse, response)

    def _call(self, method: str, path: str, *, token: str, **arguments: Any) -> httpx.Response:
        response = self._http.request(method, path, headers={"Authorization": f"Bearer {token}"}, **arguments)
        if not response.is_success:
            _raise_for(response)
        return response


def _read(model: type[Answer], response: httpx.Response) -> Answer:
    try:
        return model.model_validate_json(response.content)
    except ValidationError as error:
        # Something between here and the site answers in its place, or the site is of another release.
        log.warning("%s answered what is not a %s: %s", response.url.path, model.__name__, response.text[:200])
        raise SiteFailure(response.status_code, retry_after_seconds=None) from error


def _raise_for(response: httpx.Response) -> None:
    if response.status_code >= 500 or response.status_code == 429:
        after = response.headers.get("Retry-After", "")
        raise SiteFailure(response.status_code, retry_after_seconds=float(after) if after.isdigit() else None)
    if response.is_redirect:
        target = response.headers.get("Location", "")
        raise Refusal(response.status_code, f"the site redirects to {target!r}; give that address as --site")
    try:
        refusal = protocol.Refusal.model_validate_json(response.content)
    except ValidationError:
        raise Refusal(
            response.status_code, f"no Playbook site answers at {response.url.copy_with(query=None)}; check --site"
        ) from None
    raise Refusal(response.status_code, refusal.detail, offset=refusal.offset)
