"""From rows to scores and comparisons: which interval, which test, and what is refused."""

import math

import pytest

from playbook.contracts.metrics import Metric, MetricSettings
from playbook.contracts.report import Comparison
from playbook.contracts.run_spec import Arm
from playbook.scoring.compare import DifferentRows, compare_all, compare_arms, score_of, scores_of
from tests.scoring.factories import arm_of, item

F1 = MetricSettings(metric=Metric.FIELD_F1)
PERPLEXITY = MetricSettings(metric=Metric.PERPLEXITY)


def test_scores_hold_the_metric_and_the_share_of_valid_json() -> None:
    scores = arm_of(Arm.LORA, [1, 1, 0, 1]).scores

    assert [(score.metric, score.successes, score.n, score.value) for score in scores] == [
        (Metric.EXACT_MATCH, 3, 4, 0.75),
        (Metric.JSON_VALID, 3, 4, 0.75),
    ]
    assert scores[0] == score_of(Metric.EXACT_MATCH, 3, 4)


def test_json_valid_as_the_metric_is_scored_once() -> None:
    assert len(scores_of([item(0, 1)], MetricSettings(metric=Metric.JSON_VALID))) == 1


def test_parts_of_a_point_get_a_mean_and_a_bootstrap_interval() -> None:
    score = arm_of(Arm.LORA, [0.5, 1.0, 0.75, 0.0] * 10, settings=F1).scores[0]

    assert (score.value, score.successes, score.n, score.interval) == (0.5625, 10, 40, "bca")
    assert 0.43 < score.low < 0.5 < 0.62 < score.high < 0.69


def test_rows_in_groups_widen_the_interval_of_a_share() -> None:
    outcomes = [1.0] * 20 + [0.0] * 20
    alone = arm_of(Arm.LORA, outcomes).scores[0]
    grouped = arm_of(Arm.LORA, outcomes, groups=[str(at // 4) for at in range(40)]).scores[0]

    assert (alone.value, alone.groups) == (grouped.value, None) == (0.5, None)
    assert (grouped.groups, grouped.interval) == (10, "wilson")
    # All four rows of a group agree, so 40 rows tell as much as ten (and a correction for so few groups).
    assert [grouped.low, grouped.high] == pytest.approx(
        list(score_of(Metric.EXACT_MATCH, 5, 10).model_dump().values())[4:6], abs=0.02
    )
    assert grouped.high - grouped.low > 1.8 * (alone.high - alone.low)


def test_rows_that_failed_count_as_wrong_by_every_metric() -> None:
    settings = MetricSettings(metric=Metric.FIELD_F1, secondary_metrics=(Metric.ROUGE_L, Metric.JSON_VALID))
    rows = [
        item(0, 0.5, scores={Metric.ROUGE_L: 0.5}, json_valid=True),
        item(1, 0.0, scores={Metric.ROUGE_L: 0.75}, json_valid=True, error="the prompt is too long", correct=False),
    ]

    assert [(score.value, score.n) for score in scores_of(rows, settings)] == [(0.25, 2), (0.25, 2), (0.5, 2)]


def test_one_row_says_next_to_nothing() -> None:
    right, half = arm_of(Arm.LORA, [1]).scores[0], arm_of(Arm.LORA, [0.5], settings=F1).scores[0]

    assert (right.value, round(right.low, 2), right.high) == (1.0, 0.21, 1.0)
    assert (half.value, round(half.low, 2), round(half.high, 2)) == (0.5, 0.1, 0.9)


def test_an_arm_without_an_answer_has_no_score() -> None:
    with pytest.raises(ValueError, match="without a single answer"):
        scores_of([], MetricSettings())


def test_perplexity_sums_nats_over_tokens() -> None:
    rows = [
        item(at, 0.5, expected_nats=nats, expected_tokens=tokens)
        for at, (nats, tokens) in enumerate([(10.0, 10), (30.0, 10), (20.0, 20), (25.0, 10), (5.0, 10), (12.0, 6)])
    ]
    score = scores_of(rows, PERPLEXITY)[0]

    assert score.value == pytest.approx(math.exp(102 / 66))
    assert 1 < score.low < score.value < score.high < 20


@pytest.mark.parametrize(("rows", "value"), [(1, math.exp(2)), (0, math.inf)])
def test_perplexity_of_too_few_rows_has_no_upper_bound(rows: int, value: float) -> None:
    given = [item(0, 0.1, expected_nats=20.0, expected_tokens=10)] if rows else [item(0, 0, error="too long")]
    score = scores_of(given, PERPLEXITY)[0]

    assert [score.value, score.low, score.high] == pytest.approx([value, 1.0, math.inf])


def test_every_later_arm_is_compared_with_every_earlier_one() -> None:
    zero, few, lora = (
        arm_of(Arm.ZERO_SHOT, [0] * 8),
        arm_of(Arm.FEW_SHOT, [1] + [0] * 7),
        arm_of(Arm.LORA, [1] * 7 + [0]),
    )

    found = [one.model_copy(update={"difference": None}) for one in compare_all([zero, few, lora])]

    assert found == [
        Comparison(baseline=Arm.ZERO_SHOT, arm=Arm.FEW_SHOT, gained=1, lost=0, p_value=1.0),
        Comparison(baseline=Arm.ZERO_SHOT, arm=Arm.LORA, gained=7, lost=0, p_value=0.015625),
        Comparison(baseline=Arm.FEW_SHOT, arm=Arm.LORA, gained=6, lost=0, p_value=0.03125),
    ]


def test_a_comparison_states_the_difference_with_its_interval() -> None:
    found = compare_arms(arm_of(Arm.ZERO_SHOT, [0, 1] * 20), arm_of(Arm.LORA, [1, 1, 1, 0] * 10))

    assert (found.gained, found.lost, found.test) == (20, 10, "mcnemar")
    assert found.difference is not None
    assert found.difference.value == 0.25
    assert 0 < 0.25 - found.difference.low < 0.3
    assert 0.1 < found.difference.high - 0.25 < 0.3


def test_parts_of_a_point_are_compared_by_permutation() -> None:
    found = compare_arms(
        arm_of(Arm.FEW_SHOT, [0.5] * 6, settings=F1), arm_of(Arm.LORA, [0.6, 0.7, 0.8, 0.9, 0.75, 1.0], settings=F1)
    )

    assert (found.test, found.p_value, found.gained) == ("permutation", 2 / 2**6, 1)


def test_groups_are_compared_as_wholes() -> None:
    groups = [str(at // 6) for at in range(12)]
    found = compare_arms(
        arm_of(Arm.ZERO_SHOT, [0] * 12, groups=groups), arm_of(Arm.LORA, [1] * 6 + [0] * 6, groups=groups)
    )

    # One group changed: as likely by chance as not, where six independent rows would be p = 0.03.
    assert (found.gained, found.test, found.p_value) == (6, "permutation", 1.0)


@pytest.mark.parametrize("scores", [[0, 0, 0], [1, 1, 1]])
def test_arms_without_a_difference_leave_room_for_one(scores: list[int]) -> None:
    found = compare_arms(arm_of(Arm.ZERO_SHOT, scores), arm_of(Arm.LORA, scores))

    assert found.p_value == 1.0
    assert found.difference is not None
    assert (found.difference.value, found.difference.low) == (0, -found.difference.high)
    # Wilson allows 56 % of unseen rows to be other than these three.
    assert round(found.difference.high, 2) == 0.56


def test_arms_on_different_rows_are_refused() -> None:
    zero = arm_of(Arm.ZERO_SHOT, [1])
    with pytest.raises(DifferentRows, match="answered 1 and 2 rows"):
        compare_arms(zero, arm_of(Arm.LORA, [1, 0]))
    moved = zero.model_copy(update={"items": (item(4, 1.0),)})
    with pytest.raises(DifferentRows, match="their result 1 is row 1 and row 5; compare arms of one report"):
        compare_arms(zero, moved)
    edited = zero.model_copy(update={"items": (item(0, 1.0, expected="2"),)})
    with pytest.raises(DifferentRows, match="with another expected answer"):
        compare_all([zero, edited])


def test_an_arm_cancelled_on_the_way_is_not_compared() -> None:
    zero, part = arm_of(Arm.ZERO_SHOT, [0] * 8), arm_of(Arm.LORA, [1] * 6, partial=True)

    assert compare_all([zero, part]) == ()
    assert len(compare_all([zero, arm_of(Arm.LORA, [1] * 8, partial=True)])) == 1
