"""Worker protocol v1: JSON over HTTP, always called by the worker.

All paths start with `/api/worker/v1`; `claim` takes the worker token, everything below `/jobs/{id}` the job token.

| call | body → answer | refusals beside 401, 404, 409 |
|---|---|---|
| `POST /claim` | ClaimRequest → ClaimResponse, or 204 when nothing waits | 426 protocol version |
| `GET  /jobs/{id}/inputs/{name}` | → the bytes | |
| `POST /jobs/{id}/heartbeat` | HeartbeatRequest → HeartbeatResponse | |
| `POST /jobs/{id}/events?attempt=&offset=` | whole lines, raw → Offset | 413, 416 right offset, 422 not an event |
| `GET  /jobs/{id}/artifacts/{name}?attempt=` | → Offset: bytes received so far | |
| `PUT  /jobs/{id}/artifacts/{name}?attempt=&offset=` | a chunk, raw → Offset | 413, 416 |
| `POST /jobs/{id}/artifacts/{name}/complete` | ArtifactComplete → ArtifactStored | 416, 422 digest or content |
| `GET  /jobs/{id}/turns?attempt=&stops=` | → Turns: what waits for an answer in a playground session | |
| `POST /jobs/{id}/finish` | FinishRequest → FinishResponse | 422 report |
| `POST /jobs/{id}/release` | ReleaseRequest → FinishResponse | |

`release` gives the job back: the worker was told to stop, the next attempt goes on from the last checkpoint. A wrong
token is answered 401, a token that opens another job 404.
409 always means: this attempt is no longer the current one; stop the trainer and forget the job. A job token opens
one job alone and dies with its attempt. Names of artifacts come from `ARTIFACT_NAME`.
"""

import re
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

from playbook.contracts.events import Count
from playbook.contracts.merging import MERGED, MergeSpec
from playbook.contracts.model import Frozen, Sha256
from playbook.contracts.playground import PlaygroundSpec
from playbook.contracts.run_spec import RunSpec
from playbook.contracts.states import EndReason, JobState

#: 2: a claim may give a playground session, which a worker of version 1 cannot read. 3: or a merge.
PROTOCOL_VERSION = 3
MAX_CHUNK_BYTES = 8 * 1024 * 1024
MAX_ARTIFACT_BYTES = 4 * 1024**3
MAX_REPORT_BYTES = 64 * 1024 * 1024
MAX_EVENT_CHUNK_BYTES = 1024 * 1024
#: The allow-list. The zip files hold what `ZIP_SUFFIXES` says; `model.zip` is the whole model of `method: full`,
#: `merged.zip` that of a merge.
ARTIFACT_NAMES = ("report.json", "adapter.zip", "model.zip", MERGED, "checkpoint.zip")
ARTIFACT_NAME = re.compile("|".join(re.escape(name) for name in ARTIFACT_NAMES))
#: What may lie in a zip artifact, by suffix. No pickle: loading one runs whatever it says. `.model` is a SentencePiece
#: vocabulary, which is data.
ZIP_SUFFIXES: dict[str, frozenset[str]] = {
    "adapter.zip": frozenset({".safetensors", ".json", ".jinja", ".md", ".model", ".txt"}),
    "model.zip": frozenset({".safetensors", ".json", ".jinja", ".md", ".model", ".txt"}),
    MERGED: frozenset({".safetensors", ".json", ".jinja", ".md", ".model", ".txt"}),
    "checkpoint.zip": frozenset({".safetensors", ".json"}),
}
#: Text that every database keeps: PostgreSQL refuses the NUL character.
Name = Annotated[str, StringConstraints(pattern=r"^[^\x00]+$", max_length=300)]


class Gpu(Frozen):
    name: Name
    memory_bytes: int


class Capabilities(Frozen):
    hostname: Name
    gpus: tuple[Gpu, ...] = ()
    memory_bytes: int
    cpu_count: int
    base_models: tuple[Name, ...] = Field(description="ids of the base models in the worker's models folder")


class ClaimRequest(Frozen):
    protocol_version: int
    capabilities: Capabilities


class InputLocation(Frozen):
    """A file to fetch before the trainer starts. `name` is a path below `RUN_DIR`."""

    name: str
    url: str = Field(description="path on the site, opened by the job token")
    sha256: Sha256
    size_bytes: int


class ClaimResponse(Frozen):
    job_id: int
    attempt: int = Field(ge=1)
    lease_seconds: int
    job_token: str
    spec: RunSpec | PlaygroundSpec | MergeSpec
    inputs: tuple[InputLocation, ...]


class GpuTelemetry(Frozen):
    """One GPU at one moment. None: the driver does not say."""

    index: int = Field(ge=0, lt=64)
    memory_used_bytes: Count
    utilisation_percent: float | None = Field(default=None, ge=0, le=100)
    temperature_celsius: float | None = Field(default=None, ge=-100, le=300)


class Telemetry(Frozen):
    """How the worker's machine does while a job runs, all of the machine, not of the job alone."""

    memory_used_bytes: Count
    cpu_percent: float = Field(ge=0, le=100)
    gpus: tuple[GpuTelemetry, ...] = Field(default=(), max_length=16)

    def values(self) -> dict[str, float]:
        """Return each figure under the name of its curve: `machine.cpu_percent`, `gpu0.memory_used_bytes`."""
        found = {"machine.memory_used_bytes": float(self.memory_used_bytes), "machine.cpu_percent": self.cpu_percent}
        for gpu in self.gpus:
            for name, value in gpu.model_dump(exclude={"index"}, exclude_none=True).items():
                found[f"gpu{gpu.index}.{name}"] = float(value)
        return found


class HeartbeatRequest(Frozen):
    """`telemetry` may be left out: a worker without it beats as before."""

    attempt: int
    telemetry: Telemetry | None = None


class HeartbeatResponse(Frozen):
    lease_seconds: int
    cancel: bool


class Offset(Frozen):
    offset: int = Field(ge=0)


class ArtifactComplete(Frozen):
    attempt: int
    sha256: Sha256
    size_bytes: int = Field(ge=0)


class ArtifactStored(Frozen):
    name: str
    sha256: Sha256


class FinishRequest(Frozen):
    """How the run ended. `succeeded` goes with the reason `completed`, `cancelled` with `cancelled_by_user`."""

    attempt: int
    state: Literal[JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED]
    reason: EndReason
    message: str = Field(max_length=10_000)

    @model_validator(mode="after")
    def _reason_fits_the_state(self) -> Self:
        expected = {
            EndReason.COMPLETED: JobState.SUCCEEDED,
            EndReason.CANCELLED_BY_USER: JobState.CANCELLED,
        }.get(self.reason, JobState.FAILED)
        if self.state is not expected:
            raise ValueError(f"reason {self.reason} goes with state {expected}, got {self.state}")
        return self


class ReleaseRequest(Frozen):
    attempt: int


class FinishResponse(Frozen):
    state: JobState


class Refusal(Frozen):
    """The body of every 4xx answer. `offset` comes with 416 alone."""

    detail: str
    offset: int | None = None
