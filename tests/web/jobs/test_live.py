"""The live page: what each event puts on it, the log and its search, and the same few queries however long it ran."""

import gzip
import re
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from playbook.contracts.dataset import Split
from playbook.contracts.protocol import GpuTelemetry, Telemetry
from playbook.contracts.states import EndReason, JobState
from playbook.web.accounts.models import User
from playbook.web.datasets.actions import Card, create_dataset
from playbook.web.datasets.reading import read_three_files
from playbook.web.jobs import actions, curves, ingest, queries
from playbook.web.jobs.models import Attempt, Curve, Job, MetricPoint
from playbook.web.usecases.models import UseCase
from tests.web.datasets.conftest import CARD
from tests.web.jobs.announced import ENDLESS, SAMPLE, configured, metric, predicted, preflight
from tests.web.jobs.ended import claimed_job, send_events, succeeded_job
from tests.web.jobs.factories import make_capabilities, make_spec, split_bytes

TRAINING: dict[str, object] = {"kind": "stage_started", "stage": "training"}
STEPS = [metric(step, train_loss=1 / step, learning_rate=1e-3, grad_norm=2.0) for step in range(1, 31)]


def page_of(client: Client, attempt: Attempt, query: str = "", **headers: str) -> str:
    return client.get(f"/jobs/{attempt.job_id}/{query}", headers=headers).content.decode()


def signs_in(page: str) -> list[str]:
    return re.findall(r'data-sign="([a-z]+)"', page)


@pytest.fixture
def attempt(client: Client, use_case: UseCase, alice: User) -> Attempt:
    client.force_login(alice)
    return claimed_job(use_case, alice)


def test_preflight_shows_tokens_lost_lines_mask_memory_and_configuration(client: Client, attempt: Attempt) -> None:
    lost = preflight(samples=[SAMPLE, ENDLESS], dropped_rows=1, truncated_rows=3, lost_lines=[4, 9], lost_tokens=1234)
    send_events(attempt, {"kind": "stage_started", "stage": "data"}, lost, configured(max_length=256, packing=None))
    page = page_of(client, attempt)
    assert "1 row dropped, 3 cut, 1,234 tokens lost" in page
    assert "lines 4, 9 and 2 more" in page
    assert "1 of 2 sample rows end their turn" in page
    assert "<span>Why &lt;b&gt;?</span>" in page
    assert '<span class="visually-hidden">learned: </span><span>Be</span><span>cause</span>' in page
    assert "Estimate: 3.5 GB, of which base weights 2.0 GB" in page
    assert '256 <span class="badge warn plain">changed</span> <span class="small muted">asked for 512</span>' in page
    assert '<dt class="mono">packing</dt><dd class="num">none ' in page, "as people type it into the form"
    assert signs_in(page) == ["endless", "truncation"]


def test_rows_over_the_length_come_with_what_else_could_be_done(client: Client, attempt: Attempt) -> None:
    send_events(attempt, {"kind": "stage_started", "stage": "data"}, preflight())
    page = page_of(client, attempt)
    assert 'ends the job before anything is trained, by <span class="mono">over_length: refuse</span>.' in page
    assert "Clone the job to" not in page
    send_events(attempt, preflight(dropped_rows=1))
    page = page_of(client, attempt)
    assert f'/jobs/new/?clone={attempt.job_id}&amp;over_length=drop">leave long rows out</a>' in page
    assert f'/jobs/new/?clone={attempt.job_id}&amp;max_length=1024">with max_length 1024</a>' in page
    assert "over_length=refuse" not in page


def test_a_job_that_refused_a_long_row_offers_what_else_could_be_done(client: Client, attempt: Attempt) -> None:
    actions.finish(attempt, state=JobState.FAILED, reason=EndReason.ROW_TOO_LONG, message="train, line 3: 900 tokens")
    page = page_of(client, attempt)
    assert page.count("over_length=truncate") == 1
    assert "train, line 3: 900 tokens" in page


def test_an_ended_job_is_not_told_to_cancel(client: Client, attempt: Attempt) -> None:
    line = b'{"kind": "metric", "at": "2025-06-01T12:00:00Z", "step": 3, "values": {"train_loss": "NaN"}}\n'
    ingest.append_events(attempt, offset=0, data=line)
    actions.finish(attempt, state=JobState.FAILED, reason=EndReason.OUT_OF_MEMORY, message="")
    page = page_of(client, attempt)
    assert "<strong>Diverged</strong>" in page
    assert "Cancel and clone" not in page
    Job.objects.update(end_reason=EndReason.DIVERGED)
    assert signs_in(page_of(client, attempt)) == [], "the reason says it already"


def test_the_setup_leads_to_the_dataset(client: Client, use_case: UseCase, alice: User) -> None:
    splits = {split: split_bytes(split) for split in Split}
    dataset = create_dataset(use_case=use_case, card=Card(**CARD), splits=read_three_files(splits), created_by=alice)
    spec = make_spec().model_copy(update={"inputs": dataset.versions.get().inputs()})
    attempt = claimed_job(use_case, alice, spec=spec)
    client.force_login(alice)
    assert f'<dt>Dataset</dt><dd><a href="/datasets/{dataset.pk}/?version=1">' in page_of(client, attempt)


def test_the_prediction_shows_time_memory_and_cost(client: Client, attempt: Attempt, settings: Settings) -> None:
    settings.PLAYBOOK_GPU_HOUR_RATE, settings.PLAYBOOK_CURRENCY = 36, "USD"
    send_events(attempt, predicted())
    page = page_of(client, attempt)
    assert "1 min 40 s" in page
    assert "2.0 GB" in page
    assert "1.00 USD" in page
    assert "From 3 probe steps of 2.50 s." in page


def test_curves_figures_and_stages_are_shown(client: Client, attempt: Attempt) -> None:
    send_events(attempt, TRAINING, *STEPS, metric(30, validation_loss=0.5, tokens_per_second=812.0))
    page = page_of(client, attempt)
    assert '<li data-state="done">Data' in page
    assert "Validation loss: from 0.5 at 30 to 0.5 at 30." in page
    assert "Learning rate by optimizer step." in page
    assert '<span class="value">812</span><span class="label">Tokens per second</span>' in page
    assert signs_in(page) == []


def test_over_many_steps_the_trend_lies_over_the_loss_of_each(client: Client, attempt: Attempt) -> None:
    send_events(attempt, TRAINING, *(metric(step, train_loss=1.0 + step % 2) for step in range(1, 121)))
    page = page_of(client, attempt)
    assert 'data-name="Training loss, each optimizer step"' in page
    assert "Training loss, each optimizer step; the strong line is smoothed" in page
    assert '<span class="value">1</span><span class="label">Training loss</span>' in page, "the last step's own"


def test_a_stage_that_begins_has_no_progress_of_the_one_before(client: Client, attempt: Attempt) -> None:
    send_events(attempt, TRAINING, {"kind": "progress", "stage": "training", "done": 30, "total": 30, "unit": "steps"})
    assert "30 of 30 steps" in page_of(client, attempt)
    send_events(attempt, {"kind": "stage_started", "stage": "evaluation"})
    assert "30 of 30" not in page_of(client, attempt)
    told = {"kind": "progress", "stage": "evaluation", "done": 2, "total": 80, "unit": "answers"}
    send_events(attempt, {"kind": "stage_started", "stage": "evaluation"}, told)
    assert "2 of 80 answers" in page_of(client, attempt)


def test_the_machine_is_shown_with_each_gpu(client: Client, attempt: Attempt) -> None:
    gpus = tuple(
        GpuTelemetry(index=index, memory_used_bytes=10**9, utilisation_percent=50, temperature_celsius=None)
        for index in (0, 1)
    )
    actions.heartbeat(attempt, Telemetry(memory_used_bytes=2 * 10**9, cpu_percent=12.5, gpus=gpus))
    page = page_of(client, attempt)
    assert "GPU memory in use, GB by second since the start. GPU 0: from 1" in page
    assert "GPU in use, % by second since the start. GPU 0: from 50 at 0 to 50 at 0. GPU 1: from 50" in page
    assert "CPU in use, %" in page
    assert "°C" not in page


def test_eight_gpus_are_told_apart_by_name_on_a_page_as_light_as_others(client: Client, attempt: Attempt) -> None:
    for second in range(400):
        gpus = tuple(
            GpuTelemetry(
                index=index,
                memory_used_bytes=10**9 * (50 + index) + 10**7 * (second % 7),
                utilisation_percent=90 + (second * index) % 9,
                temperature_celsius=60 + (second * index) % 11,
            )
            for index in range(8)
        )
        read = Telemetry(memory_used_bytes=2 * 10**11, cpu_percent=second % 50, gpus=gpus)
        curves.keep(attempt, ((name, second, value) for name, value in read.values().items()), at=timezone.now())
    page = client.get(f"/jobs/{attempt.job_id}/").content
    assert page.count(b'<tspan class="name">GPU 7 </tspan>') == 3
    assert b"Main memory in use, GB by second since the start. machine: from 200" in page
    assert len(gzip.compress(page)) < 25_000


def test_a_heartbeat_without_telemetry_keeps_no_point(attempt: Attempt) -> None:
    actions.heartbeat(attempt)
    assert MetricPoint.objects.count() == 0


def test_a_run_that_diverges_and_falls_silent_says_so_while_it_runs(client: Client, attempt: Attempt) -> None:
    line = b'{"kind": "metric", "at": "2025-06-01T12:00:00Z", "step": 31, "values": {"train_loss": "NaN"}}\n'
    send_events(attempt, TRAINING, *STEPS, predicted())
    attempt.refresh_from_db()
    ingest.append_events(attempt, offset=attempt.event_bytes, data=line)
    Curve.objects.update(last_at=timezone.now() - timedelta(minutes=5))
    assert signs_in(page_of(client, attempt)) == ["divergence", "stall"]
    send_events(attempt, {"kind": "stage_started", "stage": "evaluation"})
    assert signs_in(page_of(client, attempt)) == ["divergence"]


def test_a_trainer_that_hangs_before_its_first_step_or_between_answers_is_said_to(
    client: Client, attempt: Attempt
) -> None:
    long_ago = timezone.now() - timedelta(minutes=11)
    assert signs_in(page_of(client, attempt)) == []
    Attempt.objects.update(claimed_at=long_ago)
    assert signs_in(page_of(client, attempt)) == ["stall"]
    send_events(attempt, TRAINING)
    assert signs_in(page_of(client, attempt)) == ["stall"]
    told = {"kind": "progress", "stage": "evaluation", "done": 2, "total": 30, "unit": "answers"}
    send_events(attempt, {"kind": "stage_started", "stage": "evaluation"}, told)
    assert signs_in(page_of(client, attempt)) == []
    Attempt.objects.update(progress_at=long_ago)
    assert signs_in(page_of(client, attempt)) == ["stall"]
    actions.request_cancel(attempt.job, actor=attempt.job.created_by)
    assert signs_in(page_of(client, attempt)) == []


def test_what_is_left_after_the_last_answer_is_not_said_to_take_no_time(client: Client, attempt: Attempt) -> None:
    """The artifact is read back then, and uploaded."""
    told = {
        "kind": "progress",
        "stage": "evaluation",
        "done": 30,
        "total": 30,
        "unit": "rows",
        "remaining_seconds": 0.0,
    }
    send_events(attempt, {"kind": "stage_started", "stage": "evaluation"}, told)
    page = page_of(client, attempt)
    assert "30 of 30 rows · finishing · " in page
    assert "about 0 s left" not in page


def test_log_lines_are_found_without_javascript(client: Client, attempt: Attempt) -> None:
    send_events(
        attempt,
        {"kind": "log", "message": "Loaded 40 rows"},
        {"kind": "log", "level": "warning", "message": "Row <7> was cut"},
    )
    everything, found, warnings, nothing = (
        page_of(client, attempt, query) for query in ("", "?q=LOADED", "?level=warning", "?q=zebra")
    )
    assert "Loaded 40 rows" in everything
    assert "Row &lt;7&gt; was cut" in everything
    assert "Row &lt;7&gt;" not in found
    assert 'value="LOADED"' in found
    assert "Loaded 40 rows" not in warnings
    assert "No line contains “zebra”." in nothing


@pytest.mark.parametrize("search", ["äpfel", "ÄPFEL", "Äpfel", "zu lang", "ZU LANG"])
def test_the_log_is_searched_in_any_case_of_letters(attempt: Attempt, search: str) -> None:
    logged = ("Drei Äpfel", "DREI ÄPFEL", "äpfel zu lang", "nothing")
    for text in logged:
        send_events(attempt, {"kind": "log", "message": text})
    found = {line.text for line in queries.log_tail(attempt.job, search=search)}
    assert found == ({"äpfel zu lang"} if "lang" in search.lower() else {*logged} - {"nothing"})


def test_what_was_searched_for_is_marked_and_a_line_of_pages_is_cut_around_it(client: Client, attempt: Attempt) -> None:
    send_events(
        attempt,
        {"kind": "log", "message": '100 % of rows: it\'s "Größe" .*'},
        {"kind": "log", "message": "x" * 5000 + "needle" + "y" * 5000},
    )
    plain = page_of(client, attempt)
    assert '<em class="muted"> … 9,006 more characters, in the download</em>' in plain
    assert "needle" not in plain
    found = page_of(client, attempt, "?q=NEEDLE")
    assert '<em class="muted">4,800 characters … </em>' in found
    assert "x<mark>needle</mark>y" in found
    for query, marked in (("%25", "%"), ("%27s", "&#x27;s"), ("gr%C3%96%C3%9Fe", "Größe"), (".*", ".*")):
        page = page_of(client, attempt, f"?q={query}")
        assert f"<mark>{marked}</mark>" in page
        assert "needle" not in page


def test_lines_of_several_days_and_attempts_say_which(client: Client, attempt: Attempt) -> None:
    send_events(attempt, {"kind": "log", "message": "first"})
    page = page_of(client, attempt)
    assert "12:00:00</time> <span>first</span>" in page
    actions.release(attempt)
    claim = actions.claim_next_job(attempt.worker, make_capabilities())
    assert claim is not None
    send_events(claim.attempt, {"kind": "log", "message": "second", "at": "2025-06-02T08:30:00Z"})
    page = page_of(client, attempt)
    assert "2 Jun 08:30:00</time> <span>second</span>" in page
    assert "1 Jun 12:00:00</time> <span>first</span>" in page
    assert page.index("<span>Attempt 2</span>") < page.index("second") < page.index("<span>Attempt 1</span>")


@pytest.mark.parametrize("query", ["?q=%00", "?q=%25", "?q='%22%3Cb%3E", "?level=nonsense", "?q=" + "x" * 5000])
def test_any_search_is_answered(client: Client, attempt: Attempt, query: str) -> None:
    send_events(attempt, {"kind": "log", "message": "one"})
    assert client.get(f"/jobs/{attempt.job_id}/{query}").status_code == 200


def test_the_log_polls_alone_and_stops_with_the_job(client: Client, use_case: UseCase, alice: User) -> None:
    attempt = claimed_job(use_case, alice)
    send_events(attempt, {"kind": "log", "message": "one"}, {"kind": "log", "message": "two"})
    client.force_login(alice)
    headers = {"HX-Request": "true", "HX-Target": "log-lines"}
    part = client.get(f"/jobs/{attempt.job_id}/?q=two", headers=headers)
    assert part.status_code == 200
    assert part.content.decode().lstrip().startswith('<div id="log-lines"')
    assert "one" not in part.content.decode()
    ended = succeeded_job(use_case, alice)
    assert client.get(f"/jobs/{ended.pk}/", headers=headers).status_code == 286


def test_every_sample_row_has_a_page_of_its_own(client: Client, attempt: Attempt, mallory: User) -> None:
    address = f"/jobs/{attempt.job_id}/samples/"
    assert client.get(address).status_code == 404
    send_events(attempt, preflight(samples=[SAMPLE, ENDLESS]))
    page = client.get(address).content.decode()
    assert 'aria-label="train line 7"' in page
    assert 'aria-label="train line 9"' in page
    assert "does not end its turn" in page
    assert client.post(address).status_code == 405
    client.force_login(mallory)
    assert client.get(address).status_code == 404


@pytest.mark.parametrize("fragment", [False, True])
def test_the_page_asks_the_same_queries_at_one_and_three_attempts_of_few_and_many_points(
    client: Client, attempt: Attempt, django_assert_num_queries: DjangoAssertNumQueries, fragment: bool
) -> None:
    headers = {"HX-Request": "true"} if fragment else {}

    def send(live: Attempt, steps: int) -> None:
        said = [TRAINING, preflight(), configured(), predicted()]
        send_events(live, *said, *(metric(step, train_loss=1.0) for step in range(1, steps)))
        actions.heartbeat(live, Telemetry(memory_used_bytes=1, cpu_percent=1))

    send(attempt, 3)
    with django_assert_num_queries(15 if fragment else 16) as first:
        client.get(f"/jobs/{attempt.job_id}/", headers=headers)
    for _ in range(2):
        actions.release(Attempt.objects.get(ended_at=None))
        worker, _ = actions.create_worker(name="gpu-2", created_by=None)
        claim = actions.claim_next_job(worker, make_capabilities())
        assert claim is not None
        send(claim.attempt, 2000)
    Job.objects.filter(pk=attempt.job_id).update(state="running")
    with django_assert_num_queries(len(first) + 1):  # one more where a curve is long: its levels are asked for
        client.get(f"/jobs/{attempt.job_id}/", headers=headers)


def test_a_job_that_trains_nothing_shows_no_training(client: Client, attempt: Attempt) -> None:
    send_events(attempt, {"kind": "stage_started", "stage": "evaluation"})
    page = page_of(client, attempt)
    assert '<li data-state="done">Data' in page
    assert '<li data-state="now" aria-current="step">Evaluation' in page
    assert "Training<span" not in page
    assert "<dt>Method</dt><dd>nothing is trained</dd>" in page
    assert "<dt>Learning rate</dt>" not in page
