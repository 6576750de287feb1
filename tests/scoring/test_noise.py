"""Run-to-run noise of a repeated arm."""

import numpy as np
import pytest

from playbook.contracts.report import Repeat
from playbook.contracts.run_spec import Arm
from playbook.scoring.noise import noise_of
from tests.scoring.factories import arm_of


def test_an_arm_measured_once_says_nothing_on_noise() -> None:
    assert noise_of(arm_of(Arm.LORA, [1, 0])) is None


def test_noise_is_the_deviation_of_the_means_and_the_rows_that_moved() -> None:
    repeats = [Repeat(seed=1, scores=(1, 1, 0, 0), seconds=1), Repeat(seed=2, scores=(1, 1, 1, 0), seconds=1)]
    noise = noise_of(arm_of(Arm.LORA, [1, 0, 0, 0], repeats=tuple(repeats)))

    assert noise is not None
    assert noise.means == (0.25, 0.5, 0.75)
    assert (noise.deviation, noise.changed) == (float(np.std([0.25, 0.5, 0.75], ddof=1)), 2)


def test_two_runs_differ_by_more_than_the_margin_one_time_in_twenty() -> None:
    rng = np.random.default_rng(5)
    means = rng.normal(0.6, 0.02, size=(20_000, 2))
    repeats = tuple(Repeat(seed=n, scores=(mean,), seconds=1) for n, mean in enumerate(rng.normal(0.6, 0.02, size=400)))
    noise = noise_of(arm_of(Arm.LORA, [0.6], repeats=repeats))

    assert noise is not None
    assert np.mean(np.abs(means[:, 0] - means[:, 1]) > noise.margin) == pytest.approx(0.05, abs=0.015)


def test_a_greedy_arm_that_repeats_itself_has_no_noise() -> None:
    noise = noise_of(arm_of(Arm.LORA, [1, 0], repeats=(Repeat(seed=1, scores=(1, 0), seconds=1),)))

    assert noise is not None
    assert (noise.deviation, noise.margin, noise.changed) == (0, 0, 0)
