"""Playground sessions with a real site, a real worker process and a fake trainer that says what it was asked."""

import io
import signal
import zipfile
from collections.abc import Callable

import pytest

from playbook.contracts.prompting import PromptSettings
from playbook.contracts.run_spec import BaseModelRef
from playbook.contracts.states import EndReason, JobState
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.jobs import actions, playground
from playbook.web.jobs.models import Artifact, Job, PlaygroundAnswer, PlaygroundSession
from tests.waiting import wait_for
from tests.worker.stack import Site, WorkerProcess
from tests.worker.test_jobs import ended, is_gone

Launch = Callable[..., Job]
Start = Callable[..., WorkerProcess]


def adapter_zip(name: str = "adapter_model.safetensors") -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as archive:
        archive.writestr("adapter_config.json", "{}")
        archive.writestr(name, b"weights")
    return held.getvalue()


def start_session(tuned: Job) -> PlaygroundSession:
    return playground.start_session(
        use_case=tuned.use_case,
        base_model=BaseModelRef(id="ok"),
        tuned_job=tuned,
        prompt=PromptSettings(),
        max_new_tokens=16,
        started_by=tuned.created_by,
    )


@pytest.fixture
def tuned(launch: Launch, start_worker: Start) -> Job:
    """A job that a worker has run, with its adapter."""
    job = launch("ok", max_steps=2)
    worker = start_worker("first")
    assert ended(job) == (JobState.SUCCEEDED, EndReason.COMPLETED)
    worker.stop()
    return job


def answers(session: PlaygroundSession) -> list[tuple[str, str]]:
    done = PlaygroundAnswer.objects.filter(turn__session=session, is_done=True)
    return list(done.order_by("turn__number", "side").values_list("side", "text"))


def ask(session: PlaygroundSession, question: str) -> None:
    playground.ask(session, question=question, actor=User.objects.get(username="alice"))


def test_turns_go_to_the_trainer_and_answers_come_back(tuned: Job, start_worker: Start) -> None:
    session = start_session(tuned)
    ask(session, "hello")
    start_worker()
    wait_for(lambda: len(answers(session)) == 2)
    ask(session, "and now?")
    wait_for(lambda: len(answers(session)) == 4)
    assert answers(session) == [
        ("base", "base, 1 messages: hello"),
        ("tuned", "tuned, 1 messages: hello"),
        ("base", "base, 3 messages: and now?"),
        ("tuned", "tuned, 3 messages: and now?"),
    ]
    assert Job.objects.get(pk=session.job_id).state == JobState.RUNNING
    playground.close(session, actor=tuned.created_by)
    job = Job.objects.get(pk=session.job_id)
    assert ended(job) == (JobState.SUCCEEDED, EndReason.COMPLETED)
    assert job.end_message == "closed"


def test_an_answer_is_stopped_by_hand_and_by_closing(tuned: Job, start_worker: Start) -> None:
    session = start_session(tuned)
    ask(session, "never end")
    start_worker()
    wait_for(lambda: PlaygroundAnswer.objects.filter(turn__session=session).exists())
    playground.stop_answer(session, actor=tuned.created_by)
    wait_for(lambda: len(answers(session)) == 2)
    assert PlaygroundAnswer.objects.filter(turn__session=session, is_stopped=True).count() == 2
    ask(session, "never end")
    wait_for(lambda: PlaygroundAnswer.objects.filter(turn__session=session).count() == 3)
    playground.close(session, actor=tuned.created_by)
    assert ended(Job.objects.get(pk=session.job_id)) == (JobState.SUCCEEDED, EndReason.COMPLETED)
    assert len(answers(session)) == 4


def test_cancel_ends_a_session(tuned: Job, start_worker: Start) -> None:
    job = start_session(tuned).job
    worker = start_worker()
    trainer = worker.trainer_pid(job.pk)
    wait_for(lambda: Job.objects.get(pk=job.pk).state == JobState.RUNNING)
    actions.request_cancel(job, actor=tuned.created_by)
    assert ended(job) == (JobState.CANCELLED, EndReason.CANCELLED_BY_USER)
    assert is_gone(trainer)


def test_a_worker_that_is_killed_and_restarted_goes_on_with_the_session(tuned: Job, start_worker: Start) -> None:
    session = start_session(tuned)
    worker = start_worker()
    ask(session, "hello")
    wait_for(lambda: len(answers(session)) == 2)
    trainer = worker.trainer_pid(session.job_id)
    worker.stop(signal.SIGKILL)
    ask(session, "still there?")
    start_worker()
    wait_for(lambda: len(answers(session)) == 4)
    assert not is_gone(trainer)
    assert session.job.attempts.count() == 1
    turns = (worker.run_dir(session.job_id) / "turns.jsonl").read_text().splitlines()
    assert len(turns) == 2


def test_a_worker_that_stops_gives_the_session_back_and_another_answers(tuned: Job, start_worker: Start) -> None:
    session = start_session(tuned)
    worker = start_worker()
    ask(session, "hello")
    wait_for(lambda: len(answers(session)) == 2)
    worker.stop()
    assert Job.objects.get(pk=session.job_id).state == JobState.QUEUED
    ask(session, "anyone?")
    start_worker("gpu-2")
    wait_for(lambda: len(answers(session)) == 4)
    assert session.job.attempts.count() == 2


def test_an_adapter_with_a_pickle_in_it_is_not_unpacked(tuned: Job, start_worker: Start) -> None:
    blob = blobs.store([adapter_zip("adapter_model.bin")])
    Artifact.objects.filter(job=tuned, name="adapter.zip").update(sha256=blob.sha256, size_bytes=blob.size_bytes)
    job = start_session(tuned).job
    start_worker()
    assert ended(job) == (JobState.FAILED, EndReason.INPUT_MISMATCH)
    assert "adapter.zip holds 'adapter_model.bin'" in job.end_message


def test_an_adapter_that_was_altered_is_not_unpacked(tuned: Job, start_worker: Start) -> None:
    artifact = Artifact.objects.get(job=tuned, name="adapter.zip")
    file = blobs.path_of(artifact.sha256)
    sound = file.read_bytes()
    file.write_bytes(b"\x00" + sound[1:])
    try:
        job = start_session(tuned).job
        start_worker()
        assert ended(job) == (JobState.FAILED, EndReason.INPUT_MISMATCH)
    finally:
        file.write_bytes(sound)


def test_a_waiting_job_has_its_turn_after_the_session(
    site: Site, tuned: Job, launch: Launch, start_worker: Start
) -> None:
    session = start_session(tuned)
    waiting = launch("ok", max_steps=2)
    worker = start_worker()
    worker.trainer_pid(session.job_id)
    assert Job.objects.with_position().get(pk=waiting.pk).position == 1
    playground.close(session, actor=tuned.created_by)
    assert ended(waiting) == (JobState.SUCCEEDED, EndReason.COMPLETED)
