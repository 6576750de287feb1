"""Which of two arms people prefer, from ratings made without knowing which answer is whose."""

from collections.abc import Sequence
from dataclasses import dataclass

from playbook.contracts.report import Estimate
from playbook.contracts.run_spec import Arm
from playbook.scoring.bootstrap import effective_rows, permutation_test
from playbook.scoring.statistics import wilson_of_share


@dataclass(frozen=True)
class Rating:
    """One person's judgement of one row: the arm whose answer was better, or None for a tie."""

    row: int
    preferred: Arm | None


@dataclass(frozen=True)
class Preference:
    """`share`: of the ratings with a preference, those for `arm`, with a 95 % interval; None without any.

    `p_value`: how often chance alone brings so uneven a choice where neither is preferred.
    """

    baseline: Arm
    arm: Arm
    wins: int
    losses: int
    ties: int
    rows: int
    share: Estimate | None
    p_value: float


def preference_of(ratings: Sequence[Rating], *, baseline: Arm, arm: Arm) -> Preference:
    """Return how often `arm` was preferred to `baseline`. Ties say nothing on the direction and are left out of it.

    Several people's ratings of one row vary together: the interval is Wilson's on the effective number of ratings, the
    test turns the signs of whole rows, and is the sign test where each row was rated once (Dixon and Mood, JASA 41
    (1946), 557-566). Raises ValueError for a rating of a third arm.

    >>> found = preference_of([Rating(row, Arm.LORA) for row in range(6)], baseline=Arm.ZERO_SHOT, arm=Arm.LORA)
    >>> found.wins, found.p_value
    (6, 0.03125)
    """
    if odd := [rating.preferred for rating in ratings if rating.preferred not in (None, baseline, arm)]:
        raise ValueError(f"a rating prefers {odd[0]}, which is neither {baseline} nor {arm}")
    decided = [rating for rating in ratings if rating.preferred is not None]
    won = [rating.preferred is arm for rating in decided]
    rows = [rating.row for rating in decided]
    share = None
    if decided:
        value = sum(won) / len(won)
        low, high = wilson_of_share(value, effective_rows(won, groups=rows))
        share = Estimate(value=value, low=low, high=high)
    return Preference(
        baseline=baseline,
        arm=arm,
        wins=sum(won),
        losses=len(won) - sum(won),
        ties=len(ratings) - len(decided),
        rows=len({rating.row for rating in ratings}),
        share=share,
        p_value=permutation_test([1.0 if one else -1.0 for one in won], groups=rows) if decided else 1.0,
    )
