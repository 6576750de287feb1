"""Intervals and tests on counts of right answers. Standard library alone; checked against scipy in the tests."""

from collections.abc import Sequence
from math import comb, sqrt
from typing import NamedTuple

#: The 97.5 % point of the standard normal distribution: a two-sided 95 % interval.
Z_95 = 1.959963984540054


class Interval(NamedTuple):
    low: float
    high: float


def wilson_interval(successes: int, n: int, *, z: float = Z_95) -> Interval:
    """Return the score interval of a proportion. It stays inside [0, 1] and holds for small n, also at 0 and n.

    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927),
    209-212; recommended for small n by Brown, Cai and DasGupta, Statistical Science 16 (2001), 101-133.
    Raises ValueError unless 0 <= successes <= n and n >= 1.

    >>> low, high = wilson_interval(80, 100)
    >>> round(low, 2), round(high, 2)
    (0.71, 0.87)
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(f"a proportion needs 0 <= successes <= n and n >= 1, got {successes} of {n}")
    return wilson_of_share(successes / n, n, z=z)


def wilson_of_share(share: float, n: float, *, z: float = Z_95) -> Interval:
    """Return the same interval of a share of `n` rows; `n` need not be whole, as rows in groups count for fewer.

    Raises ValueError unless 0 <= share <= 1 and n > 0. Source of the effective n: Korn and Graubard, "Confidence
    intervals for proportions with small expected number of positive counts estimated from survey data", Survey
    Methodology 24 (1998), 193-201.
    """
    if n <= 0 or not 0 <= share <= 1:
        raise ValueError(f"a proportion needs 0 <= share <= 1 and n > 0, got {share} of {n}")
    shrink = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / shrink
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / shrink
    # At 0 and 1 the bound is exact; floating point would leave it a hair outside.
    low = 0.0 if share == 0 else centre - half
    high = 1.0 if share == 1 else centre + half
    return Interval(low, high)


def mcnemar_exact(gained: int, lost: int) -> float:
    """Return the exact two-sided p-value that two arms are equally good, from the rows on which they differ.

    Under the null hypothesis each discordant row goes either way with probability 1/2, so the smaller count follows
    Binomial(gained + lost, 1/2). Source: Q. McNemar, Psychometrika 12 (1947), 153-157, in the exact binomial form
    (Agresti, Categorical Data Analysis, 3rd ed., section 11.1.1). Without a discordant row the result is 1.

    >>> mcnemar_exact(6, 0)
    0.03125
    """
    if gained < 0 or lost < 0:
        raise ValueError(f"counts of rows cannot be negative, got gained={gained}, lost={lost}")
    n = gained + lost
    tail: int = sum(comb(n, k) for k in range(min(gained, lost) + 1))
    # Integers until the last step: 2**n overflows a float beyond n = 1023.
    return min(1.0, float(2 * tail / (1 << n)))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return the p-values adjusted for how many there are, in their order: the chance of one false finding among all.

    The smallest is multiplied by m, the next by m - 1, and so on, never below the one before. Source: Holm, "A simple
    sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979), 65-70.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, p_values[at] * (len(p_values) - rank)))
        adjusted[at] = largest
    return tuple(adjusted)
