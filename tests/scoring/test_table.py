"""The table of arms: every column, what it is compared with, and what is refused."""

import numpy as np
import pytest

from playbook.contracts.metrics import Metric, MetricSettings
from playbook.contracts.report import Repeat
from playbook.contracts.run_spec import Arm, Method
from playbook.scoring.compare import DifferentRows
from playbook.scoring.statistics import holm, mcnemar_exact
from playbook.scoring.table import NotComparable, percentile, table_across, table_of
from playbook.scoring.verdict import verdict_of
from tests.scoring.factories import answered_by, arm_of, item, report_of

ZERO, FEW = arm_of(Arm.ZERO_SHOT, [0] * 60), arm_of(Arm.FEW_SHOT, [1] * 20 + [0] * 40)
LORA = arm_of(Arm.LORA, [1] * 50 + [0] * 10)


def test_arms_are_compared_with_the_best_prompt_and_adjusted_for_their_number() -> None:
    table = table_of(report_of(ZERO, FEW, LORA))

    assert table.baseline is not None
    assert (table.baseline.label, table.rows, table.is_indicative) == ("Few-shot", 60, False)
    against = {line.arm: line.against for line in table.lines}
    zero, lora = against[Arm.ZERO_SHOT], against[Arm.LORA]
    assert against[Arm.FEW_SHOT] is None
    assert zero is not None
    assert lora is not None
    assert (zero.gained, zero.lost, lora.gained, lora.lost) == (0, 20, 30, 0)
    assert (zero.p_value, lora.p_value) == (mcnemar_exact(0, 20), mcnemar_exact(30, 0))
    assert (zero.p_holm, lora.p_holm) == holm([zero.p_value, lora.p_value])
    assert (zero.is_worse, zero.is_better, lora.is_worse, lora.is_better) == (True, False, False, True)
    assert lora.difference.value == pytest.approx(0.5)


def test_the_simpler_of_two_equal_prompts_is_the_one_to_beat() -> None:
    table = table_of(report_of(arm_of(Arm.FEW_SHOT, [1, 0] * 30), arm_of(Arm.ZERO_SHOT, [0, 1] * 30), LORA))

    assert table.baseline is not None
    assert table.baseline.arm is Arm.ZERO_SHOT


def test_without_a_prompt_nothing_is_compared() -> None:
    table = table_of(report_of(arm_of(Arm.RAG, [1, 0] * 30), LORA))

    assert (table.baseline, table.detectable, [line.against for line in table.lines]) == (None, None, [None, None])


def test_tokens_and_latencies_are_those_of_a_request() -> None:
    items = tuple(item(at, 1, latency_seconds=at / 10, prompt_tokens=100 + at, output_tokens=at) for at in range(60))
    line = table_of(report_of(answered_by(Arm.LORA, items), ZERO)).lines[0]

    latencies = [at / 10 for at in range(60)]
    assert (line.prompt_tokens, line.output_tokens, line.tokens) == (129.5, 29.5, 159.0)
    assert line.latency_p50 == pytest.approx(np.percentile(latencies, 50))
    assert line.latency_p95 == pytest.approx(np.percentile(latencies, 95))


def test_a_report_of_version_1_has_no_latency_and_no_cost() -> None:
    line = table_of(report_of(ZERO, LORA)).lines[1]

    assert (line.latency_p50, line.latency_p95, line.cost_per_1000, line.training_cost) == (None, None, None, None)


def test_costs_follow_from_the_rate_of_the_day() -> None:
    slow = FEW.model_copy(update={"seconds": 120.0})
    table = table_of(report_of(slow, LORA, hour_rate=7.2, training_seconds=500))
    few, lora = table.lines

    # 2 s a request at 7.2 an hour.
    assert [few.cost_per_1000, lora.cost_per_1000, lora.training_cost] == pytest.approx([4.0, 2.0, 1.0])
    assert (few.training_cost, few.break_even_requests) == (None, None)
    # Each request saves one second of 500, and 0.002 of 1.0: the same volume with and without a rate.
    assert lora.break_even_requests == pytest.approx(500)
    assert table_of(report_of(slow, LORA, training_seconds=500)).lines[1].break_even_requests == pytest.approx(500)


def test_training_that_makes_no_request_cheaper_never_pays_by_cost() -> None:
    assert table_of(report_of(FEW, LORA)).lines[1].break_even_requests is None


def test_failed_and_cut_rows_are_counted() -> None:
    items = (item(0, 0, error="too long"), item(1, 0, cut=True), *(item(at, 1) for at in range(2, 60)))
    line = table_of(report_of(answered_by(Arm.LORA, items))).lines[0]

    assert (line.failed, line.cut) == (1, 1)


def test_an_arm_cancelled_on_the_way_is_shown_and_not_compared() -> None:
    part = arm_of(Arm.LORA, [1] * 30, partial=True)
    table = table_of(report_of(ZERO, part, partial=True))

    shown = [(line.label, line.against, line.score.n) for line in table.lines]
    assert shown == [("Zero-shot", None, 60), ("LoRA", None, 30)]
    assert [line.label for line in table.whole] == ["Zero-shot"]
    assert table.rows == 60


def test_an_arm_cancelled_before_its_first_row_has_no_line() -> None:
    empty = ZERO.model_copy(update={"items": (), "scores": (), "partial": True})
    table = table_of(report_of(FEW).model_copy(update={"arms": (FEW, empty)}))

    assert [line.label for line in table.lines] == ["Few-shot"]
    assert table_of(report_of(partial=True)).lines == ()


def test_arms_with_different_rows_are_refused() -> None:
    other = arm_of(Arm.LORA, [1] * 59)
    report = report_of(ZERO).model_copy(update={"arms": (ZERO, other)})

    with pytest.raises(DifferentRows, match="zero_shot and lora answered 60 and 59 rows"):
        table_of(report)


def test_one_row_makes_a_table() -> None:
    table = table_of(report_of(arm_of(Arm.ZERO_SHOT, [0]), arm_of(Arm.LORA, [1])))

    assert (table.rows, table.is_indicative, table.detectable) == (1, True, None)
    assert [line.against.p_value for line in table.lines if line.against] == [1.0]


def test_noise_is_that_of_the_repeats() -> None:
    repeated = LORA.model_copy(update={"repeats": (Repeat(seed=1, scores=(1.0,) * 60, seconds=1),)})
    lines = table_of(report_of(ZERO, repeated)).lines

    assert lines[0].noise is None
    assert lines[1].noise is not None
    assert lines[1].noise.changed == 10


def test_jobs_with_one_test_set_stand_in_one_table() -> None:
    first = report_of(ZERO, LORA, hour_rate=2)
    second = report_of(arm_of(Arm.LORA, [1] * 60), hour_rate=2)

    table = table_across({"Job 1": first, "Job 2": second})

    assert [line.label for line in table.lines] == ["Job 1 · Zero-shot", "Job 1 · LoRA", "Job 2 · LoRA"]
    assert [line.against.gained for line in table.lines if line.against] == [50, 60]
    assert table.cost is not None
    dearer = report_of(arm_of(Arm.LORA, [1] * 60), hour_rate=3)
    assert table_across({"Job 1": first, "Job 2": dearer}).lines[1].cost_per_1000 is None


def test_jobs_with_other_test_sets_are_refused_with_the_reason() -> None:
    other = report_of(arm_of(Arm.LORA, [1] * 10), test_sha256="d" * 64)

    with pytest.raises(
        NotComparable, match=r"on another test set than Job 1 \(10 rows, dddddddddddd…, against 60 rows"
    ):
        table_across({"Job 1": report_of(ZERO), "Job 2": other})


@pytest.mark.parametrize(
    ("chosen", "reason"),
    [
        ({"metric": Metric.JSON_VALID}, "metric is json valid against exact match"),
        ({"ignore_case": True}, "ignore case is True against False"),
        ({"json_schema": {"description": "x" * 200}}, "json schema is .*… against None"),
    ],
)
def test_jobs_that_were_judged_otherwise_are_refused(chosen: dict[str, object], reason: str) -> None:
    other = report_of(arm_of(Arm.LORA, [1] * 60, settings=MetricSettings.model_validate(chosen)), settings=chosen)

    with pytest.raises(NotComparable, match=f"Job 2 was judged otherwise than Job 1: {reason}"):
        table_across({"Job 1": report_of(ZERO), "Job 2": other})


def test_secondary_metrics_may_differ() -> None:
    settings: dict[str, object] = {"secondary_metrics": ()}
    other = report_of(arm_of(Arm.LORA, [1] * 60, settings=MetricSettings(secondary_metrics=())), settings=settings)

    assert len(table_across({"Job 1": report_of(ZERO), "Job 2": other}).lines) == 2


def test_no_report_is_no_table() -> None:
    with pytest.raises(NotComparable, match="choose at least one"):
        table_across({})


@pytest.mark.parametrize("percent", [0, 5, 50, 95, 100])
def test_percentiles_equal_numpy_s(percent: int) -> None:
    values = np.random.default_rng(1).random(37).tolist()

    assert percentile(values, percent) == pytest.approx(np.percentile(values, percent))
    assert percentile([], percent) is None


def test_an_arm_that_failed_on_every_row_changes_no_p_value_and_is_no_baseline() -> None:
    zero, few = arm_of(Arm.ZERO_SHOT, [1] * 30 + [0] * 30), arm_of(Arm.FEW_SHOT, [1] * 40 + [0] * 20)
    lost = answered_by(Arm.LORA, [item(at, 0, error="out of memory") for at in range(60)])

    alone, table = table_of(report_of(zero, few)), table_of(report_of(zero, few, lost))

    assert table.lines[0].against == alone.lines[0].against
    assert (table.lines[2].against, table.lines[2].break_even_requests, table.lines[2].failed) == (None, None, 60)
    assert table_of(report_of(answered_by(Arm.ZERO_SHOT, lost.items), arm_of(Arm.LORA, [1] * 60))).baseline is None


def test_a_tuned_model_is_called_by_what_tuned_it_in_every_line_and_sentence() -> None:
    report = report_of(ZERO, LORA)
    full = report.model_copy(update={"spec": report.spec.model_copy(update={"method": Method.FULL})})
    assert [line.label for line in table_of(full).lines] == ["Zero-shot", "Full tuning"]
    across = table_across({"Job 1": report, "Job 2": full})
    assert [line.label for line in across.lines][1::2] == ["Job 1 · LoRA", "Job 2 · Full tuning"]
    assert verdict_of(table_of(full)).sentence.startswith("On 60 held-out rows full tuning is right on 83 %")
