"""What the curves of a run say while it runs; overfitting is in `test_train`."""

import pytest

from playbook.contracts.losses import STRETCH
from playbook.trainer.checkpoint import TrainingState
from playbook.trainer.watch import divergence, stall, with_loss


def state(**values: object) -> TrainingState:
    return TrainingState.model_validate({"made_with": {}, "compute_dtype": "float32", "step": 20, **values})


def after(*losses: float) -> TrainingState:
    found = state()
    for loss in losses:
        found = with_loss(found, loss)
    return found


def test_a_loss_far_above_its_lowest_is_divergence_in_sight() -> None:
    said = divergence(after(*[1.0] * STRETCH, *[3.0] * STRETCH))

    assert said is not None
    assert "train loss rose to 3.0000 (median of 10 steps) from its lowest, 1.0000" in said
    assert "try a tenth" in said


def test_a_loss_that_is_thrown_up_at_once_is_divergence_in_sight() -> None:
    said = divergence(after(1.9, 20.0, 80.0, 60.0, 40.0, 30.0, 20.0, 15.0, 12.0, 12.0))

    assert said is not None
    assert "train loss rose to 20.0000 (median of 10 steps) from 1.9000 at the first step" in said


@pytest.mark.parametrize(
    "losses",
    [
        [2.5, 2.0, 1.5, 1.2, 1.0, 0.9, 0.8],
        [1.0] * 10 + [4.0],
        [1.0] * 10 + [40.0] * 4,
        [0.01] * 10 + [0.2] * 10,
        [5.0, 6.0],
        [1.9, 20.0, 80.0, 60.0, 40.0],
        [0.8, 1.7, 1.6, 1.9, 1.5] * 2,
    ],
)
def test_falling_losses_one_jump_and_small_numbers_are_no_divergence(losses: list[float]) -> None:
    assert divergence(after(*losses)) is None


def test_divergence_is_said_once() -> None:
    far = after(*[1.0] * STRETCH, *[3.0] * STRETCH)

    assert divergence(far.model_copy(update={"warned": ("divergence",)})) is None


def test_a_loss_that_stands_still_for_three_checks_is_a_stall() -> None:
    said = stall(state(train_means=(2.0, 1.999, 2.0, 1.998)))

    assert said is not None
    assert "train loss stands still at 1.9980" in said


@pytest.mark.parametrize("means", [(2.0, 1.5, 1.2, 1.1), (2.0, 2.0, 2.0), (2.0, 0.03, 0.04, 0.03, 0.04, 0.03), ()])
def test_a_falling_loss_a_short_run_and_one_near_zero_are_no_stall(means: tuple[float, ...]) -> None:
    assert stall(state(train_means=means)) is None
