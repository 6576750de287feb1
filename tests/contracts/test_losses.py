"""When a loss has diverged: the trainer's log and the page of the job say the same of the same curve, step by step."""

import doctest
import math

import pytest

from playbook.contracts import losses
from playbook.trainer import watch
from playbook.trainer.checkpoint import TrainingState
from playbook.web.jobs import signs


def test_the_rule_reads_as_its_examples_say() -> None:
    assert doctest.testmod(losses).failed == 0


@pytest.mark.parametrize(
    ("curve", "begin"),
    [
        ([1.0] * 10 + [1.6] * 10, 16),  # 1.5 times its best stretch, and half a nat above it
        ([1.0] * 10 + [1.45] * 30, None),
        ([0.1] * 10 + [0.5] * 30, None),  # many times, but no half a nat
        ([1.9, 20.0, 80.0, 60.0, 40.0, 30.0, 20.0, 15.0, 12.0, 12.0, 9.0, 8.0], 10),  # from the start
        ([2.5 * math.exp(-step / 8) for step in range(60)], None),
        ([9.0 if step == 30 else 1.0 + step % 3 / 5 for step in range(60)], None),  # one jump
        ([2.0, 1.8, 1.5, 1.2, 1.0] * 2 + [6.5 + step % 2 for step in range(20)], 15),
        ([], None),
    ],
)
def test_log_and_page_call_the_same_curve_diverged_from_the_same_step_on(curve: list[float], begin: int | None) -> None:
    state = TrainingState(made_with={}, compute_dtype="float32")
    in_log, on_page = [], []
    for step, loss in enumerate(curve, start=1):
        state = watch.with_loss(state, loss)
        if watch.divergence(state) is not None:
            in_log.append(step)
        if signs.divergence(list(enumerate(curve[:step], start=1)), not_finite_step=None) is not None:
            on_page.append(step)
    assert in_log == on_page
    assert (in_log[0] if in_log else None) == begin
