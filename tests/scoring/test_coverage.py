"""A 95 % interval holds the truth about 95 times in 100. Seeded, so that it always comes out the same."""

import pytest

from tests.scoring import coverage
from tests.scoring.coverage import Simulation

SIMULATIONS = 1_000
#: Where 1,000 simulations of a true 95 % fall but one time in a thousand: ± 3.3 standard errors.
CHANCE = 0.023


@pytest.mark.parametrize("n", [1, 5, 20, 50, 200])
def test_wilson_covers_exactly_computed(n: int) -> None:
    assert 0.945 < coverage.wilson_coverage(n) < 0.97


@pytest.mark.parametrize(
    "simulation",
    [
        coverage.shares_in_groups(40, 5),
        coverage.skewed_scores(60),
        coverage.scores_in_groups(40, 4),
        coverage.paired_differences(100, gained=0.3, lost=0.15),
    ],
    ids=["shares in groups", "skewed scores", "scores in groups", "paired differences"],
)
def test_intervals_cover_by_simulation(simulation: Simulation) -> None:
    assert coverage.coverage(simulation, simulations=SIMULATIONS, seed=11) == pytest.approx(0.95, abs=CHANCE)


def test_an_arm_that_never_loses_a_row_is_still_covered() -> None:
    """The case of a tuned model that is right nearly everywhere: few rows differ, all one way."""
    simulation = coverage.paired_differences(40, gained=0.05, lost=0.0)

    assert coverage.coverage(simulation, simulations=SIMULATIONS, seed=12) > 0.93


def test_the_permutation_test_finds_nothing_where_there_is_nothing() -> None:
    assert coverage.false_findings(30, simulations=SIMULATIONS, seed=13) < 0.05 + CHANCE
