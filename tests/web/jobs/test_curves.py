"""Points of curves: what is kept, and that reading asks the same few queries however long a curve is."""

from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from playbook.web.accounts.models import User
from playbook.web.jobs import actions, curves
from playbook.web.jobs.levels import MAX_BUCKETS
from playbook.web.jobs.models import Attempt, Curve, CurveBucket, Job, MetricPoint
from playbook.web.usecases.models import UseCase
from tests.web.jobs.ended import claimed_job
from tests.web.jobs.factories import make_capabilities

LONG = 5000


def keep(attempt: Attempt, name: str, steps: range, *, value: float | None = None) -> None:
    points = ((name, step, float(step % 100) if value is None else value) for step in steps)
    curves.keep(attempt, points, at=timezone.now())


def next_attempt(job: Job) -> Attempt:
    actions.release(job.attempts.get(ended_at=None))
    worker, _ = actions.create_worker(name="gpu-2", created_by=None)
    claim = actions.claim_next_job(worker, make_capabilities())
    assert claim is not None
    return claim.attempt


def test_keeping_in_pieces_is_keeping_at_once(use_case: UseCase, alice: User) -> None:
    whole, pieces = (claimed_job(use_case, alice) for _ in range(2))
    keep(whole, "train_loss", range(1, 1001))
    for start in range(1, 1001, 37):
        keep(pieces, "train_loss", range(start, min(start + 37, 1001)))

    def rows(attempt: Attempt) -> list[tuple[object, ...]]:
        fields = "level", "bucket", "low_step", "low_value", "high_step", "high_value"
        return list(CurveBucket.objects.filter(curve__attempt=attempt).order_by("level", "bucket").values_list(*fields))

    assert rows(whole) == rows(pieces)
    fields = "points", "first_step", "last_step", "last_value"
    assert list(Curve.objects.values_list(*fields)) == [(1000, 1, 1000, 0.0)] * 2


def test_a_point_that_comes_twice_is_kept_once(use_case: UseCase, alice: User) -> None:
    attempt = claimed_job(use_case, alice)
    keep(attempt, "train_loss", range(1, 3), value=1.0)
    keep(attempt, "train_loss", range(2, 4), value=2.0)
    assert list(MetricPoint.objects.values_list("step", "value")) == [(1, 1.0), (2, 1.0), (3, 2.0)]


def test_a_long_curve_is_read_from_its_levels_and_keeps_its_spike_and_its_end(use_case: UseCase, alice: User) -> None:
    attempt = claimed_job(use_case, alice)
    keep(attempt, "train_loss", range(1, LONG))
    keep(attempt, "train_loss", range(LONG, LONG + 1), value=777.0)
    keep(attempt, "train_loss", range(LONG + 1, LONG + 2), value=5.5)
    MetricPoint.objects.all().delete()  # the levels alone must do
    found = curves.of_jobs([attempt.job], ["train_loss"])[attempt.job_id]["train_loss"]
    assert len(found) <= 400
    assert found[-1] == (LONG + 1, 5.5)
    assert (LONG, 777.0) in found
    assert max(value for _, value in found) == 777.0


def test_reading_asks_the_same_queries_for_one_and_three_jobs_short_and_long(
    use_case: UseCase, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    attempts = [claimed_job(use_case, alice) for _ in range(3)]
    for attempt in attempts:
        keep(attempt, "grad_norm", range(1, 20))
        keep(attempt, "train_loss", range(1, 2 * MAX_BUCKETS + 2))
    for count in (1, 3):
        with django_assert_num_queries(3):
            curves.of_jobs([attempt.job for attempt in attempts[:count]], ["train_loss", "grad_norm"])


def test_a_later_attempt_replaces_a_long_curve_from_its_first_step(use_case: UseCase, alice: User) -> None:
    first = claimed_job(use_case, alice)
    keep(first, "train_loss", range(1, LONG), value=9.0)
    second = next_attempt(first.job)
    keep(second, "train_loss", range(3000, 3010), value=1.0)
    found = curves.of_jobs([first.job], ["train_loss"])[first.job_id]["train_loss"]
    assert [step for step, value in found if value == 1.0] == list(range(3000, 3010))
    assert max(step for step, value in found if value == 9.0) < 3000


def test_telemetry_is_of_one_attempt_and_does_not_meet_its_metrics(use_case: UseCase, alice: User) -> None:
    attempt = claimed_job(use_case, alice)
    keep(attempt, "gpu0.memory_used_bytes", range(0, 10, 5), value=3.0)
    keep(attempt, "train_loss", range(1, 3))
    assert curves.of_attempt(attempt, names_with=".") == {"gpu0.memory_used_bytes": [(0, 3.0), (5, 3.0)]}


def test_keeping_nothing_asks_nothing(
    use_case: UseCase, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    attempt = claimed_job(use_case, alice)
    with django_assert_num_queries(0):
        curves.keep(attempt, [], at=timezone.now())
