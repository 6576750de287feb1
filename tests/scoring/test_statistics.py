"""The figures that reports and signatures rest on, against scipy and against published values."""

import math

import pytest
from scipy.stats import binomtest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from playbook.scoring.statistics import holm, mcnemar_exact, wilson_interval, wilson_of_share


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


@pytest.mark.parametrize(("share", "n"), [(0.0, 3.5), (0.25, 17.3), (1.0, 8.1), (0.6, 200)])
def test_wilson_of_a_share_equals_statsmodels_for_any_effective_number_of_rows(share: float, n: float) -> None:
    expected = proportion_confint(share * n, n, method="wilson")

    assert list(wilson_of_share(share, n)) == pytest.approx(list(expected), abs=1e-9)


@pytest.mark.parametrize(("share", "n"), [(0.5, 0), (1.1, 5), (-0.1, 5)])
def test_wilson_of_a_share_refuses_what_is_none(share: float, n: float) -> None:
    with pytest.raises(ValueError, match="a proportion needs"):
        wilson_of_share(share, n)


@pytest.mark.parametrize(("gained", "lost"), [(9, 1), (15, 4), (33, 59)])
def test_mcnemar_equals_statsmodels(gained: int, lost: int) -> None:
    expected = mcnemar([[20, gained], [lost, 20]], exact=True).pvalue

    assert mcnemar_exact(gained, lost) == pytest.approx(expected, rel=1e-9)


def test_mcnemar_gives_the_published_value_for_approval_of_the_prime_minister() -> None:
    """Agresti, Categorical Data Analysis, approval ratings; the exact p-value as R's exact2x2 prints it."""
    assert float(f"{mcnemar_exact(150, 86):.3e}") == 3.716e-05


@pytest.mark.parametrize(
    "p_values", [[0.01], [0.01, 0.02, 0.03, 0.04], [0.04, 0.001, 0.03], [0.5, 0.9, 0.6], [1.0, 0.0, 0.2, 0.2]]
)
def test_holm_equals_statsmodels(p_values: list[float]) -> None:
    assert list(holm(p_values)) == pytest.approx(list(multipletests(p_values, method="holm")[1]))


def test_holm_gives_the_published_adjustment() -> None:
    """The worked example of the article on the Holm-Bonferroni method in Wikipedia: .01, .04, .03, .005."""
    adjusted = holm([0.01, 0.04, 0.03, 0.005])

    assert adjusted == pytest.approx((0.03, 0.06, 0.06, 0.02))
    assert [p <= 0.05 for p in adjusted] == [True, False, False, True]


def test_holm_of_nothing_is_nothing() -> None:
    assert holm([]) == ()
