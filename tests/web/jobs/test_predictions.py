"""Predictions: kept when they come, settled by the report, compared over all jobs that one may see."""

from decimal import Decimal

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from playbook.web.accounts.models import User
from playbook.web.jobs import predictions
from playbook.web.jobs.models import Prediction
from playbook.web.jobs.predictions import TIME_TOLERANCE, Compared, tally
from playbook.web.usecases.actions import create_use_case
from playbook.web.usecases.models import UseCase
from tests.web.jobs.announced import GB, predicted
from tests.web.jobs.busy import predicted_job
from tests.web.jobs.ended import claimed_job, send_events


def test_prediction_and_actual_are_stored_with_the_rate_of_the_day(
    use_case: UseCase, alice: User, settings: Settings
) -> None:
    settings.PLAYBOOK_GPU_HOUR_RATE, settings.PLAYBOOK_CURRENCY = Decimal("3.60"), "CHF"
    job = predicted_job(use_case, alice)
    settings.PLAYBOOK_GPU_HOUR_RATE = Decimal(99)
    found = predictions.of_attempt(job.latest_attempt)
    assert found is not None
    assert found.time == Compared(100.0, 110.0, 0.20)
    assert found.memory == Compared(2 * GB, 3 * GB, 0.15)
    assert (found.time.difference_text, found.time.holds) == ("+10 %", True)
    assert (found.memory.difference_text, found.memory.holds) == ("+50 %", False)
    assert found.actual_cost is not None
    assert (found.cost, round(found.actual_cost, 4), found.prediction.currency) == (
        Decimal("0.10"),
        Decimal("0.1100"),
        "CHF",
    )


def test_without_a_rate_there_is_no_cost(use_case: UseCase, alice: User) -> None:
    found = predictions.of_attempt(predicted_job(use_case, alice).latest_attempt)
    assert found is not None
    assert (found.cost, found.actual_cost) == (None, None)


def test_the_page_has_costs_where_an_hour_had_a_price(
    client: Client, use_case: UseCase, alice: User, settings: Settings
) -> None:
    predicted_job(use_case, alice)
    client.force_login(alice)
    assert "Cost foretold" not in client.get("/jobs/predictions/").content.decode()
    settings.PLAYBOOK_GPU_HOUR_RATE, settings.PLAYBOOK_CURRENCY = Decimal("3.60"), "CHF"
    predicted_job(use_case, alice)
    page = client.get("/jobs/predictions/").content.decode()
    assert '<td class="num">0.10 CHF</td><td class="num">0.11 CHF</td>' in page
    assert '<td class="num">–</td><td class="num">–</td>' in page, "the job before the price was set"


def test_a_run_without_training_settles_the_time_alone(use_case: UseCase, alice: User) -> None:
    predicted_job(use_case, alice, memory=None)
    fields = "actual_seconds", "actual_peak_memory_bytes"
    assert list(Prediction.objects.values_list(*fields)) == [(110.0, None)]


def test_a_job_that_stopped_early_says_nothing_of_the_predicted_time(
    client: Client, use_case: UseCase, alice: User
) -> None:
    predicted_job(use_case, alice)
    job = predicted_job(use_case, alice, seconds=30.0, stopped_early=True)
    found = predictions.of_attempt(job.latest_attempt)
    assert found is not None
    assert (found.time.actual, found.time.holds, found.time.stopped_early) == (30.0, None, True)
    assert found.memory.holds is False
    client.force_login(alice)
    page = client.get("/jobs/predictions/").content.decode()
    assert "Time, foretold against measured: 1 of 1 jobs within ±20 %." in page
    assert "Peak memory, foretold against measured: 0 of 2 jobs within ±15 %." in page
    assert page.count("stopped early") == 1


def test_a_second_prediction_of_an_attempt_replaces_the_first(use_case: UseCase, alice: User) -> None:
    attempt = claimed_job(use_case, alice)
    send_events(attempt, predicted(), predicted(seconds=50.0))
    assert Prediction.objects.get().seconds == 50.0


def test_before_the_end_nothing_is_compared(use_case: UseCase, alice: User) -> None:
    attempt = claimed_job(use_case, alice)
    assert predictions.of_attempt(None) is None
    assert predictions.of_attempt(attempt) is None
    send_events(attempt, predicted())
    found = predictions.of_attempt(attempt)
    assert found is not None
    assert (found.time.difference_text, found.time.holds, found.actual_cost) == ("–", None, None)


@pytest.mark.parametrize(
    ("actual", "text", "holds"),
    [
        (120.0, "+20 %", True),
        (120.4, "+20.4 %", False),
        (79.6, "−20.4 %", False),
        (90.0, "−10 %", True),
        (99.9, "+0 %", True),
        (150.0, "+50 %", False),
    ],
)
def test_a_difference_never_reads_as_the_tolerance_that_it_exceeds(actual: float, text: str, holds: bool) -> None:
    compared = Compared(100.0, actual, TIME_TOLERANCE)
    assert (compared.difference_text, compared.holds) == (text, holds)


def test_tally_leaves_out_what_is_not_known() -> None:
    rows = [Compared(100, 115, 0.2), Compared(100, 130, 0.2), Compared(100, None, 0.2)]
    found = tally(rows, 0.2)
    assert (found.within, found.compared, found.share) == (1, 2, 0.5)
    assert tally([], 0.2).share is None


def test_the_page_shows_the_jobs_that_one_may_see(
    client: Client, use_case: UseCase, alice: User, mallory: User
) -> None:
    client.force_login(alice)
    assert "No prediction has been put to the test yet" in client.get("/jobs/predictions/").content.decode()
    job = predicted_job(use_case, alice)
    other = create_use_case(name="Other", description="", created_by=mallory, members={})
    predicted_job(other, mallory)
    page = client.get("/jobs/predictions/").content.decode()
    assert "Time, foretold against measured: 1 of 1 jobs within ±20 %." in page
    assert "Peak memory, foretold against measured: 0 of 1 jobs within ±15 %." in page
    assert f"Job {job.pk}: foretold 100 s, was 110 s" in page
    assert page.count("LoRA on tickets") == 1


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_page_asks_the_same_queries_at_one_and_three_jobs(
    client: Client, use_case: UseCase, alice: User, django_assert_num_queries: DjangoAssertNumQueries, jobs: int
) -> None:
    for _ in range(jobs):
        predicted_job(use_case, alice)
    client.force_login(alice)
    with django_assert_num_queries(3):
        client.get("/jobs/predictions/")
