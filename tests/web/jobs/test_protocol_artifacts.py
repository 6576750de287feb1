"""Artifacts over HTTP: chunks, resuming, digests, what a zip may hold, and the checkpoint of the next attempt."""

import io
import zipfile
from pathlib import Path

import pytest
from pytest_django import DjangoCaptureOnCommitCallbacks, Settings

from playbook.web.common import blobs
from playbook.web.jobs import actions, queries
from playbook.web.jobs.models import Artifact, Attempt, Job
from tests.web.jobs.conftest import Caller
from tests.web.jobs.factories import sha256


def make_zip(*names: str, content: bytes = b"0123456789") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


ADAPTER = make_zip("adapter_config.json", "adapter_model.safetensors", "README.md")


def test_upload_in_chunks_resumes_at_the_received_offset(caller: Caller, job: Job) -> None:
    claim = caller.claimed()
    path = f"/jobs/{job.pk}/artifacts/adapter.zip"
    half = len(ADAPTER) // 2

    first = caller.send("PUT", f"{path}?attempt=1&offset=0", ADAPTER[:half], token=claim.job_token)
    replay = caller.send("PUT", f"{path}?attempt=1&offset=0", ADAPTER[:half], token=claim.job_token)
    where = caller.get(f"{path}?attempt=1", token=claim.job_token)
    second = caller.send("PUT", f"{path}?attempt=1&offset={half}", ADAPTER[half:], token=claim.job_token)
    body = {"attempt": 1, "sha256": sha256(ADAPTER), "size_bytes": len(ADAPTER)}
    done = caller.post(f"{path}/complete", body, token=claim.job_token)
    again = caller.post(f"{path}/complete", body, token=claim.job_token)

    assert (first.json(), where.json(), second.json()) == (
        {"offset": half},
        {"offset": half},
        {"offset": len(ADAPTER)},
    )
    assert (replay.status_code, replay.json()["offset"]) == (416, half)
    assert done.json() == again.json() == {"name": "adapter.zip", "sha256": sha256(ADAPTER)}
    assert blobs.path_of(sha256(ADAPTER)).read_bytes() == ADAPTER
    assert [artifact.name for artifact in queries.downloads(job)] == ["adapter.zip"]


def test_complete_before_all_bytes_arrived_gets_416(caller: Caller, job: Job) -> None:
    claim = caller.claimed()
    path = f"/jobs/{job.pk}/artifacts/adapter.zip"
    caller.send("PUT", f"{path}?attempt=1&offset=0", ADAPTER[:10], token=claim.job_token)
    body = {"attempt": 1, "sha256": sha256(ADAPTER), "size_bytes": len(ADAPTER)}
    response = caller.post(f"{path}/complete", body, token=claim.job_token)
    assert (response.status_code, response.json()["offset"]) == (416, 10)


def test_wrong_digest_is_refused_and_what_arrived_is_discarded(caller: Caller, job: Job) -> None:
    claim = caller.claimed()
    damaged = b"\x00" + ADAPTER[1:]
    response = caller.upload(claim, "adapter.zip", damaged, sha256=sha256(ADAPTER))
    where = caller.get(f"/jobs/{job.pk}/artifacts/adapter.zip?attempt=1", token=claim.job_token)
    assert response.status_code == 422
    assert response.json()["detail"] == (
        f"adapter.zip: the bytes received have sha256 {sha256(damaged)}, not {sha256(ADAPTER)}; "
        "send the file again from offset 0"
    )
    assert where.json() == {"offset": 0}
    assert not blobs.path_of(sha256(damaged)).exists()


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("adapter.zip", make_zip("adapter_model.bin"), "adapter.zip holds 'adapter_model.bin'; only .jinja, .json"),
        ("adapter.zip", make_zip("../evil.json"), "adapter.zip holds '../evil.json'"),
        ("checkpoint.zip", make_zip("step-000010/rng.pth"), "checkpoint.zip holds 'step-000010/rng.pth'"),
        ("checkpoint.zip", make_zip("/etc/passwd.json"), "checkpoint.zip holds '/etc/passwd.json'"),
        ("adapter.zip", b"not a zip", "adapter.zip is not a zip file"),
    ],
)
def test_zip_with_anything_but_plain_data_is_refused(
    caller: Caller, job: Job, name: str, data: bytes, said: str
) -> None:
    response = caller.upload(caller.claimed(), name, data, sha256=sha256(data))
    assert response.status_code == 422
    assert response.json()["detail"].startswith(said)
    assert Artifact.objects.count() == 0


def test_name_outside_the_allow_list_is_404(caller: Caller, job: Job) -> None:
    claim = caller.claimed()
    for name in ("pytorch_model.bin", "..%2Fsecret-key"):
        response = caller.send("PUT", f"/jobs/{job.pk}/artifacts/{name}?attempt=1&offset=0", b"", token=claim.job_token)
        assert response.status_code == 404


def test_checkpoint_of_a_lost_attempt_is_an_input_of_the_next(
    caller: Caller, job: Job, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    old = make_zip("step-000010/adapter_model.safetensors")
    new = make_zip("step-000020/adapter_model.safetensors")
    claim = caller.claimed()
    with django_capture_on_commit_callbacks(execute=True):
        caller.upload(claim, "checkpoint.zip", old, sha256=sha256(old))
        caller.upload(claim, "checkpoint.zip", new, sha256=sha256(new))
    actions.release(Attempt.objects.get())

    second = caller.claimed()

    checkpoint = second.inputs[-1]
    assert (checkpoint.name, checkpoint.sha256, len(second.inputs)) == ("checkpoint.zip", sha256(new), 4)
    fetched = caller.get(f"/jobs/{job.pk}/inputs/checkpoint.zip", token=second.job_token)
    assert b"".join(fetched.streaming_content) == new
    assert not blobs.path_of(sha256(old)).exists(), "a checkpoint that was replaced takes no space"
    assert list(queries.downloads(job)) == []


def test_checkpoint_goes_with_the_end_of_the_job(
    caller: Caller, job: Job, django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks
) -> None:
    checkpoint = make_zip("step-000010/adapter_model.safetensors")
    claim = caller.claimed()
    caller.upload(claim, "checkpoint.zip", checkpoint, sha256=sha256(checkpoint))
    caller.upload(claim, "adapter.zip", ADAPTER, sha256=sha256(ADAPTER))
    with django_capture_on_commit_callbacks(execute=True):
        caller.finish(claim, "failed", "diverged")
    assert list(Artifact.objects.values_list("name", flat=True)) == ["adapter.zip"]
    assert (blobs.path_of(sha256(checkpoint)).exists(), blobs.path_of(sha256(ADAPTER)).exists()) == (False, True)


def test_partial_files_go_with_the_attempt(
    caller: Caller,
    job: Job,
    settings: Settings,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    claim = caller.claimed()
    path = f"/jobs/{job.pk}/artifacts/adapter.zip?attempt=1&offset=0"
    caller.send("PUT", path, ADAPTER[:10], token=claim.job_token)
    uploads = Path(settings.PLAYBOOK_DATA_DIR) / "uploads"
    assert len(list(uploads.iterdir())) == 1
    with django_capture_on_commit_callbacks(execute=True):
        caller.finish(claim, "failed", "diverged")
    assert list(uploads.iterdir()) == []
