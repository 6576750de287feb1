"""The bootstrap and the permutation test against scipy and statsmodels, and on worked examples."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from playbook.scoring.bootstrap import (
    SEED,
    bca_interval,
    clustered_variance,
    clusters_of,
    effective_rows,
    mean_interval,
    permutation_test,
)
from playbook.scoring.statistics import mcnemar_exact, wilson_interval

RNG = np.random.default_rng(7)
SKEWED = RNG.exponential(size=60).tolist()
#: Efron and Tibshirani 1993, table 14.1: spatial test scores of 26 children, A.
SPATIAL = [48, 36, 20, 29, 42, 42, 20, 42, 22, 41, 45, 14, 6, 0, 33, 28, 34, 4, 32, 24, 47, 41, 24, 26, 30, 41]


@pytest.mark.parametrize("values", [SKEWED, RNG.normal(size=25).tolist(), [0.0] * 30 + [1.0] * 10, SPATIAL])
def test_bca_equals_scipy_on_the_same_resamples(values: list[float]) -> None:
    expected = stats.bootstrap(
        (np.array(values, dtype=float),), np.mean, n_resamples=10_000, method="BCa", rng=np.random.default_rng(SEED)
    ).confidence_interval

    found = bca_interval(clusters_of(values))

    assert found is not None
    assert list(found) == pytest.approx([expected.low, expected.high], rel=1e-3)


def test_bca_of_a_ratio_equals_scipy_s_of_pairs() -> None:
    tops, bottoms = RNG.gamma(4, size=50), RNG.integers(5, 40, 50).astype(float)

    def ratio(top: np.ndarray, bottom: np.ndarray, axis: int) -> np.ndarray:
        return np.asarray(top.sum(axis=axis) / bottom.sum(axis=axis))

    expected = stats.bootstrap(
        (tops, bottoms), ratio, paired=True, n_resamples=20_000, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    found = bca_interval(clusters_of(tops.tolist(), weights=bottoms.tolist()), resamples=20_000)

    assert found is not None
    assert list(found) == pytest.approx([expected.low, expected.high], rel=0.01)


def test_a_ratio_is_that_of_the_published_hormone_patches() -> None:
    """Efron and Tibshirani 1993, section 10.3: eight subjects, ratio -0.0713, bootstrap standard error 0.105."""
    tops = [-1200.0, 2601, -2705, 1982, -1290, 351, -638, -2719]
    bottoms = [8406.0, 2342, 8187, 8459, 4795, 3516, 4796, 10238]

    clusters = clusters_of(tops, weights=bottoms)
    found = bca_interval(clusters)

    assert round(clusters.ratio, 4) == -0.0713
    assert found is not None
    # Skewed to the right, and about 2 x 1.96 standard errors wide.
    assert found.high - clusters.ratio > clusters.ratio - found.low
    assert found.high - found.low == pytest.approx(2 * 1.96 * 0.105, rel=0.15)


def test_rows_are_summed_by_group_and_rows_without_one_stand_alone() -> None:
    clusters = clusters_of([1.0, 0.0, 1.0, 0.5, 0.25], groups=["a", None, "a", None, "b"])

    assert (clusters.tops.tolist(), clusters.bottoms.tolist()) == ([2.0, 0.0, 0.5, 0.25], [2.0, 1.0, 1.0, 1.0])
    assert clusters.ratio == pytest.approx(2.75 / 5)


def test_drawing_groups_equals_drawing_their_means_when_they_are_alike_in_size() -> None:
    values = RNG.normal(size=40)
    grouped = mean_interval(np.repeat(values, 5).tolist(), groups=[at // 5 for at in range(200)], low=-9, high=9)

    assert list(grouped) == pytest.approx(list(mean_interval(values.tolist(), low=-9, high=9)))


@pytest.mark.parametrize(("values", "groups"), [([1.0], None), ([0.0] * 9, None), ([1.0, 0.0], ["a", "a"])])
def test_nothing_can_be_drawn_from_what_does_not_vary(values: list[float], groups: list[str] | None) -> None:
    assert bca_interval(clusters_of(values, groups=groups)) is None


@pytest.mark.parametrize("n", [1, 5, 40])
def test_an_interval_without_variation_is_wilson_s(n: int) -> None:
    assert list(mean_interval([1.0] * n)) == pytest.approx(list(wilson_interval(n, n)))
    assert list(mean_interval([0.0] * n)) == pytest.approx(list(wilson_interval(0, n)))
    half = mean_interval([0.5] * n)
    assert half.high - 0.5 == pytest.approx(0.5 - half.low)


@pytest.mark.parametrize("values", [[], [1.0, 2.0]])
def test_rows_and_groups_must_be_as_many(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"at least one row|zip"):
        clusters_of(values, groups=["a"])


def test_clustered_variance_equals_that_of_a_regression_on_a_constant() -> None:
    groups = RNG.integers(0, 12, 90)
    values = (RNG.normal(size=12)[groups] + RNG.normal(size=90)).tolist()
    fitted = sm.OLS(values, np.ones(90)).fit(cov_type="cluster", cov_kwds={"groups": groups, "use_correction": False})

    clusters = clusters_of(values, groups=groups.tolist())

    correction = clusters.groups / (clusters.groups - 1)
    assert clustered_variance(clusters) == pytest.approx(float(fitted.bse[0] ** 2) * correction)


def test_effective_rows_by_kish() -> None:
    right = [True, True, False, False, True, True, False, False]

    assert effective_rows(right, groups=[None] * 8) == 8
    # Groups of two that always agree carry half as much; 3/4 of that is the correction for four groups.
    assert effective_rows(right, groups=[0, 0, 1, 1, 2, 2, 3, 3]) == pytest.approx(8 / 2 * 3 / 4)
    # Groups that hold one of each vary less than chance; they count as independent rows, never as more.
    assert effective_rows(right, groups=[0, 1, 0, 1, 2, 3, 2, 3]) == 8
    assert effective_rows([True] * 6, groups=[0, 0, 1, 1, 2, 2]) == 3
    assert effective_rows([True, False], groups=["a", "a"]) == 1


@pytest.mark.parametrize(
    "differences", [[0.3, -0.1, 0.2, 0.5, -0.4, 0.1, 0.25], [1.0, 1, 1, -1, 1, 1, 0, 0], [0.5] * 6, [0.0] * 4]
)
def test_permutation_equals_scipy_s_exact_test(differences: list[float]) -> None:
    expected = stats.permutation_test(
        (np.array(differences), np.zeros(len(differences))),
        lambda x, y, axis: np.mean(x - y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    ).pvalue

    assert permutation_test(differences) == pytest.approx(expected)


def test_permutation_gives_fisher_s_value_for_darwin_s_maize() -> None:
    """Fisher 1935, section 21: 15 pairs, heights in eighths of an inch; 1,726 of 32,768 sums are as extreme."""
    differences = [49.0, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]

    assert permutation_test(differences) == pytest.approx(1726 / 2**15)


@pytest.mark.parametrize(("gained", "lost"), [(6, 0), (3, 9), (5, 5), (0, 0)])
def test_permutation_of_right_and_wrong_is_mcnemar(gained: int, lost: int) -> None:
    assert permutation_test([1.0] * gained + [-1.0] * lost + [0.0] * 5) == pytest.approx(mcnemar_exact(gained, lost))


def test_permutation_of_many_rows_is_drawn_and_never_zero() -> None:
    gained, lost = 60, 40
    assert permutation_test([1.0] * gained + [-1.0] * lost) == pytest.approx(mcnemar_exact(gained, lost), abs=0.015)
    assert permutation_test([1.0] * 500) == pytest.approx(1 / 10_001)


def test_the_same_rows_give_the_same_interval() -> None:
    assert mean_interval(SKEWED, high=math.inf) == mean_interval(SKEWED, high=math.inf)


def test_fewer_resamples_of_many_rows_give_nearly_the_same_interval() -> None:
    values = np.random.default_rng(9).beta(2, 1, size=6_000).tolist()

    quick, full = bca_interval(clusters_of(values)), bca_interval(clusters_of(values), resamples=10_000)

    assert quick is not None
    assert full is not None
    assert list(quick) == pytest.approx(list(full), abs=0.05 * (full.high - full.low))
