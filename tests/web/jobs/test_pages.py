"""The pages of jobs: launch, watch, cancel, read the report, download; and who may."""

import json
import re
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from django.conf import settings
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from playbook.contracts.states import EndReason, JobState
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.datasets.actions import import_sample_dataset
from playbook.web.decisions.models import Decision
from playbook.web.jobs import actions
from playbook.web.jobs.models import Job
from playbook.web.usecases.models import UseCase
from tests.web.decided import accepted, proposed
from tests.web.jobs.ended import claimed_job, send_events, succeeded_job
from tests.web.jobs.factories import make_capabilities, make_job

LAUNCH = {"title": "Tickets, first try", "recipe": "support-tickets-lora"}


@pytest.fixture
def sample(db: None) -> str:
    """The primary key of the shipped sample dataset, as the form sends it."""
    return str(import_sample_dataset(Path(settings.PLAYBOOK_CONTENT_DIR) / "datasets/support-tickets").pk)


@pytest.fixture
def decision(use_case: UseCase, alice: User, bob: User, charlie: User) -> Decision:
    return accepted(use_case, author=alice, ml_lead=bob, product_owner=charlie)


def test_launching_from_an_accepted_decision_queues_the_job_and_fixes_the_criterion(
    client: Client, decision: Decision, alice: User, sample: str
) -> None:
    client.force_login(alice)
    answer = client.post(f"/jobs/new/?decision={decision.number}", {**LAUNCH, "dataset": sample, "max_steps": "12"})
    job = Job.objects.get()
    assert (answer.status_code, answer.headers["Location"]) == (302, f"/jobs/{job.pk}/")
    assert (job.state, job.decision, job.base_model) == ("queued", decision, "smollm2-135m-instruct")
    assert job.run_spec.training.max_steps == 12
    assert job.estimated_seconds is not None
    decision.refresh_from_db()
    assert decision.criterion_locked_at is not None


def test_a_proposed_decision_launches_nothing_and_says_why(
    client: Client, use_case: UseCase, alice: User, sample: str
) -> None:
    decision = proposed(use_case, alice)
    client.force_login(alice)
    answer = client.post(f"/jobs/new/?decision={decision.number}", {**LAUNCH, "dataset": sample})
    assert answer.status_code == 422
    assert "its signatures come first" in answer.content.decode()
    assert Job.objects.count() == 0


def test_the_estimate_changes_with_the_form_through_htmx(
    client: Client, use_case: UseCase, alice: User, sample: str
) -> None:
    client.force_login(alice)

    def shown(**changes: str) -> str:
        query = {"use_case": use_case.slug, **LAUNCH, "dataset": sample, **changes}
        return client.get("/jobs/new/", query, headers={"HX-Request": "true"}).content.decode()

    few, many = shown(max_steps="10"), shown(max_steps="2000")
    assert few.lstrip().startswith("<section")
    assert "160 answers on the test set" in few
    assert few != many
    assert "Complete the form" in shown(max_steps="-1")


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("max_steps", "0", "max_steps is 0; it must be from 1 to 1,000,000."),
        ("learning_rate", "1000", "learning_rate is 1000; it must be above 0, at most 1."),
        ("learning_rate", "nan", "learning_rate is nan; it must be a finite number above 0, at most 1."),
        ("learning_rate", "a tenth", "learning_rate is a tenth; it must be a finite number above 0, at most 1."),
        ("max_grad_norm", "inf", "max_grad_norm is inf; it must be a finite number at least 0."),
        ("warmup_steps", "nan", "warmup_steps is nan; it must be a whole number from 0 to 1,000,000."),
        ("max_steps", "many", "max_steps is many; it must be a whole number from 1 to 1,000,000."),
        ("r", "1.5", "r is 1.5; it must be a whole number from 1 to 1,024."),
        ("early_stopping_patience", "nan", "early_stopping_patience is nan; it must be a whole number from 1 to"),
        ("warmup_steps", str(10**30), f"warmup_steps is {10**30}; it must be from 0 to 1,000,000."),
        ("warmup_steps", "5000", "warmup_steps is 5000, beyond max_steps "),
        ("r", "0", "r is 0; it must be from 1 to 1,024."),
        ("base_model", "gpt-5", "Base model “gpt-5” is unknown: it is neither in the site&#x27;s list nor in the"),
        ("base_model", "../../etc", "must not contain &#x27;..&#x27;"),
        ("arms", "nothing", "Select a valid choice."),
        ("priority", "11", "less than or equal to 10"),
        ("recipe", "nothing", "not one of the available choices"),
        ("dataset", "999999", "not one of the available choices"),
        ("seed", "-1", "seed is -1; it must be at least 0, below 4,294,967,296."),
    ],
)
def test_a_wrong_setting_is_refused_with_the_reason(
    client: Client, use_case: UseCase, alice: User, sample: str, field: str, value: str, message: str
) -> None:
    client.force_login(alice)
    answer = client.post(f"/jobs/new/?use_case={use_case.slug}", {**LAUNCH, "dataset": sample, field: value})
    assert answer.status_code == 422
    assert message in answer.content.decode()
    assert Job.objects.count() == 0


def test_the_time_that_a_job_took_is_told_apart_from_its_time_in_the_queue(
    client: Client, use_case: UseCase, alice: User
) -> None:
    job = succeeded_job(use_case, alice)
    start = job.created_at + timedelta(minutes=12)
    times = {"started_at": start, "first_step_at": start + timedelta(seconds=9), "estimated_seconds": 70}
    Job.objects.filter(pk=job.pk).update(**times, ended_at=start + timedelta(seconds=65))
    client.force_login(alice)
    told = "Took 1 min 05 s (estimated 1 min 10 s), after 12 min 00 s in the queue; first training step 9.0 s after its"
    assert told in client.get(f"/jobs/{job.pk}/").content.decode()
    assert '<td class="num" data-label="took">1 min 05 s</td>' in client.get("/jobs/").content.decode()


def test_new_without_a_target_is_404(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.get("/jobs/new/").status_code == 404


def test_a_running_job_shows_stage_progress_curve_and_log_and_polls(
    client: Client, use_case: UseCase, alice: User
) -> None:
    attempt = claimed_job(use_case, alice)
    send_events(
        attempt,
        {"kind": "stage_started", "stage": "training"},
        {"kind": "metric", "step": 1, "values": {"train_loss": 1.25}},
        {"kind": "metric", "step": 2, "values": {"train_loss": 0.75}},
        {"kind": "progress", "stage": "training", "done": 2, "total": 30, "unit": "steps", "remaining_seconds": 65},
        {"kind": "log", "message": "loss <b>0.75</b>"},
    )
    client.force_login(alice)
    page = client.get(f"/jobs/{attempt.job_id}/").content.decode()
    assert '<span class="badge info">running</span>' in page
    assert '<li data-state="now" aria-current="step">Training' in page
    assert "2 of 30 steps · about 1 min 05 s left" in page
    assert "Training loss: from 1.25 at 1 to 0.75 at 2." in page
    assert "loss &lt;b&gt;0.75&lt;/b&gt;" in page
    assert 'hx-trigger="every 2s"' in page


def test_polling_stops_when_the_job_has_ended(client: Client, use_case: UseCase, alice: User) -> None:
    job = succeeded_job(use_case, alice)
    client.force_login(alice)
    answer = client.get(f"/jobs/{job.pk}/", headers={"HX-Request": "true"})
    assert answer.status_code == 286
    assert "every 2s" not in answer.content.decode()


def test_the_report_shows_both_arms_with_intervals_and_the_pairing(
    client: Client, use_case: UseCase, alice: User
) -> None:
    job = succeeded_job(use_case, alice)
    client.force_login(alice)
    page = client.get(f"/jobs/{job.pk}/").content.decode()
    assert "on 40 held-out rows LoRA is right on 95 % (83–99), zero-shot on 5 % (1–17)." in page
    assert f'href="/jobs/{job.pk}/report/"' in page
    assert 'data-arm="lora" data-value="0.9500"' in page
    assert "Indicative only" in page


def test_the_report_draws_the_criterion_of_its_decision(client: Client, decision: Decision, alice: User) -> None:
    job = succeeded_job(decision.use_case, alice, decision=decision)
    client.force_login(alice)
    assert "criterion 80 %" in client.get(f"/jobs/{job.pk}/").content.decode()


@pytest.mark.parametrize(("show", "rows"), [("all", 40), ("gained", 37), ("wrong", 2), ("worst", 2), ("nonsense", 40)])
def test_the_rows_are_filtered_by_what_changed(
    client: Client, use_case: UseCase, alice: User, show: str, rows: int
) -> None:
    job = succeeded_job(use_case, alice)
    client.force_login(alice)
    page = client.get(f"/jobs/{job.pk}/rows/?show={show}").content.decode()
    assert f"{rows} rows" in page
    assert page.count('<article class="card"') == min(rows, 10)


def test_model_output_is_shown_as_text(client: Client, use_case: UseCase, alice: User) -> None:
    job = succeeded_job(use_case, alice)
    client.force_login(alice)
    page = client.get(f"/jobs/{job.pk}/rows/").content.decode()
    assert "ticket &lt;0&gt;" in page


def test_a_report_altered_on_disk_is_named_and_not_shown(client: Client, use_case: UseCase, alice: User) -> None:
    job = succeeded_job(use_case, alice)
    path = blobs.path_of(job.artifacts.get(name="report.json").sha256)
    report = json.loads(path.read_text())
    report["device"] = "a quicker one"
    path.write_text(json.dumps(report))
    client.force_login(alice)
    page = client.get(f"/jobs/{job.pk}/").content.decode()
    assert "The report was altered on disk" in page
    assert "held-out rows" not in page
    assert client.get(f"/jobs/{job.pk}/rows/").status_code == 409


def test_a_failed_job_says_why_and_what_to_do(client: Client, use_case: UseCase, alice: User) -> None:
    attempt = claimed_job(use_case, alice)
    send_events(attempt, {"kind": "stage_started", "stage": "data"})
    message = "line 3, messages[1].content:   (empty_answer). Write the answer."
    actions.finish(attempt, state=JobState.FAILED, reason=EndReason.INVALID_DATASET, message=message)
    client.force_login(alice)
    page = client.get(f"/jobs/{attempt.job_id}/").content.decode()
    assert "Invalid dataset" in page
    assert "line 3, messages[1].content" in page
    assert "Correct the named line in the dataset" in page
    assert '<li data-state="stopped">Data<span class="visually-hidden"> (stopped)</span></li>' in page
    assert '<li data-state="todo">Evaluation' in page


def test_the_adapter_and_the_events_can_be_downloaded(client: Client, use_case: UseCase, alice: User) -> None:
    job = succeeded_job(use_case, alice)
    client.force_login(alice)
    adapter = client.get(f"/jobs/{job.pk}/files/adapter.zip")
    assert adapter.headers["Content-Disposition"] == f'attachment; filename="job-{job.pk}-adapter.zip"'
    assert b"".join(adapter.streaming_content) == b"PK adapter"  # type: ignore[attr-defined]
    assert f'title="SHA-256 {sha256(b"PK adapter").hexdigest()}"' in client.get(f"/jobs/{job.pk}/").content.decode()
    events = client.get(f"/jobs/{job.pk}/events.jsonl")
    lines = b"".join(events.streaming_content).splitlines()  # type: ignore[attr-defined]
    assert [json.loads(line)["kind"] for line in lines] == ["stage_started", "metric", "metric", "log"]


@pytest.mark.parametrize("name", ["checkpoint.zip", "..%2Fsecret-key", "nothing"])
def test_nothing_else_can_be_downloaded(client: Client, use_case: UseCase, alice: User, name: str) -> None:
    job = succeeded_job(use_case, alice)
    client.force_login(alice)
    assert client.get(f"/jobs/{job.pk}/files/{name}").status_code == 404


def test_cancelling_a_queued_job_ends_it_at_once(client: Client, job: Job, alice: User) -> None:
    client.force_login(alice)
    answer = client.post(f"/jobs/{job.pk}/cancel/", follow=True)
    assert "Cancelled by user" in answer.content.decode()
    assert "It had not begun, so there is nothing to keep. " in answer.content.decode()
    assert "Cancelled by Alice Moreau." in answer.content.decode()
    job.refresh_from_db()
    assert (job.state, job.end_reason) == ("cancelled", "cancelled_by_user")


def test_cancelling_twice_says_that_it_has_ended(client: Client, job: Job, alice: User) -> None:
    client.force_login(alice)
    client.post(f"/jobs/{job.pk}/cancel/")
    answer = client.post(f"/jobs/{job.pk}/cancel/", follow=True)
    assert "can no longer be cancelled" in answer.content.decode()


@pytest.mark.parametrize("path", ["", "rows/", "files/adapter.zip", "events.jsonl"])
def test_a_stranger_gets_404(client: Client, use_case: UseCase, alice: User, mallory: User, path: str) -> None:
    job = succeeded_job(use_case, alice)
    client.force_login(mallory)
    assert client.get(f"/jobs/{job.pk}/{path}").status_code == 404


def test_a_stranger_can_neither_launch_nor_cancel(
    client: Client, job: Job, use_case: UseCase, decision: Decision, mallory: User
) -> None:
    client.force_login(mallory)
    assert client.post(f"/jobs/{job.pk}/cancel/").status_code == 404
    assert client.post(f"/jobs/new/?use_case={use_case.slug}", LAUNCH).status_code == 404
    assert client.post(f"/jobs/new/?decision={decision.number}", LAUNCH).status_code == 404
    assert LAUNCH["title"] not in client.get("/jobs/").content.decode()


def test_a_viewer_sees_but_neither_launches_nor_cancels(
    client: Client, job: Job, use_case: UseCase, mallory: User
) -> None:
    use_case.memberships.create(user=mallory, role="viewer")
    client.force_login(mallory)
    page = client.get(f"/jobs/{job.pk}/").content.decode()
    assert "Cancel job" not in page
    assert client.post(f"/jobs/{job.pk}/cancel/").status_code == 403
    assert client.get(f"/jobs/new/?use_case={use_case.slug}").status_code == 403
    assert client.post(f"/jobs/new/?use_case={use_case.slug}", LAUNCH).status_code == 403


def test_an_unknown_job_is_404(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.get("/jobs/987654/").status_code == 404


def test_cancel_needs_a_post(client: Client, job: Job, alice: User) -> None:
    client.force_login(alice)
    assert client.get(f"/jobs/{job.pk}/cancel/").status_code == 405


def test_the_list_asks_the_same_number_of_queries_at_one_and_three_jobs(
    client: Client, use_case: UseCase, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(alice)
    succeeded_job(use_case, alice)
    with django_assert_num_queries(5) as first:
        client.get("/jobs/")
    succeeded_job(use_case, alice)
    succeeded_job(use_case, alice)
    with django_assert_num_queries(len(first)):
        client.get("/jobs/")


def test_the_list_shows_position_and_priority_in_the_queue(
    client: Client, job: Job, use_case: UseCase, alice: User
) -> None:
    urgent = make_job(use_case, alice, priority=5)
    client.force_login(alice)
    page = client.get("/jobs/").content.decode()
    assert re.findall(r"position \d+(?:, priority \d+)?", page) == ["position 1, priority 5", "position 2"]
    assert page.index(f'href="/jobs/{urgent.pk}/"') < page.index(f'href="/jobs/{job.pk}/"')
    assert "position 2 in the queue" in client.get(f"/jobs/{job.pk}/").content.decode()


def test_workers_show_what_they_offer_and_whether_they_are_there(
    client: Client, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    assert "No worker yet" in client.get("/jobs/workers/").content.decode()
    claimed_job(use_case, alice)
    page = client.get("/jobs/workers/").content.decode()
    assert '<span class="badge good">online</span>' in page
    assert "tiny" in page


def test_a_worker_that_has_never_called_is_listed_too(client: Client, alice: User) -> None:
    actions.create_worker(name="gpu-1", created_by=None)
    client.force_login(alice)
    page = client.get("/jobs/workers/").content.decode()
    assert ("<h2>gpu-1</h2>" in page, "<dt>Memory</dt><dd>–</dd>" in page) == (True, True)


def test_a_queued_job_says_when_no_worker_can_take_it(client: Client, job: Job, alice: User) -> None:
    client.force_login(alice)
    assert "No online worker has tiny." in client.get(f"/jobs/{job.pk}/").content.decode()
    worker, _ = actions.create_worker(name="gpu-1", created_by=None)
    actions.see_worker(worker, make_capabilities("tiny"))
    assert "Waiting for a worker" in client.get(f"/jobs/{job.pk}/").content.decode()
