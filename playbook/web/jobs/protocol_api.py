"""The worker protocol over HTTP (`playbook.contracts.protocol`): tokens in, contracts models in and out, refusals.

Each endpoint fetches by token, calls one action and answers. What an action refuses becomes a status code here and
nowhere else. The OpenAPI document is published at `openapi.json` beside the endpoints.
"""

from typing import Annotated, cast

from django.core.exceptions import RequestDataTooBig
from django.http import FileResponse, HttpRequest, HttpResponse
from django.urls import reverse
from ninja import NinjaAPI, Query, Status
from ninja.errors import AuthenticationError, ValidationError
from ninja.security import HttpBearer
from pydantic import Field

from playbook.contracts.dataset import Split
from playbook.contracts.merging import MergeSpec
from playbook.contracts.playground import PlaygroundSpec, Turns
from playbook.contracts.protocol import (
    ARTIFACT_NAMES,
    MAX_CHUNK_BYTES,
    MAX_EVENT_CHUNK_BYTES,
    PROTOCOL_VERSION,
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
    Refusal,
    ReleaseRequest,
)
from playbook.contracts.states import JobState
from playbook.scoring.figures import counted
from playbook.web.common import blobs
from playbook.web.jobs import actions, ingest, playground, queries, tokens, uploads
from playbook.web.jobs.errors import Refused, StaleAttempt, TooLarge, WrongOffset
from playbook.web.jobs.models import Attempt, Worker

NEW_TOKEN = "make a new one on the site's machine: python manage.py create_worker NAME"  # noqa: S105 - advice

api = NinjaAPI(title="Playbook worker protocol", version="1", docs_url=None, urls_namespace="worker-v1")
OffsetQuery = Annotated[int, Query(), Field(ge=0, lt=2**63)]


class _Answer(Exception):
    """A refusal with its status, raised where the answer depends on HTTP itself."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


class WorkerToken(HttpBearer):
    """Opens the claim. Answers with the Worker."""

    def authenticate(self, request: HttpRequest, token: str) -> Worker:
        worker = Worker.objects.filter(token_hash=tokens.digest(token)).first()
        if worker is None or not tokens.matches(token, worker.token_hash):
            raise _Answer(401, f"The worker token that starts with {token[:6]!r} is not known here; {NEW_TOKEN}")
        if worker.disabled_at is not None:
            raise _Answer(401, f"Worker {worker.name!r} is disabled; to enable it, {NEW_TOKEN}")
        return worker


class JobToken(HttpBearer):
    """Opens one job for one attempt. Answers with the live Attempt; 409 when it is no longer the current one."""

    def authenticate(self, request: HttpRequest, token: str) -> Attempt:
        found = Attempt.objects.filter(job_token_hash=tokens.digest(token)).select_related("job", "worker").first()
        if found is None or not tokens.matches(token, found.job_token_hash):
            raise _Answer(
                401, f"The job token that starts with {token[:6]!r} is not known here; claim a job to get a new one"
            )
        if found.worker.disabled_at is not None:
            raise _Answer(401, f"Worker {found.worker.name!r} is disabled; to enable it, {NEW_TOKEN}")
        if found.ended_at is not None:
            raise StaleAttempt
        return found


@api.post("/claim", auth=WorkerToken(), response={200: ClaimResponse, 204: None, 401: Refusal, 426: Refusal})
def claim(request: HttpRequest, body: ClaimRequest) -> Status[ClaimResponse | None]:
    """Take the next job that this worker can run."""
    if body.protocol_version != PROTOCOL_VERSION:
        raise _Answer(
            426,
            f"The worker speaks protocol version {body.protocol_version}, this site {PROTOCOL_VERSION}; "
            "install the same release of playbook on both",
        )
    claimed = actions.claim_next_job(cast(Worker, request.auth), body.capabilities)  # type: ignore[attr-defined]
    return Status(204, None) if claimed is None else Status(200, _claim_response(claimed))


@api.get("/jobs/{int:job_id}/inputs/{name}", auth=JobToken(), response={401: Refusal, 404: Refusal, 409: Refusal})
def get_input(request: HttpRequest, job_id: int, name: str) -> FileResponse:
    """Fetch a file that the claim listed."""
    attempt = _attempt(request, job_id)
    for location in _inputs(attempt):
        if location.url.rsplit("/", 1)[-1] == name and blobs.path_of(location.sha256).is_file():
            return FileResponse(blobs.open_blob(location.sha256), content_type="application/octet-stream")
    raise _Answer(404, f"Job {job_id} has no input {name!r} on this site; ask for the names that the claim listed")


@api.post(
    "/jobs/{int:job_id}/heartbeat",
    auth=JobToken(),
    response={200: HeartbeatResponse, 401: Refusal, 404: Refusal, 409: Refusal},
)
def heartbeat(request: HttpRequest, job_id: int, body: HeartbeatRequest) -> HeartbeatResponse:
    """Extend the lease and report how the machine does; learn whether to cancel."""
    attempt = _attempt(request, job_id, number=body.attempt)
    cancel = actions.heartbeat(attempt, body.telemetry)
    return HeartbeatResponse(lease_seconds=int(actions.lease().total_seconds()), cancel=cancel)


@api.post(
    "/jobs/{int:job_id}/events",
    auth=JobToken(),
    response={200: Offset, 401: Refusal, 404: Refusal, 409: Refusal, 413: Refusal, 416: Refusal, 422: Refusal},
)
def append_events(request: HttpRequest, job_id: int, attempt: int, offset: OffsetQuery) -> Offset:
    """Append whole lines of events.jsonl, sent raw."""
    found = _attempt(request, job_id, number=attempt)
    data = _raw_body(request, limit=MAX_EVENT_CHUNK_BYTES)
    return Offset(offset=ingest.append_events(found, offset=offset, data=data))


@api.get(
    "/jobs/{int:job_id}/turns",
    auth=JobToken(),
    response={200: Turns, 401: Refusal, 404: Refusal, 409: Refusal},
)
def turns(request: HttpRequest, job_id: int, attempt: int, stops: bool = False) -> Turns:
    """What waits for an answer in a playground session. `stops`: the worker reads which answers are to end."""
    waiting = playground.waiting_turns(_attempt(request, job_id, number=attempt).job)
    return waiting if stops else waiting.model_copy(update={"stopped": ()})


@api.get(
    "/jobs/{int:job_id}/artifacts/{name}",
    auth=JobToken(),
    response={200: Offset, 401: Refusal, 404: Refusal, 409: Refusal},
)
def artifact_offset(request: HttpRequest, job_id: int, name: str, attempt: int) -> Offset:
    """Say how many bytes of an artifact have arrived."""
    return Offset(offset=uploads.received(_attempt(request, job_id, number=attempt), _artifact_name(name)))


@api.put(
    "/jobs/{int:job_id}/artifacts/{name}",
    auth=JobToken(),
    response={200: Offset, 401: Refusal, 404: Refusal, 409: Refusal, 413: Refusal, 416: Refusal},
)
def put_chunk(request: HttpRequest, job_id: int, name: str, attempt: int, offset: OffsetQuery) -> Offset:
    """Append a chunk of an artifact, sent raw."""
    found = _attempt(request, job_id, number=attempt)
    _artifact_name(name)
    data = _raw_body(request, limit=MAX_CHUNK_BYTES)
    return Offset(offset=uploads.append_chunk(found, name, offset=offset, data=data))


@api.post(
    "/jobs/{int:job_id}/artifacts/{name}/complete",
    auth=JobToken(),
    response={200: ArtifactStored, 401: Refusal, 404: Refusal, 409: Refusal, 416: Refusal, 422: Refusal},
)
def complete_artifact(request: HttpRequest, job_id: int, name: str, body: ArtifactComplete) -> ArtifactStored:
    """Check an artifact that has arrived in full, and keep it."""
    found = _attempt(request, job_id, number=body.attempt)
    artifact = uploads.complete(found, _artifact_name(name), sha256=body.sha256, size_bytes=body.size_bytes)
    return ArtifactStored(name=artifact.name, sha256=artifact.sha256)


@api.post(
    "/jobs/{int:job_id}/finish",
    auth=JobToken(),
    response={200: FinishResponse, 401: Refusal, 404: Refusal, 409: Refusal, 422: Refusal},
)
def finish(request: HttpRequest, job_id: int, body: FinishRequest) -> FinishResponse:
    """Report how the run ended."""
    attempt = _attempt(request, job_id, number=body.attempt)
    return FinishResponse(
        state=actions.finish(attempt, state=JobState(body.state), reason=body.reason, message=body.message)
    )


@api.post(
    "/jobs/{int:job_id}/release",
    auth=JobToken(),
    response={200: FinishResponse, 401: Refusal, 404: Refusal, 409: Refusal},
)
def release(request: HttpRequest, job_id: int, body: ReleaseRequest) -> FinishResponse:
    """Give the job back because the worker stops."""
    return FinishResponse(state=actions.release(_attempt(request, job_id, number=body.attempt)))


def _claim_response(claimed: actions.Claim) -> ClaimResponse:
    attempt = claimed.attempt
    return ClaimResponse(
        job_id=attempt.job_id,
        attempt=attempt.number,
        lease_seconds=int(actions.lease().total_seconds()),
        job_token=claimed.job_token,
        spec=queries.spec_of(attempt.job),
        inputs=tuple(_inputs(attempt)),
    )


def _inputs(attempt: Attempt) -> list[InputLocation]:
    """The splits, documents to search, and the checkpoint to resume from when an earlier attempt left one. A merge gets
    the adapter and the report of its run besides.

    Work on a prompt answers the validation split; the locked test split stays on the site.
    """
    job = attempt.job

    def location(path: str, sha256: str, size_bytes: int) -> InputLocation:
        url = reverse("worker-v1:get_input", args=[job.pk, path.rsplit("/", 1)[-1]])
        return InputLocation(name=path, url=url, sha256=sha256, size_bytes=size_bytes)

    asked = queries.spec_of(job)
    if isinstance(asked, PlaygroundSpec):
        adapter = asked.adapter
        return [location("inputs/adapter.zip", adapter.sha256, adapter.size_bytes)] if adapter else []
    spec = asked.run if isinstance(asked, MergeSpec) else asked
    unread = {Split.TEST} - {spec.evaluation.split}
    files = [file for file in spec.inputs if file.split not in unread]
    found = [location(f"inputs/{file.name}", file.sha256, file.size_bytes) for file in files]
    if (documents := spec.documents) is not None:
        found.append(location(f"inputs/{documents.name}", documents.sha256, documents.size_bytes))
    if isinstance(asked, MergeSpec):
        found.append(location("inputs/adapter.zip", asked.adapter.sha256, asked.adapter.size_bytes))
        found.append(location("inputs/report.json", asked.report.sha256, asked.report.size_bytes))
    if (checkpoint := queries.checkpoint_before(attempt)) is not None:
        found.append(location(checkpoint.name, checkpoint.sha256, checkpoint.size_bytes))
    return found


def _attempt(request: HttpRequest, job_id: int, *, number: int | None = None) -> Attempt:
    """Return the token's attempt if it is of this job and, where the call names one, of this number."""
    attempt = cast(Attempt, request.auth)  # type: ignore[attr-defined]
    if attempt.job_id != job_id:
        raise _Answer(404, f"This job token opens job {attempt.job_id} alone; job {job_id} is not found with it")
    if number is not None and number != attempt.number:
        raise StaleAttempt
    return attempt


def _artifact_name(name: str) -> str:
    if name not in ARTIFACT_NAMES:
        raise _Answer(404, f"Artifact {name!r} is not one of {', '.join(ARTIFACT_NAMES)}")
    return name


def _raw_body(request: HttpRequest, *, limit: int) -> bytes:
    # Read from the stream, which Django's limit for forms does not govern; never more than one byte over ours.
    data = request.read(limit + 1)
    if len(data) > limit:
        raise TooLarge(f"the body is over {limit:,} bytes; send smaller chunks")
    return data


def _refuse(request: HttpRequest, status: int, detail: str, *, offset: int | None = None) -> HttpResponse:
    return api.create_response(request, Refusal(detail=detail, offset=offset).model_dump(), status=status)


@api.exception_handler(_Answer)
def _on_answer(request: HttpRequest, error: _Answer) -> HttpResponse:
    return _refuse(request, error.status, error.detail)


@api.exception_handler(AuthenticationError)
def _on_no_token(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    return _refuse(request, 401, f"No token: send 'Authorization: Bearer TOKEN'. For a worker, {NEW_TOKEN}")


@api.exception_handler(StaleAttempt)
def _on_stale(request: HttpRequest, error: StaleAttempt) -> HttpResponse:
    return _refuse(request, 409, "This attempt is no longer the current one of its job; stop its trainer and forget it")


@api.exception_handler(WrongOffset)
def _on_wrong_offset(request: HttpRequest, error: WrongOffset) -> HttpResponse:
    return _refuse(request, 416, str(error), offset=error.offset)


@api.exception_handler(TooLarge)
def _on_too_large(request: HttpRequest, error: TooLarge) -> HttpResponse:
    return _refuse(request, 413, str(error))


@api.exception_handler(RequestDataTooBig)
def _on_body_too_big(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    return _refuse(request, 413, str(error))


@api.exception_handler(Refused)
def _on_refused(request: HttpRequest, error: Refused) -> HttpResponse:
    return _refuse(request, 422, str(error))


@api.exception_handler(ValidationError)
def _on_invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    first = error.errors[0]
    where = ".".join(str(part) for part in first["loc"])
    return _refuse(request, 422, f"{where}: {first['msg']} ({counted(len(error.errors), 'problem')})")
