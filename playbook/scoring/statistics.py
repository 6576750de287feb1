"""Intervals and tests on counts of right answers. Standard library alone; checked against scipy in the tests."""

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
    share = successes / n
    shrink = 1 + z * z / n
    centre = (share + z * z / (2 * n)) / shrink
    half = z * sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / shrink
    # At 0 and n the bound is exact; floating point would leave it a hair outside.
    low = 0.0 if successes == 0 else centre - half
    high = 1.0 if successes == n else centre + half
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
