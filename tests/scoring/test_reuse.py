"""What repeated looks at one test set cost, against simulation and the source's bound."""

import doctest

import numpy as np
import pytest

from playbook.scoring import reuse
from playbook.scoring.reuse import Reuse


def test_the_examples_in_the_module_hold() -> None:
    assert doctest.testmod(reuse).failed == 0


@pytest.mark.parametrize(
    ("looks", "level"), [(0, "fresh"), (1, "fresh"), (4, "fresh"), (5, "worn"), (13, "worn"), (14, "spent")]
)
def test_levels_follow_the_chance_that_an_interval_misses(looks: int, level: str) -> None:
    found = Reuse(looks=looks, rows=100)
    assert found.level == level
    assert found.chance_of_a_miss == pytest.approx(1 - 0.95**looks)
    assert (found.level == "spent") == (found.chance_of_a_miss > 0.5)


@pytest.mark.parametrize(("looks", "rows"), [(5, 40), (20, 200)])
def test_the_best_of_many_equal_models_looks_better_within_the_bound(looks: int, rows: int) -> None:
    rng = np.random.default_rng(7)
    scores = rng.binomial(rows, 0.5, size=(4000, looks)) / rows
    excess = scores.max(axis=1).mean() - 0.5
    bound = Reuse(looks=looks, rows=rows).optimism
    assert 0.5 * bound < excess <= bound


def test_a_single_look_has_no_best_to_choose() -> None:
    assert Reuse(looks=1, rows=10).optimism == Reuse(looks=0, rows=10).optimism == 0


def test_no_model_looks_better_than_all_right() -> None:
    assert Reuse(looks=14, rows=1).optimism == 1
