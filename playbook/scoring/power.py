"""What a test set can show: how many rows a difference needs, and how small a difference these rows can show.

The calculator "How many test rows do I need?" and the reports use the same formulas.
"""

from collections.abc import Hashable, Sequence
from math import ceil, sqrt

from playbook.scoring.bootstrap import clustered_variance, clusters_of

#: Under this many test rows an interval is so wide that the figures only indicate (Bowyer et al. 2025, 2503.01747).
INDICATIVE_BELOW_ROWS = 50
#: 97.5 % and 80 % points of the standard normal distribution: 5 % two-sided error, 80 % power.
_Z_ERROR, _Z_POWER = 1.959963984540054, 0.8416212335729143
#: Fewer discordant rows cannot reach p < 0.05 in an exact McNemar test, even all one way: 2 / 2**6 = 0.031.
LEAST_DISCORDANT_ROWS = 6


def paired_rows(*, difference: float, discordant: float) -> int:
    """Return the test rows needed to see `difference` between two models that answer the same rows.

    At 5 % two-sided error and 80 % power.
    `discordant` is the share of rows on which exactly one of the two is right; it is never below `difference`.
    rows = (z_error + z_power)² x variance / difference², where a paired difference of right and wrong answers has the
    variance discordant - difference²; to the nearest row, as the normal approximation is coarser than one. Source: the
    power analysis in Miller, "Adding Error Bars to Evals", 2024. Never so few that under six rows would differ.
    Raises ValueError unless 0 < difference <= discordant <= 1.

    >>> paired_rows(difference=0.10, discordant=0.30)
    228
    """
    if not 0 < difference <= discordant <= 1:
        raise ValueError(
            f"difference {difference} and discordant share {discordant}: need 0 < difference <= discordant <= 1"
        )
    rows = round((_Z_ERROR + _Z_POWER) ** 2 * (discordant - difference**2) / difference**2)
    return max(rows, ceil(LEAST_DISCORDANT_ROWS / discordant))


def smallest_difference(*, rows: float, discordant: float) -> float | None:
    """Return the smallest difference that `rows` paired test rows show, the inverse of `paired_rows`.

    None when even a difference as large as the discordant share would not show, or when fewer than six rows are
    expected to differ.

    >>> round(smallest_difference(rows=228, discordant=0.30), 2)
    0.1
    """
    factor = (_Z_ERROR + _Z_POWER) ** 2
    found = sqrt(factor * discordant / (rows + factor))
    return found if found <= discordant and rows * discordant >= LEAST_DISCORDANT_ROWS else None


def detectable_difference(
    differences: Sequence[float], *, groups: Sequence[Hashable | None] | None = None
) -> float | None:
    """Return the smallest difference of two arms' mean scores that this test set would show, at 80 % power.

    `differences`: of the scores, row by row, as two arms answered them; they tell how much rows vary.
    (z_error + z_power) x standard error, which for right and wrong answers is `smallest_difference`; the error is by
    groups. Source: Miller, "Adding Error Bars to Evals", 2024, section 5. Where the arms hardly differ, at least six
    rows must change one way. None when no difference would show: fewer than six rows, or groups.

    >>> round(detectable_difference([1.0] * 46 + [-1.0] * 23 + [0.0] * 159), 2)
    0.1
    """
    clusters = clusters_of(differences, groups=groups)
    if clusters.groups < LEAST_DISCORDANT_ROWS:
        return None
    least = LEAST_DISCORDANT_ROWS / clusters.groups
    if groups is None and set(differences) <= {-1.0, 0.0, 1.0}:
        discordant = sum(abs(one) for one in differences) / len(differences)
        return smallest_difference(rows=len(differences), discordant=discordant) or least
    found = (_Z_ERROR + _Z_POWER) * sqrt(clustered_variance(clusters))
    return min(1.0, found) if found > 0 else least
