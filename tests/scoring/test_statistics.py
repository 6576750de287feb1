"""The figures that reports and signatures rest on, against scipy and against published values."""

import math

import pytest
from scipy.stats import binomtest

from playbook.scoring.statistics import mcnemar_exact, wilson_interval


@pytest.mark.parametrize(
    ("successes", "n"), [(0, 1), (1, 1), (0, 80), (3, 80), (12, 40), (37, 40), (80, 80), (850, 1000)]
)
def test_wilson_interval_equals_scipy(successes: int, n: int) -> None:
    expected = binomtest(successes, n).proportion_ci(0.95, method="wilson")

    low, high = wilson_interval(successes, n)

    assert [low, high] == pytest.approx([expected.low, expected.high], abs=1e-12)


@pytest.mark.parametrize(("n", "published"), [(50, (0.67, 0.89)), (100, (0.71, 0.87)), (200, (0.74, 0.85))])
def test_wilson_interval_gives_the_published_values_at_80_percent(n: int, published: tuple[float, float]) -> None:
    low, high = wilson_interval(n * 4 // 5, n)

    assert (round(low, 2), round(high, 2)) == published


def test_wilson_interval_of_none_and_all_touches_the_ends() -> None:
    assert (wilson_interval(0, 20).low, wilson_interval(20, 20).high) == (0.0, 1.0)
    assert round(wilson_interval(20, 20).low, 2) == 0.84


@pytest.mark.parametrize(("successes", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_interval_refuses_counts_that_are_no_proportion(successes: int, n: int) -> None:
    with pytest.raises(ValueError, match=f"got {successes} of {n}"):
        wilson_interval(successes, n)


@pytest.mark.parametrize(("gained", "lost"), [(0, 0), (6, 0), (0, 6), (5, 5), (7, 2), (63, 1), (300, 240)])
def test_mcnemar_equals_scipys_binomial_test(gained: int, lost: int) -> None:
    expected = binomtest(gained, gained + lost, 0.5).pvalue if gained + lost else 1.0

    assert mcnemar_exact(gained, lost) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_needs_six_rows_one_way_for_five_percent() -> None:
    assert [round(mcnemar_exact(rows, 0), 4) for rows in (5, 6)] == [0.0625, 0.0312]


def test_mcnemar_survives_more_rows_than_a_float_can_count() -> None:
    assert math.isfinite(mcnemar_exact(3000, 2900))


def test_mcnemar_refuses_a_negative_count() -> None:
    with pytest.raises(ValueError, match="gained=-1"):
        mcnemar_exact(-1, 3)
