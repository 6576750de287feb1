import pytest

from playbook.contracts.dataset import Message
from playbook.contracts.report import ArmReport, Comparison, ItemResult
from playbook.contracts.run_spec import Arm, Metric
from playbook.scoring.compare import compare_all, compare_arms, scores_of


def item(index: int, *, correct: bool) -> ItemResult:
    return ItemResult(
        index=index,
        prompt=(Message(role="user", content="hi"),),
        expected="1",
        output="1" if correct else "?",
        correct=correct,
        json_valid=correct,
        prompt_tokens=3,
        output_tokens=2,
        natural_stop=True,
    )


def arm(name: Arm, outcomes: list[bool]) -> ArmReport:
    items = tuple(item(index, correct=correct) for index, correct in enumerate(outcomes))
    return ArmReport(arm=name, items=items, scores=scores_of(items, metric=Metric.EXACT_MATCH), seconds=1.0)


def test_scores_hold_the_metric_and_the_share_of_valid_json() -> None:
    scores = arm(Arm.LORA, [True, True, False, True]).scores

    assert [(score.metric, score.successes, score.n, score.value) for score in scores] == [
        (Metric.EXACT_MATCH, 3, 4, 0.75),
        (Metric.JSON_VALID, 3, 4, 0.75),
    ]


def test_json_valid_as_the_metric_is_scored_once() -> None:
    assert len(scores_of([item(0, correct=True)], metric=Metric.JSON_VALID)) == 1


def test_every_later_arm_is_compared_with_every_earlier_one() -> None:
    zero, few, lora = (
        arm(Arm.ZERO_SHOT, [False] * 8),
        arm(Arm.FEW_SHOT, [True] + [False] * 7),
        arm(Arm.LORA, [True] * 7 + [False]),
    )

    assert compare_all([zero, few, lora]) == (
        Comparison(baseline=Arm.ZERO_SHOT, arm=Arm.FEW_SHOT, gained=1, lost=0, p_value=1.0),
        Comparison(baseline=Arm.ZERO_SHOT, arm=Arm.LORA, gained=7, lost=0, p_value=0.015625),
        Comparison(baseline=Arm.FEW_SHOT, arm=Arm.LORA, gained=6, lost=0, p_value=0.03125),
    )


def test_arms_on_different_rows_are_not_compared() -> None:
    with pytest.raises(ValueError, match="argument 2"):
        compare_arms(arm(Arm.ZERO_SHOT, [True]), arm(Arm.LORA, [True, False]))
