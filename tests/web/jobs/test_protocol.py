"""The worker protocol as HTTP: tokens, claims, events, the end. Uploads stand in test_protocol_artifacts.py."""

import json
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from playbook.contracts import events
from playbook.contracts.events import Event
from playbook.contracts.protocol import MAX_EVENT_CHUNK_BYTES, PROTOCOL_VERSION
from playbook.contracts.states import EndReason, Stage
from playbook.web.accounts.models import User
from playbook.web.jobs import actions, curves
from playbook.web.jobs.models import Artifact, Attempt, Job, MetricPoint, Worker
from tests.web.jobs.conftest import Caller
from tests.web.jobs.factories import AT, event_file, make_report, sha256, split_bytes

STALE = {
    "detail": "This attempt is no longer the current one of its job; stop its trainer and forget it",
    "offset": None,
}


def lines(*sent: Event) -> bytes:
    return b"".join(event.model_dump_json().encode() + b"\n" for event in sent)


def metric(step: int, **values: float) -> events.MetricPoint:
    return events.MetricPoint(at=AT, step=step, values=values)


TRAINING = events.StageStarted(at=AT, stage=Stage.TRAINING)


def test_claim_answers_the_job_its_inputs_and_a_token(caller: Caller, job: Job) -> None:
    response = caller.claim()
    body = response.json()
    token = body.pop("job_token")
    assert response.status_code == 200
    assert body == {
        "job_id": job.pk,
        "attempt": 1,
        "lease_seconds": 60,
        "spec": job.spec,
        "inputs": [
            {
                "name": f"inputs/{file.name}",
                "url": f"/api/worker/v1/jobs/{job.pk}/inputs/{file.name}",
                "sha256": file.sha256,
                "size_bytes": file.size_bytes,
            }
            for file in job.run_spec.inputs
        ],
    }
    for file in job.run_spec.inputs:
        fetched = caller.get(f"/jobs/{job.pk}/inputs/{file.name}", token=token)
        assert b"".join(fetched.streaming_content) == split_bytes(file.split)


def test_claim_answers_204_when_nothing_waits(caller: Caller) -> None:
    response = caller.claim()
    assert (response.status_code, response.content) == (204, b"")


def test_claim_with_a_wrong_token_says_how_to_make_a_new_one(caller: Caller, job: Job) -> None:
    response = caller.claim(token="pbw_wrong")
    assert response.status_code == 401
    assert response.json() == {
        "detail": "The worker token that starts with 'pbw_wr' is not known here; make a new one on the site's machine: "
        "python manage.py create_worker NAME",
        "offset": None,
    }


def test_claim_without_a_token_is_refused(client: Client, db: None) -> None:
    response = client.post("/api/worker/v1/claim", {}, content_type="application/json")
    assert (response.status_code, response.json()["detail"][:40]) == (401, "No token: send 'Authorization: Bearer TO")


def test_claim_of_a_disabled_worker_is_refused(caller: Caller, job: Job) -> None:
    Worker.objects.update(disabled_at=timezone.now())
    response = caller.claim()
    assert (response.status_code, response.json()["detail"][:27]) == (401, "Worker 'gpu-1' is disabled;")


def test_claim_with_another_protocol_version_is_refused(caller: Caller, job: Job) -> None:
    response = caller.claim(protocol_version=99)
    assert response.status_code == 426
    assert response.json()["detail"].startswith(f"The worker speaks protocol version 99, this site {PROTOCOL_VERSION};")


def test_body_that_is_not_a_claim_is_named(caller: Caller) -> None:
    response = caller.post("/claim", {"protocol_version": PROTOCOL_VERSION}, token=caller.token)
    assert (response.status_code, response.json()["detail"]) == (
        422,
        "body.body.capabilities: Field required (1 problem)",
    )


@pytest.mark.parametrize("path", ["heartbeat", "finish", "release"])
def test_job_calls_refuse_a_wrong_token(caller: Caller, job: Job, path: str) -> None:
    claim = caller.claimed()
    response = caller.post(f"/jobs/{claim.job_id}/{path}", {"attempt": 1}, token="pbj_wrong")
    assert response.status_code == 401
    assert "claim a job to get a new one" in response.json()["detail"]


def test_worker_token_does_not_open_a_job_nor_a_job_token_the_claim(caller: Caller, job: Job) -> None:
    claim = caller.claimed()
    assert caller.post(f"/jobs/{job.pk}/heartbeat", {"attempt": 1}, token=caller.token).status_code == 401
    assert caller.claim(token=claim.job_token).status_code == 401


def test_job_token_opens_its_job_alone(caller: Caller, job: Job) -> None:
    claim = caller.claimed()
    for number in (job.pk + 1, 2**80):
        response = caller.post(f"/jobs/{number}/heartbeat", {"attempt": 1}, token=claim.job_token)
        assert (response.status_code, response.json()["detail"]) == (
            404,
            f"This job token opens job {job.pk} alone; job {number} is not found with it",
        )


def test_unknown_input_is_404(caller: Caller, job: Job) -> None:
    claim = caller.claimed()
    for name in ("secret.jsonl", "..%2F..%2Fsecret-key"):
        response = caller.get(f"/jobs/{job.pk}/inputs/{name}", token=claim.job_token)
        assert response.status_code == 404


def test_heartbeat_answers_lease_and_cancel(caller: Caller, job: Job, alice: User) -> None:
    claim = caller.claimed()
    path = f"/jobs/{job.pk}/heartbeat"
    before = caller.post(path, {"attempt": 1}, token=claim.job_token).json()
    actions.request_cancel(job, actor=alice)
    after = caller.post(path, {"attempt": 1}, token=claim.job_token).json()
    assert (before, after) == ({"lease_seconds": 60, "cancel": False}, {"lease_seconds": 60, "cancel": True})


def test_stale_attempt_gets_409_from_every_call(caller: Caller, job: Job) -> None:
    first = caller.claimed()
    actions.release(Attempt.objects.get())
    second = caller.claimed()
    finish = {"attempt": 1, "state": "failed", "reason": "diverged", "message": ""}
    artifact = f"/jobs/{job.pk}/artifacts/report.json"
    token = first.job_token
    answers: list[Any] = [
        caller.post(f"/jobs/{job.pk}/heartbeat", {"attempt": 1}, token=token),
        caller.events(first, lines(TRAINING)),
        caller.get(f"{artifact}?attempt=1", token=token),
        caller.send("PUT", f"{artifact}?attempt=1&offset=0", b"{}", token=token),
        caller.post(f"{artifact}/complete", {"attempt": 1, "sha256": "0" * 64, "size_bytes": 0}, token=token),
        caller.post(f"/jobs/{job.pk}/finish", finish, token=token),
        caller.post(f"/jobs/{job.pk}/release", {"attempt": 1}, token=token),
        # A live token with the number of another attempt is refused too.
        caller.post(f"/jobs/{job.pk}/heartbeat", {"attempt": 1}, token=second.job_token),
    ]
    assert [(answer.status_code, answer.json()) for answer in answers] == [(409, STALE)] * len(answers)


def test_events_move_the_job_to_running_at_the_first_training_event(caller: Caller, job: Job) -> None:
    claim = caller.claimed()
    data = lines(events.StageStarted(at=AT, stage=Stage.DATA))
    assert caller.events(claim, data).json() == {"offset": len(data)}
    job.refresh_from_db()
    assert (job.state, job.first_step_at) == ("validating_files", None)

    more = lines(TRAINING, metric(1, train_loss=2.0))
    assert caller.events(claim, more, offset=len(data)).json() == {"offset": len(data) + len(more)}
    job.refresh_from_db()
    assert (job.state, job.first_step_at is not None) == ("running", True)
    assert event_file(job) == data + more


def test_events_update_the_progress_of_the_attempt(caller: Caller, job: Job) -> None:
    claim = caller.claimed()
    progress = events.Progress(at=AT, stage=Stage.TRAINING, done=3, total=30, unit="steps", remaining_seconds=90.5)
    caller.events(claim, lines(progress))
    attempt = Attempt.objects.get()
    assert (
        attempt.stage,
        attempt.progress_done,
        attempt.progress_total,
        attempt.progress_unit,
        attempt.remaining_seconds,
        attempt.progress_percent,
    ) == ("training", 3, 30, "steps", 90.5, 10)


def test_events_at_a_wrong_offset_get_416_with_the_right_one(caller: Caller, job: Job) -> None:
    claim = caller.claimed()
    data = lines(TRAINING, metric(1, train_loss=2.0))
    caller.events(claim, data)
    replayed, gap = caller.events(claim, data), caller.events(claim, data, offset=len(data) + 7)
    assert [(answer.status_code, answer.json()["offset"]) for answer in (replayed, gap)] == [(416, len(data))] * 2
    assert (event_file(job), MetricPoint.objects.count()) == (data, 1)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"not json\n", "event line 1 of this call, line: Invalid JSON"),
        (lines(TRAINING) + b'{"kind": "party"}\n', "event line 2 of this call, line: Input tag 'party'"),
        (b"\n", "event line 1 of this call"),
        (lines(TRAINING)[:-1], "the last event line is not complete"),
        (json.dumps({"kind": "metric", "at": "x", "step": 10**30, "values": {}}).encode() + b"\n", "event line 1"),
    ],
)
def test_events_that_do_not_parse_get_422_and_leave_nothing(caller: Caller, job: Job, data: bytes, said: str) -> None:
    response = caller.events(caller.claimed(), data)
    assert response.status_code == 422
    assert response.json()["detail"].startswith(said)
    assert (event_file(job), Attempt.objects.get().event_bytes) == (b"", 0)


def test_events_over_the_limit_get_413(caller: Caller, job: Job) -> None:
    response = caller.events(caller.claimed(), b"x" * (MAX_EVENT_CHUNK_BYTES + 1))
    assert (response.status_code, response.json()["offset"]) == (413, None)


def test_values_that_are_not_finite_stay_in_the_log_and_out_of_the_curve(caller: Caller, job: Job) -> None:
    claim = caller.claimed()
    values = (2.0, float("nan"), float("inf"), 1.79e308)
    data = lines(*(metric(step, train_loss=value) for step, value in enumerate(values, start=1)))
    assert caller.events(claim, data).status_code == 200
    assert curves.of_jobs([job], ["train_loss"])[job.pk] == {"train_loss": [(1, 2.0)]}
    assert event_file(job) == data
    assert Attempt.objects.get().not_finite_step == 2


def test_finish_succeeded_needs_a_valid_report_of_this_run(caller: Caller, job: Job) -> None:
    claim = caller.claimed()
    missing = caller.finish(claim, "succeeded", "completed")
    caller.upload(claim, "report.json", b"{}", sha256=sha256(b"{}"))
    invalid = caller.finish(claim, "succeeded", "completed")
    other = make_report(job.run_spec.model_copy(update={"seed": 7})).model_dump_json().encode()
    caller.upload(claim, "report.json", other, sha256=sha256(other))
    foreign = caller.finish(claim, "succeeded", "completed")
    good = make_report(job.run_spec).model_dump_json().encode()
    caller.upload(claim, "report.json", good, sha256=sha256(good))
    done = caller.finish(claim, "succeeded", "completed")

    refusals = [missing, invalid, foreign]
    assert [answer.status_code for answer in refusals] == [422, 422, 422]
    assert [answer.json()["detail"] for answer in refusals] == [
        "no report.json was uploaded by attempt 1; upload it, then finish",
        "report.json is not a valid report: spec: Field required (9 problems)",
        f"report.json is about another run: its spec is not the one of job {job.pk}",
    ]
    assert (done.status_code, done.json()) == (200, {"state": "succeeded"})
    job.refresh_from_db()
    assert (job.state, job.end_reason) == ("succeeded", "completed")
    assert caller.finish(claim, "succeeded", "completed").status_code == 409


def test_a_partial_report_is_kept_of_a_cancelled_job_alone(caller: Caller, job: Job, alice: User) -> None:
    claim = caller.claimed()
    partial = make_report(job.run_spec).model_copy(update={"partial": True}).model_dump_json().encode()
    caller.upload(claim, "report.json", partial, sha256=sha256(partial))

    refused = caller.finish(claim, "succeeded", "completed")
    actions.request_cancel(job, actor=alice)
    done = caller.finish(claim, "cancelled", "cancelled_by_user")

    assert (refused.status_code, "says that it is partial" in refused.json()["detail"]) == (422, True)
    assert done.json() == {"state": "cancelled"}
    assert Artifact.objects.get(job=job, name="report.json").sha256 == sha256(partial)


def test_a_cancelled_job_forgets_a_report_that_cannot_be_read(caller: Caller, job: Job, alice: User) -> None:
    claim = caller.claimed()
    caller.upload(claim, "report.json", b"{}", sha256=sha256(b"{}"))
    actions.request_cancel(job, actor=alice)

    done = caller.finish(claim, "cancelled", "cancelled_by_user")

    assert done.json() == {"state": "cancelled"}
    assert not Artifact.objects.filter(job=job).exists()


def test_finish_with_a_reason_that_does_not_fit_is_refused(caller: Caller, job: Job) -> None:
    response = caller.finish(caller.claimed(), "succeeded", "diverged")
    assert response.status_code == 422
    assert "reason diverged goes with state failed, got succeeded" in response.json()["detail"]


def test_failed_attempt_keeps_its_reason_and_message(caller: Caller, job: Job) -> None:
    response = caller.finish(caller.claimed(), "failed", "out_of_memory", "MemoryError in step 3")
    job.refresh_from_db()
    assert response.json() == {"state": "failed"}
    assert (job.end_reason, job.end_message) == (EndReason.OUT_OF_MEMORY, "MemoryError in step 3")


def test_openapi_document_lists_every_endpoint_of_the_table(client: Client, db: None) -> None:
    document = client.get("/api/worker/v1/openapi.json").json()
    prefix = "/api/worker/v1"
    found = {(method, path.removeprefix(prefix)) for path, methods in document["paths"].items() for method in methods}
    assert found == {
        ("post", "/claim"),
        ("get", "/jobs/{job_id}/inputs/{name}"),
        ("get", "/jobs/{job_id}/turns"),
        ("post", "/jobs/{job_id}/heartbeat"),
        ("post", "/jobs/{job_id}/events"),
        ("get", "/jobs/{job_id}/artifacts/{name}"),
        ("put", "/jobs/{job_id}/artifacts/{name}"),
        ("post", "/jobs/{job_id}/artifacts/{name}/complete"),
        ("post", "/jobs/{job_id}/finish"),
        ("post", "/jobs/{job_id}/release"),
    }
