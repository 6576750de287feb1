"""The criterion: its sentence, and the verdict on a measured share with its interval."""

from decimal import Decimal

import pytest

from playbook.contracts.run_spec import Arm, Metric
from playbook.web.decisions.criterion import Criterion, Verdict

PROMISE = Criterion(metric=Metric.EXACT_MATCH, arm=Arm.LORA, threshold=Decimal("0.8000"))


def test_text_is_one_sentence() -> None:
    assert PROMISE.text == "exact match of LoRA on the test set ≥ 0.80"
    odd = Criterion(metric=Metric.JSON_VALID, arm=Arm.FEW_SHOT, threshold=Decimal("0.8250"))
    assert odd.text == "valid JSON of the few-shot prompt on the test set ≥ 0.825"
    assert Criterion(metric=Metric.JSON_VALID, arm=Arm.LORA, threshold=Decimal(1)).text.endswith("≥ 1.00")


@pytest.mark.parametrize(
    ("value", "low", "high", "verdict"),
    [
        (0.925, 0.801, 0.974, Verdict.MET),
        (0.90, 0.80, 0.95, Verdict.MET),
        (0.82, 0.68, 0.91, Verdict.INCONCLUSIVE),
        (0.78, 0.63, 0.80, Verdict.INCONCLUSIVE),
        (0.60, 0.45, 0.74, Verdict.MISSED),
    ],
)
def test_the_interval_decides(value: float, low: float, high: float, verdict: Verdict) -> None:
    assert PROMISE.judge(value=value, low=low, high=high) is verdict


def test_a_value_outside_its_interval_is_refused() -> None:
    with pytest.raises(ValueError, match=r"value 0\.5 lies outside its own interval 0\.8 to 0\.9"):
        PROMISE.judge(value=0.5, low=0.8, high=0.9)
