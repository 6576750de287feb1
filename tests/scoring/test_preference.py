"""Preference of people in a blind comparison."""

import pytest
from scipy.stats import binomtest

from playbook.contracts.report import Estimate
from playbook.contracts.run_spec import Arm
from playbook.scoring.preference import Rating, preference_of
from playbook.scoring.statistics import wilson_interval


def ratings(wins: int, losses: int, ties: int = 0) -> list[Rating]:
    said = [Arm.LORA] * wins + [Arm.FEW_SHOT] * losses + [None] * ties
    return [Rating(row, preferred) for row, preferred in enumerate(said)]


@pytest.mark.parametrize(("wins", "losses", "ties"), [(14, 3, 5), (9, 9, 0), (2, 40, 1), (300, 250, 10)])
def test_one_rating_a_row_is_the_sign_test_with_wilson(wins: int, losses: int, ties: int) -> None:
    found = preference_of(ratings(wins, losses, ties), baseline=Arm.FEW_SHOT, arm=Arm.LORA)

    low, high = wilson_interval(wins, wins + losses)
    assert (found.wins, found.losses, found.ties, found.rows) == (wins, losses, ties, wins + losses + ties)
    assert found.share == Estimate(value=wins / (wins + losses), low=low, high=high)
    assert found.p_value == pytest.approx(binomtest(wins, wins + losses).pvalue, abs=0.015)


def test_several_people_on_one_row_are_no_independent_witnesses() -> None:
    alone = preference_of(ratings(9, 3), baseline=Arm.FEW_SHOT, arm=Arm.LORA)
    crowd = [Rating(row, Arm.LORA if row < 9 else Arm.FEW_SHOT) for row in range(12) for _ in range(10)]
    found = preference_of(crowd, baseline=Arm.FEW_SHOT, arm=Arm.LORA)

    assert alone.share is not None
    assert found.share is not None
    assert found.p_value == pytest.approx(alone.p_value)
    assert [found.share.low, found.share.high] == pytest.approx([alone.share.low, alone.share.high], abs=0.02)


@pytest.mark.parametrize("given", [[], [Rating(0, None), Rating(1, None)]])
def test_ties_alone_prefer_nobody(given: list[Rating]) -> None:
    found = preference_of(given, baseline=Arm.FEW_SHOT, arm=Arm.LORA)

    assert (found.share, found.p_value, found.ties) == (None, 1.0, len(given))


def test_a_rating_of_a_third_arm_is_refused() -> None:
    with pytest.raises(ValueError, match="prefers rag, which is neither few_shot nor lora"):
        preference_of([Rating(0, Arm.RAG)], baseline=Arm.FEW_SHOT, arm=Arm.LORA)
