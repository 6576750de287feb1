"""What a test set can show, against published tables and statsmodels."""

import numpy as np
import pytest
from statsmodels.stats.power import NormalIndPower

from playbook.scoring.power import detectable_difference, paired_rows, smallest_difference
from playbook.scoring.statistics import mcnemar_exact


@pytest.mark.parametrize(
    ("discordant", "difference", "rows"), [(0.30, 0.10, 228), (0.30, 0.05, 934), (0.20, 0.10, 149)]
)
def test_paired_rows_are_those_of_the_published_table(discordant: float, difference: float, rows: int) -> None:
    assert paired_rows(difference=difference, discordant=discordant) == rows
    assert smallest_difference(rows=rows, discordant=discordant) == pytest.approx(difference, abs=0.0005)


@pytest.mark.parametrize(
    ("discordant", "difference", "rows"), [(1.0, 1.0, 6), (0.9, 0.9, 7), (0.5, 0.5, 12), (0.5, 0.4, 17)]
)
def test_so_few_rows_are_never_enough_that_they_cannot_show_it(discordant: float, difference: float, rows: int) -> None:
    assert paired_rows(difference=difference, discordant=discordant) == rows
    assert smallest_difference(rows=rows, discordant=discordant) is not None


@pytest.mark.parametrize(("difference", "discordant"), [(0, 0.3), (0.4, 0.3), (0.1, 1.1), (-0.1, 0.3)])
def test_impossible_differences_are_refused(difference: float, discordant: float) -> None:
    with pytest.raises(ValueError, match="need 0 < difference <= discordant <= 1"):
        paired_rows(difference=difference, discordant=discordant)


@pytest.mark.parametrize(("rows", "discordant"), [(10, 0.3), (19, 0.3), (20, 0.01)])
def test_a_test_of_few_rows_shows_no_difference_at_all(rows: int, discordant: float) -> None:
    assert smallest_difference(rows=rows, discordant=discordant) is None


@pytest.mark.parametrize(("plus", "minus", "same"), [(46, 23, 159), (30, 10, 60), (80, 0, 120)])
def test_detectable_difference_of_right_and_wrong_is_the_calculator_s(plus: int, minus: int, same: int) -> None:
    rows = plus + minus + same
    expected = smallest_difference(rows=rows, discordant=(plus + minus) / rows)

    assert detectable_difference([1.0] * plus + [-1.0] * minus + [0.0] * same) == expected


def test_detectable_difference_of_scores_equals_statsmodels() -> None:
    differences = np.random.default_rng(3).normal(0.02, 0.3, size=150)
    effect = NormalIndPower(ddof=1).solve_power(nobs1=150, alpha=0.05, power=0.8, ratio=0)

    found = detectable_difference(differences.tolist())

    assert found == pytest.approx(effect * differences.std(ddof=1), rel=0.01)


def test_groups_make_differences_harder_to_see() -> None:
    differences = np.repeat(np.random.default_rng(4).normal(size=30) / 10, 5).tolist()
    alone, grouped = (
        detectable_difference(differences),
        detectable_difference(differences, groups=[n // 5 for n in range(150)]),
    )

    assert alone is not None
    assert grouped is not None
    assert grouped == pytest.approx(alone * 5**0.5, rel=0.05)


def test_where_nothing_differs_six_rows_must() -> None:
    assert detectable_difference([0.0] * 60) == 6 / 60
    assert mcnemar_exact(6, 0) < 0.05 < mcnemar_exact(5, 0)


@pytest.mark.parametrize("differences", [[1.0], [1.0] * 5])
def test_a_handful_of_rows_shows_nothing(differences: list[float]) -> None:
    assert detectable_difference(differences) is None
