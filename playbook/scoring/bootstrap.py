"""Intervals of means, ratios and paired differences by the bootstrap, and a paired test, all by groups of rows.

Rows of one group (a conversation, a template) vary together: groups are drawn, not rows. Numbers come from a fixed
seed, so that a page shows the same interval each time. numpy is imported on use: the site starts without it.
"""

from collections.abc import Hashable, Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

from playbook.scoring.statistics import Interval, wilson_of_share

RESAMPLES = 10_000
#: Efron and Tibshirani 1993, section 14.3: at least 1,000 for BCa; twice that.
LEAST_RESAMPLES = 2_000
SEED = 20_070_607
#: Draws held in memory at a time: 32 MB.
_CHUNK = 4_000_000
#: Up to so many groups that differ, every assignment of signs is looked at: 65,536 of them.
_ENUMERATED = 16
#: Sums of floats that should be equal differ by this much at most, against the largest possible sum.
_EQUAL = 1e-9


class Clusters(NamedTuple):
    """Rows summed by group, float64 (groups,): `tops` of the values, `bottoms` of the weights (1 a row)."""

    tops: Any
    bottoms: Any

    @property
    def groups(self) -> int:
        return len(self.tops)

    @property
    def ratio(self) -> float:
        return float(self.tops.sum() / self.bottoms.sum())


def clusters_of(
    values: Sequence[float], *, weights: Sequence[float] | None = None, groups: Sequence[Hashable | None] | None = None
) -> Clusters:
    """Sum values and weights by group; a row whose group is None, or without `groups`, stands alone.

    Raises ValueError when there is no row, or when the sequences differ in length.
    """
    import numpy as np

    if not values:
        raise ValueError("an interval needs at least one row")
    weights = [1.0] * len(values) if weights is None else weights
    keys = [None] * len(values) if groups is None else groups
    places: dict[Hashable, int] = {}
    at = [places.setdefault(at if key is None else (key,), len(places)) for at, key in enumerate(keys)]
    tops, bottoms = np.zeros(len(places)), np.zeros(len(places))
    for place, value, weight in zip(at, values, weights, strict=True):
        tops[place] += value
        bottoms[place] += weight
    return Clusters(tops, bottoms)


def bca_interval(clusters: Clusters, *, resamples: int | None = None, seed: int = SEED) -> Interval | None:
    """Return the 95 % BCa bootstrap interval of sum(tops) / sum(bottoms), groups drawn with replacement.

    Bias-corrected and accelerated: Efron, "Better bootstrap confidence intervals", JASA 82 (1987), 171-185; the
    acceleration from the jackknife: Efron and Tibshirani, An Introduction to the Bootstrap, 1993, equation 14.15.
    Drawing whole groups: Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8.
    None when nothing varies (one group, or all alike): then there is nothing to draw from. `resamples`: 10,000, and
    fewer beyond 1,000 groups, whose mean is close to normal anyhow; never under 2,000.
    """
    import numpy as np

    resamples = resamples or max(LEAST_RESAMPLES, min(RESAMPLES, RESAMPLES * 1_000 // clusters.groups))

    tops, bottoms, n = clusters.tops, clusters.bottoms, clusters.groups
    if n < 2 or np.ptp(tops / bottoms) <= _EQUAL * max(1.0, float(np.abs(tops).max())):
        return None
    estimate = clusters.ratio
    drawn = _resampled(clusters, resamples, seed)
    below = (np.count_nonzero(drawn < estimate) + np.count_nonzero(drawn <= estimate)) / (2 * resamples)
    normal = NormalDist()
    # All draws on one side: as far as so many draws can tell.
    bias = normal.inv_cdf(min(max(below, 0.5 / resamples), 1 - 0.5 / resamples))
    jackknife = (tops.sum() - tops) / (bottoms.sum() - bottoms)
    pull = jackknife.mean() - jackknife
    acceleration = float((pull**3).sum() / (6 * (pull**2).sum() ** 1.5))

    def level(z: float) -> float:
        return normal.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))

    z = normal.inv_cdf(0.975)
    low, high = np.quantile(drawn, [level(-z), level(z)])
    return Interval(float(low), float(high))


def _resampled(clusters: Clusters, resamples: int, seed: int) -> Any:
    """Return the ratio in each resample: float64 (resamples,)."""
    import numpy as np

    rng = np.random.default_rng(seed)
    step = max(1, _CHUNK // clusters.groups)
    found = []
    for start in range(0, resamples, step):
        drawn = rng.integers(0, clusters.groups, (min(step, resamples - start), clusters.groups))
        found.append(clusters.tops[drawn].sum(axis=1) / clusters.bottoms[drawn].sum(axis=1))
    return np.concatenate(found)


def mean_interval(
    scores: Sequence[float],
    *,
    groups: Sequence[Hashable | None] | None = None,
    low: float = 0.0,
    high: float = 1.0,
    resamples: int | None = None,
) -> Interval:
    """Return the 95 % interval of a mean of scores that lie between `low` and `high`: paired differences from -1 to 1.

    BCa. Where nothing varies it would have no width, which a handful of rows does not justify: the interval then
    reaches as far as the share of unseen rows that Wilson allows to be different, at either end of the scale.

    >>> found = mean_interval([1.0] * 20)
    >>> round(found.low, 2), found.high
    (0.84, 1.0)
    """
    clusters = clusters_of(scores, groups=groups)
    if (found := bca_interval(clusters, resamples=resamples)) is not None:
        return Interval(max(low, found.low), min(high, found.high))
    unseen, value = wilson_of_share(0.0, clusters.groups).high, clusters.ratio
    return Interval((1 - unseen) * value + unseen * low, (1 - unseen) * value + unseen * high)


def effective_rows(right: Sequence[bool], *, groups: Sequence[Hashable | None]) -> float:
    """Return how many independent rows carry as much information as these grouped ones: rows / design effect.

    The design effect is the variance of the share by groups against that of independent rows; below 1 it counts as 1.
    Without variation there are as many as groups. Source: Kish, Survey Sampling, 1965, section 8.2; for evaluations of
    language models Miller, "Adding Error Bars to Evals", 2024, section 2.2 (clustered standard errors).
    """
    clusters = clusters_of([float(one) for one in right], groups=groups)
    rows, share = len(right), clusters.ratio
    if clusters.groups == rows:
        return float(rows)
    if share in (0.0, 1.0) or clusters.groups == 1:
        return float(clusters.groups)
    grouped = clustered_variance(clusters)
    return rows / max(1.0, grouped * rows / (share * (1 - share)))


def clustered_variance(clusters: Clusters) -> float:
    """Return the variance of sum(tops) / sum(bottoms) over groups; infinite for one group.

    (G / (G - 1)) x sum of squared group residuals / rows²: Liang and Zeger, Biometrika 73 (1986), 13-22, with the usual
    correction for few groups.
    """
    count = clusters.groups
    if count < 2:
        return float("inf")
    residuals = clusters.tops - clusters.ratio * clusters.bottoms
    return float(count / (count - 1) * (residuals**2).sum() / clusters.bottoms.sum() ** 2)


def permutation_test(
    differences: Sequence[float], *, groups: Sequence[Hashable | None] | None = None, resamples: int = RESAMPLES
) -> float:
    """Return the two-sided p-value that paired differences have no direction: each group's sign is turned at random.

    All signs are enumerated for up to 16 groups that differ; beyond, (b + 1) / (m + 1) over m random draws, which is
    never 0. Source: Fisher, The Design of Experiments, 1935, section 21; Noreen, Computer-Intensive Methods for Testing
    Hypotheses, 1989; the correction: Phipson and Smyth, Stat. Appl. Genet. Mol. Biol. 9 (2010), article 39.
    Without groups and with differences of -1, 0 and 1 it is the exact McNemar test.

    >>> permutation_test([1.0] * 6)
    0.03125
    """
    import numpy as np

    sums = clusters_of(differences, groups=groups).tops
    sums = sums[np.abs(sums) > _EQUAL * max(1.0, float(np.abs(sums).max()))]
    if not len(sums):
        return 1.0
    seen = abs(float(sums.sum())) - _EQUAL * float(np.abs(sums).sum())
    if len(sums) <= _ENUMERATED:
        signs = ((np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums))) & 1) * 2.0 - 1
        return float(np.mean(np.abs(signs @ sums) >= seen))
    rng = np.random.default_rng(SEED)
    step, extreme = max(1, _CHUNK // len(sums)), 0
    for start in range(0, resamples, step):
        signs = rng.integers(0, 2, (min(step, resamples - start), len(sums))) * 2.0 - 1
        extreme += int(np.count_nonzero(np.abs(signs @ sums) >= seen))
    return (extreme + 1) / (resamples + 1)
