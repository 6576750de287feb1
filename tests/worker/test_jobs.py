"""Jobs from launch to end, with a real site, a real worker process and a fake trainer script."""

import json
import os
import signal
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psutil
from django.utils import timezone

from playbook.contracts.prompting import DocumentsFile
from playbook.contracts.protocol import PROTOCOL_VERSION, ClaimRequest
from playbook.contracts.report import Report
from playbook.contracts.states import EndReason, JobState
from playbook.web.common import blobs
from playbook.web.jobs import actions, curves, queries
from playbook.web.jobs.levels import Point
from playbook.web.jobs.models import Artifact, Attempt, Job
from playbook.worker.client import Client
from tests.waiting import DEADLINE_SECONDS, wait_for
from tests.web.jobs.factories import event_file, make_capabilities
from tests.worker.stack import Site, WorkerProcess

Launch = Callable[..., Job]
Start = Callable[..., WorkerProcess]


def ended(job: Job) -> tuple[str, str]:
    """Wait for the end of the job and return its state and reason."""

    def look() -> bool:
        job.refresh_from_db()
        return job.is_ended

    wait_for(look)
    return job.state, job.end_reason


def train_curve(job: Job) -> list[Point]:
    return curves.of_jobs([job], ["train_loss"])[job.pk]["train_loss"]


def at_step(job: Job, step: int) -> None:
    """Wait until the site has the loss of this step."""
    wait_for(lambda: any(point[0] == step for point in train_curve(job)))


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_job_succeeds_and_hands_over_events_report_and_adapter(launch: Launch, start_worker: Start) -> None:
    job = launch("ok", max_steps=5)
    worker = start_worker()

    assert ended(job) == (JobState.SUCCEEDED, EndReason.COMPLETED)

    run_dir = worker.run_dir(job.pk)
    assert job.end_message == "done"
    assert event_file(job) == (run_dir / "events.jsonl").read_bytes()
    assert [step for step, _ in train_curve(job)] == [1, 2, 3, 4, 5]
    assert job.first_step_at is not None
    stored = {artifact.name: blobs.path_of(artifact.sha256) for artifact in queries.downloads(job)}
    assert stored["report.json"].read_bytes() == (run_dir / "report.json").read_bytes()
    with zipfile.ZipFile(stored["adapter.zip"]) as archive:
        assert archive.namelist() == ["adapter_config.json", "adapter_model.safetensors"]
    assert (run_dir / "trainer.log").read_text() == "fake trainer ok no token\n"
    wait_for(lambda: not (run_dir / "worker.json").exists())


def test_a_run_that_tuned_every_weight_hands_over_the_whole_model(launch: Launch, start_worker: Start) -> None:
    job = launch("whole-model", max_steps=2)
    start_worker()

    assert ended(job) == (JobState.SUCCEEDED, EndReason.COMPLETED)

    stored = {artifact.name: blobs.path_of(artifact.sha256) for artifact in queries.downloads(job)}
    assert sorted(stored) == ["model.zip", "report.json"]
    with zipfile.ZipFile(stored["model.zip"]) as archive:
        assert archive.read("model.safetensors") == b"all weights"


#: What a trainer does → the reason with which its run ends, and what the end of the job says.
FAILURES = {
    "crash": (EndReason.TRAINER_CRASHED, "RuntimeError: the fake trainer fell over"),
    "killed": (
        EndReason.TRAINER_KILLED,
        "The trainer was killed by SIGKILL. The end of its output:\nfake trainer",
    ),
    "out-of-memory": (EndReason.OUT_OF_MEMORY, "Memory ran out in step 0."),
    "bad-event": (
        EndReason.TRAINER_CRASHED,
        "is not an event: Input tag 'party' found using 'kind' does not match",
    ),
    "no-report": (EndReason.TRAINER_CRASHED, "The trainer said that it completed, but wrote no report.json."),
    "bad-report": (EndReason.UPLOAD_FAILED, "report.json is not a valid report: spec: Field required"),
    "pickle": (EndReason.UPLOAD_FAILED, "adapter_model.bin may not be handed over in adapter.zip"),
}


def test_failed_run_says_why_and_the_worker_goes_on_with_the_next_job(launch: Launch, start_worker: Start) -> None:
    jobs = {behaviour: launch(behaviour) for behaviour in FAILURES}
    worker = start_worker()
    for behaviour, (reason, said) in FAILURES.items():
        job = jobs[behaviour]
        assert ended(job) == (JobState.FAILED, reason), behaviour
        assert said in job.end_message
        written = (worker.run_dir(job.pk) / "events.jsonl").read_bytes()
        assert event_file(job) == written.partition(b'{"kind": "party"}\n')[0], (
            f"{behaviour}: what was recorded is kept"
        )
    assert worker.process.poll() is None


def test_a_folder_that_cannot_be_made_ends_its_job_and_not_the_worker(
    launch: Launch, start_worker: Start, tmp_path: Path
) -> None:
    """On a disk that is full, or as here where something else lies in its place."""
    first, second = launch("ok"), launch("ok")
    (tmp_path / "gpu-1").mkdir()
    (tmp_path / "gpu-1" / f"job-{first.pk}-attempt-1").write_text("")

    start_worker("gpu-1")

    assert ended(first) == (JobState.FAILED, EndReason.TRAINER_CRASHED)
    assert first.end_message.startswith("On the worker: [Errno 17] File exists: ")
    assert ended(second) == (JobState.SUCCEEDED, EndReason.COMPLETED)


def test_each_job_runs_in_a_process_of_its_own_that_ends_with_it(launch: Launch, start_worker: Start) -> None:
    first, second = launch("ok", max_steps=25), launch("ok", max_steps=25)
    worker = start_worker(wait_after=12)
    one = worker.trainer_pid(first.pk)
    worker.let_go()
    assert ended(first) == (JobState.SUCCEEDED, EndReason.COMPLETED)
    wait_for(lambda: is_gone(one))
    assert ended(second) == (JobState.SUCCEEDED, EndReason.COMPLETED)
    processes = [path.read_text() for path in sorted(worker.work_dir.glob("job-*/pid"))]
    assert len(set(processes)) == 2


def test_cancel_ends_the_whole_process_group(launch: Launch, start_worker: Start) -> None:
    job = launch("stubborn")
    worker = start_worker(grace_seconds=1)
    trainer = worker.trainer_pid(job.pk)
    wait_for(lambda: [line.text for line in queries.log_tail(job)][-1:] == ["grandchildren started"])
    pids = [trainer, *(int(path.read_text()) for path in worker.run_dir(job.pk).glob("grandchild-*"))]

    assert actions.request_cancel(job, actor=job.created_by) is JobState.CANCELLING

    assert ended(job) == (JobState.CANCELLED, EndReason.CANCELLED_BY_USER)
    assert (len(pids), [pid for pid in pids if not is_gone(pid)]) == (3, [])
    job.refresh_from_db()
    assert job.end_message == (
        "The trainer was stopped. Its whole process group is gone, and the memory that it held is free again."
    )
    assert len(event_file(job)) > 0, "what was recorded is kept"


def test_cancel_during_the_evaluation_hands_over_the_partial_report(launch: Launch, start_worker: Start) -> None:
    job = launch("measuring", max_steps=25)
    worker = start_worker(wait_after=12)
    at_step(job, 12)

    actions.request_cancel(job, actor=job.created_by)

    assert ended(job) == (JobState.CANCELLED, EndReason.CANCELLED_BY_USER)
    stored = {artifact.name: blobs.path_of(artifact.sha256) for artifact in queries.downloads(job)}
    assert list(stored) == ["report.json"]
    assert stored["report.json"].read_bytes() == (worker.run_dir(job.pk) / "report.json").read_bytes()
    assert Report.model_validate_json(stored["report.json"].read_bytes()).partial


def test_a_run_that_fails_while_it_measures_hands_over_what_it_had_tuned_and_measured(
    launch: Launch, start_worker: Start
) -> None:
    job = launch("out-of-memory-measuring")
    start_worker()

    assert ended(job) == (JobState.FAILED, EndReason.OUT_OF_MEMORY)

    stored = {artifact.name: blobs.path_of(artifact.sha256) for artifact in queries.downloads(job)}
    assert sorted(stored) == ["adapter.zip", "report.json"]
    assert Report.model_validate_json(stored["report.json"].read_bytes()).partial
    with zipfile.ZipFile(stored["adapter.zip"]) as archive:
        assert archive.read("adapter_model.safetensors") == b"weights"


def test_a_job_searches_the_documents_of_its_spec(launch: Launch, start_worker: Start) -> None:
    blob = blobs.store([b'{"id": "a", "text": "Nine to five."}\n'])
    job = launch("ok")
    documents = DocumentsFile(sha256=blob.sha256, size_bytes=blob.size_bytes, documents=1)
    job.spec = job.run_spec.model_copy(update={"documents": documents}).model_dump(mode="json")
    job.save(update_fields=["spec"])

    worker = start_worker()

    assert ended(job) == (JobState.SUCCEEDED, EndReason.COMPLETED)
    fetched = worker.run_dir(job.pk) / "inputs" / "documents.jsonl"
    assert fetched.read_bytes() == blobs.path_of(blob.sha256).read_bytes()


def test_stale_attempt_is_stopped_and_the_other_worker_finishes(launch: Launch, start_worker: Start) -> None:
    job = launch("ok", max_steps=25)
    first = start_worker("gpu-1", wait_after=12)
    trainer = first.trainer_pid(job.pk)
    wait_for(lambda: Artifact.objects.filter(job=job, name="checkpoint.zip").exists())
    at_step(job, 12)
    first.process.send_signal(signal.SIGSTOP)  # a worker that fell silent

    Attempt.objects.filter(job=job).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    second = start_worker("gpu-2")

    assert ended(job) == (JobState.SUCCEEDED, EndReason.COMPLETED)
    assert list(job.attempts.values_list("number", "worker__name", "end")) == [
        (1, "gpu-1", "lease_lost"),
        (2, "gpu-2", "finished"),
    ]
    assert "from step 11" in [line.text for line in queries.log_tail(job) if line.attempt == 2]
    assert [step for step, _ in train_curve(job)] == list(range(1, 26))
    assert (second.run_dir(job.pk, 2) / "checkpoints" / "step-000010" / "state.json").exists()

    first.process.send_signal(signal.SIGCONT)
    wait_for(lambda: is_gone(trainer))
    wait_for(lambda: not (first.run_dir(job.pk) / "worker.json").exists())
    assert first.run_dir(job.pk).exists()


def test_killed_worker_takes_its_running_job_up_again(launch: Launch, start_worker: Start) -> None:
    job = launch("ok", max_steps=25)
    worker = start_worker(wait_after=12)
    trainer = worker.trainer_pid(job.pk)
    at_step(job, 12)
    worker.stop(signal.SIGKILL)
    assert not is_gone(trainer)

    start_worker()
    worker.let_go()

    assert ended(job) == (JobState.SUCCEEDED, EndReason.COMPLETED)
    assert list(job.attempts.values_list("number", "end")) == [(1, "finished")]
    assert event_file(job) == (worker.run_dir(job.pk) / "events.jsonl").read_bytes()


def test_killed_worker_reports_a_run_that_ended_meanwhile(launch: Launch, start_worker: Start) -> None:
    job = launch("ok", max_steps=25)
    worker = start_worker(wait_after=12)
    trainer = worker.trainer_pid(job.pk)
    at_step(job, 12)
    worker.stop(signal.SIGKILL)
    worker.let_go()
    wait_for(lambda: is_gone(trainer))

    start_worker()

    assert ended(job) == (JobState.SUCCEEDED, EndReason.COMPLETED)


def test_worker_restarted_after_its_lease_was_lost_ends_the_old_trainer(launch: Launch, start_worker: Start) -> None:
    job = launch("ok", max_steps=25)
    worker = start_worker(wait_after=12)
    trainer = worker.trainer_pid(job.pk)
    at_step(job, 12)
    worker.stop(signal.SIGKILL)
    actions.request_cancel(job, actor=job.created_by)
    Attempt.objects.filter(job=job).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    actions.reap_expired_leases()
    assert ended(job) == (JobState.CANCELLED, EndReason.CANCELLED_BY_USER)

    restarted = start_worker()

    wait_for(lambda: is_gone(trainer))
    wait_for(lambda: not (restarted.run_dir(job.pk) / "worker.json").exists())
    assert restarted.run_dir(job.pk).exists()


def test_stopped_worker_gives_the_job_back_and_leaves_no_process(launch: Launch, start_worker: Start) -> None:
    job = launch("ok", max_steps=25)
    worker = start_worker(wait_after=12)
    trainer = worker.trainer_pid(job.pk)
    wait_for(lambda: Artifact.objects.filter(job=job, name="checkpoint.zip").exists())

    assert worker.stop(signal.SIGTERM) == 0

    job.refresh_from_db()
    assert (job.state, is_gone(trainer)) == (JobState.QUEUED, True)
    worker.let_go()
    start_worker()
    assert ended(job) == (JobState.SUCCEEDED, EndReason.COMPLETED)
    assert list(job.attempts.values_list("number", "end")) == [(1, "released"), (2, "finished")]


def test_run_that_ended_for_want_of_a_lease_waits_for_its_lease_to_run_out(launch: Launch, start_worker: Start) -> None:
    job = launch("lease-lost")
    worker = start_worker()
    wait_for(lambda: "lease was last renewed 600 s ago" in worker.log.read_text())
    assert worker.stop() == 0
    job.refresh_from_db()
    assert job.state == JobState.VALIDATING_FILES

    Attempt.objects.filter(job=job).update(lease_expires_at=timezone.now() - timedelta(seconds=1))
    actions.reap_expired_leases()

    assert list(job.attempts.values_list("number", "end")) == [(1, "lease_lost")]
    job.refresh_from_db()
    assert job.state == JobState.QUEUED


def test_drained_worker_finishes_its_job_first(launch: Launch, start_worker: Start) -> None:
    job, other = launch("ok", max_steps=25), launch("ok")
    worker = start_worker(wait_after=12)
    worker.trainer_pid(job.pk)
    worker.process.send_signal(signal.SIGUSR1)
    worker.let_go()
    assert worker.process.wait(DEADLINE_SECONDS) == 0
    assert ended(job) == (JobState.SUCCEEDED, EndReason.COMPLETED)
    other.refresh_from_db()
    assert other.state == JobState.QUEUED


def test_site_restart_in_mid_job_loses_nothing(site: Site, launch: Launch, start_worker: Start) -> None:
    job = launch("ok", max_steps=40)
    worker = start_worker(wait_after=12)
    trainer = worker.trainer_pid(job.pk)
    at_step(job, 12)

    site.stop()
    try:
        worker.let_go()
        wait_for(lambda: is_gone(trainer))  # it goes on and completes while nobody listens
    finally:
        site.start()

    assert ended(job) == (JobState.SUCCEEDED, EndReason.COMPLETED)
    assert list(job.attempts.values_list("number", "end")) == [(1, "finished")]
    assert event_file(job) == (worker.run_dir(job.pk) / "events.jsonl").read_bytes()
    assert [step for step, _ in train_curve(job)] == list(range(1, 41))


def test_input_that_changed_on_the_site_ends_the_job(launch: Launch, start_worker: Start) -> None:
    job = launch("ok", max_steps=7)
    file = blobs.path_of(job.run_spec.inputs[0].sha256)
    sound = file.read_bytes()
    file.write_bytes(b"\x00" + sound[1:])
    try:
        start_worker()
        assert ended(job) == (JobState.FAILED, EndReason.INPUT_MISMATCH)
    finally:
        file.write_bytes(sound)
    assert job.end_message.startswith("inputs/train.jsonl arrived with sha256 ")


def test_claims_at_the_same_moment_give_each_job_once(site: Site, launch: Launch) -> None:
    jobs = sorted(launch("ok").pk for _ in range(10))
    tokens = [actions.create_worker(name=f"claimer-{n}", created_by=None)[1] for n in range(16)]
    request = ClaimRequest(protocol_version=PROTOCOL_VERSION, capabilities=make_capabilities("ok"))

    def claim(token: str) -> int | None:
        with Client(site.address, token) as client:
            found = client.claim(request)
            return found.job_id if found else None

    with ThreadPoolExecutor(len(tokens)) as pool:
        given = list(pool.map(claim, tokens))

    assert sorted(job for job in given if job is not None) == jobs
    assert sorted(Attempt.objects.values_list("job_id", flat=True)) == jobs


def test_run_note_with_the_job_token_is_private(launch: Launch, start_worker: Start) -> None:
    job = launch("ok", max_steps=25)
    worker = start_worker(wait_after=12)
    worker.trainer_pid(job.pk)
    note = worker.run_dir(job.pk) / "worker.json"
    assert (note.stat().st_mode & 0o777, json.loads(note.read_text())["attempt"]) == (0o600, 1)
    assert note.stat().st_uid == os.getuid()
    worker.let_go()
    assert ended(job) == (JobState.SUCCEEDED, EndReason.COMPLETED)
