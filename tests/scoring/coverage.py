"""How often intervals hold the truth: data are drawn from populations whose mean is known.

`test_coverage` runs it briefly, `make bench` at length (`tests.benchmarks.bench_intervals`).
"""

from collections.abc import Callable
from math import comb

import numpy as np

from playbook.scoring.bootstrap import effective_rows, mean_interval, permutation_test
from playbook.scoring.statistics import Interval, wilson_interval, wilson_of_share

RESAMPLES = 1_000
Simulation = Callable[[np.random.Generator], tuple[Interval, float]]


def wilson_coverage(n: int) -> float:
    """Return the exact coverage of Wilson's interval, averaged over true shares from 0.01 to 0.99: no simulation."""
    intervals = [wilson_interval(right, n) for right in range(n + 1)]
    covered = []
    for true in np.linspace(0.01, 0.99, 99):
        chances = [comb(n, right) * true**right * (1 - true) ** (n - right) for right in range(n + 1)]
        inside = [low <= true <= high for low, high in intervals]
        covered.append(sum(chance for chance, holds in zip(chances, inside, strict=True) if holds))
    return float(np.mean(covered))


def coverage(simulation: Simulation, *, simulations: int, seed: int) -> float:
    """Return the share of simulations whose interval holds the true value."""
    rng = np.random.default_rng(seed)
    found = [simulation(rng) for _ in range(simulations)]
    return float(np.mean([low <= true <= high for (low, high), true in found]))


def shares_in_groups(groups: int, size: int) -> Simulation:
    """Right and wrong rows in groups that agree: the intraclass correlation of Beta(1.4, 0.933) is 0.3."""

    def simulate(rng: np.random.Generator) -> tuple[Interval, float]:
        right = rng.random((groups, size)) < rng.beta(1.4, 1.4 / 1.5, size=(groups, 1))
        names = [group for group in range(groups) for _ in range(size)]
        rows = effective_rows(right.ravel().tolist(), groups=names)
        return wilson_of_share(float(right.mean()), rows), 0.6

    return simulate


def skewed_scores(n: int) -> Simulation:
    """Scores of parts of a point, most of them near 1, as chrF and field F1 come: Beta(2, 0.5)."""

    def simulate(rng: np.random.Generator) -> tuple[Interval, float]:
        return mean_interval(rng.beta(2, 0.5, size=n).tolist(), resamples=RESAMPLES), 0.8

    return simulate


def scores_in_groups(groups: int, size: int) -> Simulation:
    """Scores that share half of their variance with their group."""

    def simulate(rng: np.random.Generator) -> tuple[Interval, float]:
        scores = (rng.beta(2, 1, size=(groups, 1)) + rng.beta(2, 1, size=(groups, size))) / 2
        names = [group for group in range(groups) for _ in range(size)]
        return mean_interval(scores.ravel().tolist(), groups=names, resamples=RESAMPLES), 2 / 3

    return simulate


def paired_differences(n: int, *, gained: float, lost: float) -> Simulation:
    """Two arms on the same rows: a share of rows is won by one, another by the other, the rest is the same."""

    def simulate(rng: np.random.Generator) -> tuple[Interval, float]:
        drawn = rng.choice([1.0, -1.0, 0.0], p=[gained, lost, 1 - gained - lost], size=n)
        return mean_interval(drawn.tolist(), low=-1.0, resamples=RESAMPLES), gained - lost

    return simulate


def false_findings(n: int, *, simulations: int, seed: int) -> float:
    """Return how often the paired permutation test finds, at p < 0.05, a difference where there is none."""
    rng = np.random.default_rng(seed)
    return float(
        np.mean([permutation_test(rng.normal(size=n).tolist(), resamples=RESAMPLES) < 0.05 for _ in range(simulations)])
    )
