"""From per-item results to the scores and comparisons of a report."""

import math
from collections.abc import Sequence
from typing import Literal

from playbook.contracts.metrics import Metric, MetricSettings
from playbook.contracts.report import ArmReport, Comparison, Estimate, ItemResult, Score
from playbook.scoring.bootstrap import bca_interval, clusters_of, effective_rows, mean_interval, permutation_test
from playbook.scoring.statistics import mcnemar_exact, wilson_interval, wilson_of_share


class DifferentRows(ValueError):
    """Two arms that did not answer the same rows; a comparison of them would say nothing."""


def score_of(metric: Metric, successes: int, n: int) -> Score:
    """Return `successes` of `n` with the 95 % Wilson interval."""
    low, high = wilson_interval(successes, n)
    return Score(metric=metric, successes=successes, n=n, value=successes / n, low=low, high=high)


def scores_of(items: Sequence[ItemResult], settings: MetricSettings) -> tuple[Score, ...]:
    """Return the score by the run's metric first, then by each secondary one. Failed rows count as wrong everywhere.

    Raises ValueError without a row.
    """
    if not items:
        raise ValueError("an arm without a single answer has no score")
    return tuple(_score(metric, items, settings) for metric in settings.metrics)


def value_of(item: ItemResult, metric: Metric, settings: MetricSettings) -> float:
    """Return what one row is worth by a metric that was measured: 0 to 1, and 0 for a row that failed."""
    if item.error is not None:
        return 0.0
    if metric is settings.metric:
        return item.score
    if metric is Metric.JSON_VALID and metric not in item.scores:
        return float(item.json_valid)
    return item.scores[metric]


def _score(metric: Metric, items: Sequence[ItemResult], settings: MetricSettings) -> Score:
    if metric is Metric.PERPLEXITY:
        return _perplexity(items, settings)
    values = [value_of(item, metric, settings) for item in items]
    groups = groups_of(items)
    if not metric.is_boolean:
        low, high = mean_interval(values, groups=groups)
        right = _right(items, metric, settings)
        return _scored(metric, right, items, sum(values) / len(values), low, high, "bca")
    right = sum(value == 1 for value in values)
    share = right / len(items)
    if groups is None:
        return score_of(metric, right, len(items))
    low, high = wilson_of_share(share, effective_rows([value == 1 for value in values], groups=groups))
    return _scored(metric, right, items, share, low, high, "wilson")


def _perplexity(items: Sequence[ItemResult], settings: MetricSettings) -> Score:
    """Perplexity over the rows with a likelihood: those that could not be asked have none, and stay listed as failed.

    exp is monotone, so the interval of the mean carries over. With one group nothing bounds it from above.
    """
    known = [item for item in items if item.expected_nats is not None and item.expected_tokens is not None]
    if not known:
        return _scored(Metric.PERPLEXITY, 0, items, math.inf, 1.0, math.inf, "bca")
    clusters = clusters_of(
        [item.expected_nats or 0.0 for item in known],
        weights=[float(item.expected_tokens or 1) for item in known],
        groups=groups_of(known),
    )
    found = bca_interval(clusters)
    low, high = (1.0, math.inf) if found is None else (_exp(max(0.0, found.low)), _exp(found.high))
    right = _right(items, Metric.PERPLEXITY, settings)
    return _scored(Metric.PERPLEXITY, right, items, _exp(clusters.ratio), low, high, "bca")


def _right(items: Sequence[ItemResult], metric: Metric, settings: MetricSettings) -> int:
    if metric is settings.metric:
        return sum(item.correct for item in items)
    return sum(value_of(item, metric, settings) >= settings.pass_mark for item in items)


def _scored(
    metric: Metric,
    right: int,
    items: Sequence[ItemResult],
    value: float,
    low: float,
    high: float,
    interval: Literal["wilson", "bca"],
) -> Score:
    groups = groups_of(items)
    return Score(
        metric=metric,
        successes=right,
        n=len(items),
        value=value,
        # A bootstrap quantile may miss the mean itself by rounding.
        low=min(low, value),
        high=max(high, value),
        interval=interval,
        groups=None if groups is None else len({at if key is None else (key,) for at, key in enumerate(groups)}),
    )


def _exp(nats: float) -> float:
    """Return exp(nats); infinity beyond what a float holds."""
    return math.exp(nats) if nats < 709 else math.inf


def groups_of(items: Sequence[ItemResult]) -> list[str | None] | None:
    """Return the group of each row, None when no row names one."""
    groups = [item.group for item in items]
    return groups if any(group is not None for group in groups) else None


def compare_arms(baseline: ArmReport, arm: ArmReport) -> Comparison:
    """Return the paired comparison of two arms by the run's metric, the first of their scores.

    Raises DifferentRows when they did not answer the same rows.
    """
    refuse_different_rows(baseline, arm)
    pairs = list(zip(baseline.items, arm.items, strict=True))
    gained = sum(after.correct and not before.correct for before, after in pairs)
    lost = sum(before.correct and not after.correct for before, after in pairs)
    differences = [after.score - before.score for before, after in pairs]
    groups = groups_of(arm.items)
    low, high = mean_interval(differences, groups=groups, low=-1.0)
    exact = groups is None and arm.scores[0].metric.is_boolean
    return Comparison(
        baseline=baseline.arm,
        arm=arm.arm,
        gained=gained,
        lost=lost,
        p_value=mcnemar_exact(gained, lost) if exact else permutation_test(differences, groups=groups),
        test="mcnemar" if exact else "permutation",
        difference=Estimate(value=sum(differences) / len(differences), low=low, high=high),
    )


def compare_all(arms: Sequence[ArmReport]) -> tuple[Comparison, ...]:
    """Return each later arm against each earlier one, in the order of the run.

    An arm that ended early answered fewer rows and is left out. Raises DifferentRows for any other two
    arms that did not answer the same rows.
    """
    return tuple(
        compare_arms(before, after)
        for at, after in enumerate(arms)
        for before in arms[:at]
        if not ((before.partial or after.partial) and _rows(before) != _rows(after))
    )


def refuse_different_rows(baseline: ArmReport, arm: ArmReport) -> None:
    """Raise DifferentRows unless both arms answered the same rows, with the same expected answers, in one order."""
    before, after = _rows(baseline), _rows(arm)
    if before == after:
        return
    names = f"{baseline.arm} and {arm.arm}"
    if len(before) != len(after):
        raise DifferentRows(
            f"{names} answered {len(before)} and {len(after)} rows; only arms that answered the same rows are compared"
        )
    at = next(at for at, (one, other) in enumerate(zip(before, after, strict=True)) if one != other)
    raise DifferentRows(
        f"{names} answered different rows: their result {at + 1} is row {before[at][0] + 1} and row {after[at][0] + 1}"
        f"{'' if before[at][0] != after[at][0] else ' with another expected answer'}; compare arms of one report"
    )


def _rows(arm: ArmReport) -> list[tuple[int, str]]:
    return [(item.index, item.expected) for item in arm.items]
