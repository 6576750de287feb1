"""Rows that changed, and the worst ones."""

import pytest

from playbook.contracts.metrics import Metric, MetricSettings
from playbook.contracts.run_spec import Arm
from playbook.scoring.compare import DifferentRows
from playbook.scoring.rows import changes_between, worst_rows
from tests.scoring.factories import arm_of, item


def test_rows_that_went_from_wrong_to_right_and_back() -> None:
    found = changes_between(arm_of(Arm.FEW_SHOT, [0, 1, 1, 0]), arm_of(Arm.LORA, [1, 1, 0, 1]))

    assert [row.after.index for row in found.gained] == [0, 3]
    assert [(row.before.index, row.change) for row in found.lost] == [(2, -1.0)]


def test_scores_that_rose_and_fell_by_size() -> None:
    f1 = MetricSettings(metric=Metric.FIELD_F1)
    found = changes_between(
        arm_of(Arm.FEW_SHOT, [0.5, 0.5, 0.5, 0.5, 0.5], settings=f1),
        arm_of(Arm.LORA, [0.6, 1, 0.5, 0.1, 0.4], settings=f1),
    )

    assert [row.after.index for row in found.gained] == [1, 0]
    assert [row.after.index for row in found.lost] == [3, 4]


def test_rows_of_other_sets_are_refused() -> None:
    with pytest.raises(DifferentRows):
        changes_between(arm_of(Arm.FEW_SHOT, [0]), arm_of(Arm.LORA, [1, 0]))


def test_the_worst_rows_come_first() -> None:
    arm = arm_of(Arm.LORA, [1, 0, 0, 0, 0])
    items = [
        *arm.items[:3],
        item(3, 0, error="too long", correct=False),
        item(4, 0, scores={Metric.ROUGE_L: 0.9}),
    ]
    arm = arm.model_copy(update={"items": tuple(items)})
    other = arm_of(Arm.FEW_SHOT, [1, 1, 0, 1, 0])

    assert [row.index for row in worst_rows(arm, [other])] == [3, 2, 4, 1]
    assert [row.index for row in worst_rows(arm, limit=2)] == [3, 1]


def test_an_arm_that_is_always_right_has_no_worst_rows() -> None:
    assert worst_rows(arm_of(Arm.LORA, [1, 1])) == ()
