"""Artifacts on their way in: chunks appended to a partial file, then checked and kept as a content-addressed blob.

Called by `protocol_api`; `actions` asks it for the report when a job succeeds. Partial files lie under
`PLAYBOOK_DATA_DIR/uploads/<attempt>/<name>` and go with the attempt.
"""

import fcntl
import hashlib
import shutil
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from pydantic import ValidationError

from playbook.contracts.protocol import ARTIFACT_NAMES, MAX_ARTIFACT_BYTES, MAX_REPORT_BYTES, ZIP_SUFFIXES
from playbook.contracts.report import Report, first_problem
from playbook.web.common import blobs
from playbook.web.common.models import record
from playbook.web.jobs.errors import Refused, StaleAttempt, TooLarge, WrongOffset
from playbook.web.jobs.models import Artifact, Attempt

REPORT = "report.json"
CHECKPOINT = "checkpoint.zip"
_READ_BYTES = 1024 * 1024


def max_bytes(name: str) -> int:
    """Return the size limit of an artifact."""
    return MAX_REPORT_BYTES if name == REPORT else MAX_ARTIFACT_BYTES


def received(attempt: Attempt, name: str) -> int:
    """Return how many bytes of the artifact have arrived: where the next chunk belongs."""
    partial = _partial(attempt, name)
    return partial.stat().st_size if partial.exists() else 0


def append_chunk(attempt: Attempt, name: str, *, offset: int, data: bytes) -> int:
    """Append a chunk at `offset` and return the bytes received. Raises WrongOffset, or TooLarge over the limit."""
    if offset + len(data) > max_bytes(name):
        raise TooLarge(f"{name} is over the limit of {max_bytes(name):,} bytes")
    with _locked(_partial(attempt, name)) as file:
        size_bytes = file.seek(0, 2)
        if offset != size_bytes:
            raise WrongOffset(size_bytes)
        file.write(data)
        return size_bytes + len(data)


def complete(attempt: Attempt, name: str, *, sha256: str, size_bytes: int) -> Artifact:
    """Check the received bytes and keep them as the attempt's artifact; one of the same name is replaced.

    Calling it again after a lost answer returns the same artifact. Raises WrongOffset when bytes are missing, and
    Refused, after discarding what arrived, when the digest differs or a zip holds what it must not.
    """
    done = Artifact.objects.filter(attempt=attempt, name=name, sha256=sha256, size_bytes=size_bytes).first()
    partial = _partial(attempt, name)
    if done is not None:
        partial.unlink(missing_ok=True)
        return done
    with _locked(partial) as file:
        if file.seek(0, 2) < size_bytes:
            raise WrongOffset(file.tell())
        file.seek(0)
        problem = _content_problem(name, file, sha256)
        if problem:
            partial.unlink()
            raise Refused(problem)
        file.seek(0)
        blob = blobs.store(iter(lambda: file.read(_READ_BYTES), b""))
        artifact = _keep(attempt, name, blob)
        partial.unlink()
    return artifact


def discard_after_commit(attempt: Attempt) -> None:
    """Remove the attempt's partial files once the transaction that ends the attempt is through."""
    folder = _partial(attempt, REPORT).parent
    transaction.on_commit(lambda: shutil.rmtree(folder, ignore_errors=True))


def discard_checkpoints(job_pk: int) -> None:
    """Remove the checkpoints of a job that has ended: nothing resumes from them any more."""
    remove(Artifact.objects.filter(job=job_pk, name=CHECKPOINT))


def remove(artifacts: QuerySet[Artifact]) -> None:
    """Forget artifacts, and remove their bytes after commit unless another artifact has the same."""
    digests = list(artifacts.values_list("sha256", flat=True))
    artifacts.delete()
    transaction.on_commit(lambda: _remove_unused(digests))


def read_report(attempt: Attempt) -> Report:
    """Return the report that the attempt handed over. Raises Refused when there is none, or it is not sound."""
    artifact = Artifact.objects.filter(attempt=attempt, name=REPORT).first()
    if artifact is None:
        raise Refused(f"no {REPORT} was uploaded by attempt {attempt.number}; upload it, then finish")
    with blobs.open_blob(artifact.sha256) as file:
        try:
            report = Report.model_validate_json(file.read())
        except ValidationError as error:
            raise Refused(f"{REPORT} is not a valid report: {first_problem(error)}") from error
    if report.spec != attempt.job.run_spec:
        raise Refused(f"{REPORT} is about another run: its spec is not the one of job {attempt.job_id}")
    return report


def drop_unsound_report(attempt: Attempt) -> None:
    """Forget the report of a job that did not succeed unless it can be read: no page must fail for it."""
    try:
        read_report(attempt)
    except Refused:
        Artifact.objects.filter(attempt=attempt, name=REPORT).delete()


@transaction.atomic
def _keep(attempt: Attempt, name: str, blob: blobs.Blob) -> Artifact:
    if not Attempt.objects.live().filter(pk=attempt.pk).exists():
        raise StaleAttempt
    replaced = Artifact.objects.filter(attempt=attempt, name=name).values_list("sha256", flat=True).first()
    artifact, _ = Artifact.objects.update_or_create(
        attempt=attempt,
        name=name,
        defaults={"job_id": attempt.job_id, "sha256": blob.sha256, "size_bytes": blob.size_bytes},
    )
    record("stored artifact", attempt.job, actor=None, name=name, sha256=blob.sha256, attempt=attempt.number)
    if replaced and name == CHECKPOINT:
        transaction.on_commit(lambda: _remove_unused([replaced]))
    return artifact


def _remove_unused(digests: Iterable[str]) -> None:
    # A run saves a checkpoint each few steps, tens of megabytes each: only the newest is of use.
    for sha256 in digests:
        if not Artifact.objects.filter(sha256=sha256).exists():
            blobs.path_of(sha256).unlink(missing_ok=True)


def _content_problem(name: str, file: IO[bytes], sha256: str) -> str | None:
    digest = hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]
    if digest != sha256:
        return f"{name}: the bytes received have sha256 {digest}, not {sha256}; send the file again from offset 0"
    allowed = ZIP_SUFFIXES.get(name)
    if allowed is None:
        return None
    try:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
    except zipfile.BadZipFile as error:
        return f"{name} is not a zip file ({error}); build it again"
    for entry in entries:
        path = PurePosixPath(entry.filename)
        if path.suffix not in allowed or path.is_absolute() or ".." in path.parts:
            return f"{name} holds {entry.filename!r}; only {', '.join(sorted(allowed))} files may be handed over"
    if (total := sum(entry.file_size for entry in entries)) > MAX_ARTIFACT_BYTES:
        return f"{name} unpacks to {total:,} bytes, over the limit of {MAX_ARTIFACT_BYTES:,}"
    return None


def _partial(attempt: Attempt, name: str) -> Path:
    if name not in ARTIFACT_NAMES:
        raise ValueError(f"artifact name {name!r} is not one of {', '.join(ARTIFACT_NAMES)}")
    return Path(settings.PLAYBOOK_DATA_DIR) / "uploads" / str(attempt.pk) / name


@contextmanager
def _locked(partial: Path) -> Iterator[IO[bytes]]:
    """Open for reading and appending, alone: a chunk that is sent twice at once must not land twice."""
    partial.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
