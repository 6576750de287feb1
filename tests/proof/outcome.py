"""What the report of an experiment shows, and whether a new run of it shows the same."""

from collections.abc import Sequence
from dataclasses import dataclass

from playbook.contracts.report import ArmReport, Report
from playbook.contracts.run_spec import Arm
from playbook.scoring.compare import compare_arms
from playbook.scoring.statistics import holm

#: From the least to the most that it takes to keep running: prompt first, then retrieval, tuning last.
SIMPLEST_FIRST = (Arm.ZERO_SHOT, Arm.FEW_SHOT, Arm.RAG, Arm.LORA, Arm.RAG_LORA)
SIGNIFICANT = 0.05


def enough(report: Report) -> Arm:
    """Return the simplest arm that no other arm beats (exact McNemar, Holm over its comparisons, at 5 %)."""
    arms = sorted(report.arms, key=lambda arm: SIMPLEST_FIRST.index(arm.arm))
    return next(arm.arm for arm in arms if not _is_beaten(arm, [other for other in arms if other is not arm]))


def _is_beaten(arm: ArmReport, others: Sequence[ArmReport]) -> bool:
    found = [compare_arms(arm, other) for other in others]
    adjusted = holm([comparison.p_value for comparison in found])
    return any(
        comparison.gained > comparison.lost and p < SIGNIFICANT for comparison, p in zip(found, adjusted, strict=True)
    )


@dataclass(frozen=True)
class Line:
    """One arm as it was shipped and as it came out again. `shipped` None: it has never been shipped."""

    shipped: ArmReport | None
    now: ArmReport

    @property
    def holds(self) -> bool:
        """Whether the new score lies within the 95 % interval of the shipped one."""
        if self.shipped is None:
            return True
        before = self.shipped.scores[0]
        return before.low <= self.now.scores[0].value <= before.high

    def __str__(self) -> str:
        score = self.now.scores[0]
        tokens = f"{self.now.mean_prompt_tokens:>5.0f} tokens asked"
        text = f"{self.now.arm:<10} {score.successes:>3} of {score.n}  {self.now.seconds:>6.1f} s  {tokens}"
        if self.shipped is None:
            return f"{text}  (first run)"
        before = self.shipped.scores[0]
        verdict = "within" if self.holds else "OUTSIDE"
        return f"{text}  {verdict} {before.low:.2f} to {before.high:.2f}, shipped {before.successes} of {before.n}"


def lines(shipped: Report | None, now: Report) -> list[Line]:
    """Return each arm of a new run beside the shipped one. A report about other rows or settings is not compared."""
    comparable = shipped is not None and shipped.spec == now.spec
    return [Line(shipped.arm(arm.arm) if shipped is not None and comparable else None, arm) for arm in now.arms]
