"""The success criterion: what was promised before the run, and the verdict on what was measured.

Pure values, no Django: outcomes judge a report with it, jobs show it.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from playbook.contracts.metrics import CRITERION_METRICS, Metric
from playbook.contracts.run_spec import Arm
from playbook.scoring import words

ARM_NAMES = {
    Arm.ZERO_SHOT: "the zero-shot prompt",
    Arm.FEW_SHOT: "the few-shot prompt",
    Arm.RAG: "RAG",
    Arm.LORA: "LoRA",
    Arm.RAG_LORA: "RAG with LoRA",
}
#: What may be promised: shares alone, for the threshold is one.
METRIC_NAMES = {metric: words.METRIC_NAMES[metric] for metric in CRITERION_METRICS}


class Verdict(StrEnum):
    MET = "met"
    MISSED = "missed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True)
class Criterion:
    """`metric` of `arm` on the locked test set must be at least `threshold` (a share, 0 to 1)."""

    metric: Metric
    arm: Arm
    threshold: Decimal

    @property
    def text(self) -> str:
        """`exact match of LoRA on the test set ≥ 0.80`."""
        return f"{METRIC_NAMES[self.metric]} of {ARM_NAMES[self.arm]} on the test set ≥ {two_places(self.threshold)}"

    def judge(self, *, value: float, low: float, high: float) -> Verdict:
        """Return whether a measured share keeps the promise, given its 95 % interval `low` to `high`.

        Met when the whole interval lies at or above the threshold, missed when it lies below, inconclusive when the
        threshold lies inside it: then the test set is too small to tell, whichever side `value` is on.
        Raises ValueError unless low ≤ value ≤ high.

        >>> promise = Criterion(Metric.EXACT_MATCH, Arm.LORA, Decimal("0.80"))
        >>> promise.judge(value=0.925, low=0.801, high=0.974)
        <Verdict.MET: 'met'>
        >>> promise.judge(value=0.82, low=0.68, high=0.91)
        <Verdict.INCONCLUSIVE: 'inconclusive'>
        """
        if not low <= value <= high:
            raise ValueError(f"value {value} lies outside its own interval {low} to {high}; pass value, low and high")
        threshold = float(self.threshold)
        if low >= threshold:
            return Verdict.MET
        return Verdict.MISSED if high < threshold else Verdict.INCONCLUSIVE


def two_places(threshold: Decimal) -> str:
    """`0.8000` → `0.80`, `0.8250` → `0.825`: at least two decimals, no needless zeros."""
    text = f"{threshold:.4f}".rstrip("0")
    whole, _, decimals = text.partition(".")
    return f"{whole}.{decimals:0<2}"
