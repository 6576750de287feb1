"""From per-item results to the scores and comparisons of a report."""

from collections.abc import Sequence

from playbook.contracts.report import ArmReport, Comparison, ItemResult, Score
from playbook.contracts.run_spec import Metric
from playbook.scoring.statistics import mcnemar_exact, wilson_interval


def score_of(metric: Metric, successes: int, n: int) -> Score:
    """Return `successes` of `n` with the 95 % Wilson interval."""
    low, high = wilson_interval(successes, n)
    return Score(metric=metric, successes=successes, n=n, value=successes / n, low=low, high=high)


def scores_of(items: Sequence[ItemResult], *, metric: Metric) -> tuple[Score, ...]:
    """Return the run's metric first, then the share of valid JSON unless that is the metric itself."""
    scores = [score_of(metric, sum(item.correct for item in items), len(items))]
    if metric is not Metric.JSON_VALID:
        scores.append(score_of(Metric.JSON_VALID, sum(item.json_valid for item in items), len(items)))
    return tuple(scores)


def compare_arms(baseline: ArmReport, arm: ArmReport) -> Comparison:
    """Return the paired comparison of two arms. Raises ValueError when they did not answer the same rows."""
    pairs = list(zip(baseline.items, arm.items, strict=True))
    if any(before.index != after.index for before, after in pairs):
        raise ValueError(f"{baseline.arm} and {arm.arm} answered different rows; compare arms of one report")
    gained = sum(after.correct and not before.correct for before, after in pairs)
    lost = sum(before.correct and not after.correct for before, after in pairs)
    return Comparison(baseline=baseline.arm, arm=arm.arm, gained=gained, lost=lost, p_value=mcnemar_exact(gained, lost))


def compare_all(arms: Sequence[ArmReport]) -> tuple[Comparison, ...]:
    """Return each later arm against each earlier one, in the order of the run."""
    return tuple(compare_arms(before, after) for at, after in enumerate(arms) for before in arms[:at])
