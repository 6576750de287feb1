"""The one table of a report: arm × quality, interval, p against the best prompt, tokens, latency, cost, break-even.

Made from one report, or from several that measured the same rows. Pages, exports and the verdict read it; it knows
nothing of Django.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from playbook.contracts.dataset import Split
from playbook.contracts.metrics import Metric, MetricSettings
from playbook.contracts.report import ArmReport, Comparison, Estimate, Report, Score, TrainingSummary
from playbook.contracts.run_spec import Arm, CostSettings
from playbook.scoring.compare import compare_arms, groups_of, refuse_different_rows
from playbook.scoring.costs import break_even_requests, machine_cost
from playbook.scoring.noise import Noise, noise_of
from playbook.scoring.power import INDICATIVE_BELOW_ROWS, detectable_difference
from playbook.scoring.statistics import holm
from playbook.scoring.words import arm_label

#: A finding counts when chance alone would bring it less often, over all arms compared.
SIGNIFICANT = 0.05
#: From the simplest to keep running to the one that needs most care: what wins when no difference shows.
SIMPLEST_FIRST = (Arm.ZERO_SHOT, Arm.FEW_SHOT, Arm.RAG, Arm.LORA, Arm.RAG_LORA)


class NotComparable(ValueError):
    """Reports that cannot stand in one table. The message says which two, and why."""


@dataclass(frozen=True)
class Against:
    """An arm against the best prompt. `p_holm` is `p_value` adjusted for all arms of the table. `detectable`: the
    smallest difference between two that differ on as many rows as these, which would show; None when none would."""

    gained: int
    lost: int
    difference: Estimate
    p_value: float
    p_holm: float
    test: str
    detectable: float | None

    @property
    def is_shown(self) -> bool:
        return self.p_holm < SIGNIFICANT

    @property
    def is_better(self) -> bool:
        return self.is_shown and self.difference.value > 0

    @property
    def is_worse(self) -> bool:
        return self.is_shown and self.difference.value < 0


@dataclass(frozen=True)
class ArmLine:
    """One line. Tokens are means of a request; latencies are amortised over batches, None in reports of version 1.

    Costs are None without a rate. `break_even_requests`: from how many requests on the training is repaid by cheaper
    answers, against the best prompt; None without training, or when a request is not cheaper.
    """

    label: str
    report: ArmReport
    score: Score
    secondary: tuple[Score, ...]
    against: Against | None
    prompt_tokens: float
    output_tokens: float
    latency_p50: float | None
    latency_p95: float | None
    request_seconds: float
    training_seconds: float | None
    cost_per_1000: float | None
    training_cost: float | None
    break_even_requests: float | None
    failed: int
    cut: int
    noise: Noise | None

    @property
    def arm(self) -> Arm:
        return self.report.arm

    @property
    def tokens(self) -> float:
        return self.prompt_tokens + self.output_tokens

    @property
    def is_answered(self) -> bool:
        """It answered every row, and not every row failed: its score says how good it is."""
        return not self.report.partial and self.failed < self.score.n


@dataclass(frozen=True)
class Table:
    """`split`: whose rows were answered. `rows`: how many it has; every arm that is not partial answered them.
    `baseline`: the line of the best prompt, None when there is none or all of its rows failed. `costs_differ`: reports
    name different prices, so `cost` is None."""

    metric: Metric
    settings: MetricSettings
    test_set_sha256: str
    split: Split
    rows: int
    lines: tuple[ArmLine, ...]
    baseline: ArmLine | None
    cost: CostSettings | None
    costs_differ: bool = False

    @property
    def detectable(self) -> float | None:
        """The smallest difference to the best prompt that these rows would show: the largest of those arms whose
        difference did not show, else of all. None when there is no arm to compare, or no difference would show."""
        compared = [line.against for line in self.lines if line.against is not None]
        hidden = [against for against in compared if not against.is_shown]
        found = [against.detectable for against in hidden or compared if against.detectable is not None]
        return max(found, default=None)

    @property
    def is_indicative(self) -> bool:
        """Too few rows for more than an indication."""
        return self.rows < INDICATIVE_BELOW_ROWS

    @property
    def whole(self) -> tuple[ArmLine, ...]:
        """The lines of arms that answered every row."""
        return tuple(line for line in self.lines if not line.report.partial)

    @property
    def answered(self) -> tuple[ArmLine, ...]:
        """Those of them that gave an answer at all."""
        return tuple(line for line in self.lines if line.is_answered)


@dataclass(frozen=True)
class _Entry:
    label: str
    arm: ArmReport
    training: TrainingSummary | None


def table_of(report: Report) -> Table:
    """Return the table of one report. Raises DifferentRows when its arms did not answer the same rows."""
    entries = [
        _Entry(arm_label(arm.arm, report.spec.method), arm, _training_of(arm.arm, report)) for arm in report.arms
    ]
    return _table(entries, report, cost=report.spec.cost)


def table_across(reports: Mapping[str, Report]) -> Table:
    """Return one table of the arms of several reports; the keys ("Job 12") become part of the labels.

    Costs are left out when the reports name different prices. Raises NotComparable unless all measured the same locked
    rows by the same metric; DifferentRows when rows are missing from one all the same.
    """
    named = list(reports.items())
    if not named:
        raise NotComparable("no report was chosen; choose at least one")
    first_name, first = named[0]
    for name, other in named[1:]:
        refuse_incomparable(first_name, first, name, other)
    entries = [
        _Entry(f"{name} · {arm_label(arm.arm, report.spec.method)}", arm, _training_of(arm.arm, report))
        for name, report in named
        for arm in report.arms
    ]
    costs = {report.spec.cost for report in reports.values()}
    if len(costs) > 1:
        return replace(_table(entries, first, cost=None), costs_differ=True)
    return _table(entries, first, cost=first.spec.cost)


def refuse_incomparable(name: str, report: Report, other_name: str, other: Report) -> None:
    """Raise NotComparable, with the reason in words, unless two reports measured the same rows by the same metric."""
    if report.test_set_sha256 != other.test_set_sha256:
        rows, other_rows = (one.spec.measured_rows.rows for one in (report, other))
        raise NotComparable(
            f"{other_name} was measured on another test set than {name} ({other_rows} rows, "
            f"{other.test_set_sha256[:12]}…, against {rows} rows, {report.test_set_sha256[:12]}…): a difference could "
            "be that of the rows. Measure both on one dataset version"
        )
    mine, theirs = (
        one.spec.evaluation.model_dump(include=set(MetricSettings.model_fields) - {"secondary_metrics"})
        for one in (report, other)
    )
    if mine != theirs:
        differing = next(key for key in mine if mine[key] != theirs[key])
        raise NotComparable(
            f"{other_name} was judged otherwise than {name}: {differing.replace('_', ' ')} is "
            f"{_short(theirs[differing])} against {_short(mine[differing])}. Measure both with the same settings"
        )


def _short(value: object) -> str:
    text = value.value.replace("_", " ") if isinstance(value, Metric) else str(getattr(value, "value", value))
    return text if len(text) <= 60 else f"{text[:59]}…"


def _training_of(arm: Arm, report: Report) -> TrainingSummary | None:
    return report.training if arm.is_tuned else None


def _table(entries: Sequence[_Entry], report: Report, *, cost: CostSettings | None) -> Table:
    settings = report.spec.evaluation
    lines = [_line(entry, settings.metric, cost) for entry in entries if entry.arm.items]
    whole = [line for line in lines if not line.report.partial]
    for line in whole[1:]:
        refuse_different_rows(whole[0].report, line.report)
    baseline = best_of([line for line in lines if line.arm.is_prompt_alone and line.is_answered])
    if baseline is not None:
        lines = _with_comparisons(lines, baseline)
        baseline = next(line for line in lines if line.report is baseline.report)
    return Table(
        metric=settings.metric,
        settings=settings,
        test_set_sha256=report.test_set_sha256,
        split=settings.split,
        rows=len(whole[0].report.items) if whole else report.spec.measured_rows.rows,
        lines=tuple(lines),
        baseline=baseline,
        cost=cost,
    )


def _line(entry: _Entry, metric: Metric, cost: CostSettings | None) -> ArmLine:
    arm, rate = entry.arm, cost.hour_rate if cost and cost.hour_rate else None
    latencies = [item.latency_seconds for item in arm.items if item.latency_seconds is not None]
    seconds, training = arm.seconds / len(arm.items), entry.training.seconds if entry.training else None
    return ArmLine(
        label=entry.label,
        report=arm,
        score=arm.score(metric),
        secondary=tuple(score for score in arm.scores if score.metric is not metric),
        against=None,
        prompt_tokens=arm.mean_prompt_tokens,
        output_tokens=sum(item.output_tokens for item in arm.items) / len(arm.items),
        latency_p50=percentile(latencies, 50),
        latency_p95=percentile(latencies, 95),
        request_seconds=seconds,
        training_seconds=training,
        cost_per_1000=None if rate is None else machine_cost(1000 * seconds, hour_rate=rate),
        training_cost=None if rate is None or training is None else machine_cost(training, hour_rate=rate),
        break_even_requests=None,
        failed=len(arm.failed),
        cut=sum(item.cut for item in arm.items),
        noise=noise_of(arm),
    )


def best_of(lines: Sequence[ArmLine]) -> ArmLine | None:
    """Return the line with the best score; of equals the simplest arm, then the first. None without a line."""
    return min(lines, key=lambda line: (-goodness(line.score), SIMPLEST_FIRST.index(line.arm)), default=None)


def goodness(score: Score) -> float:
    """Return the score so that more is better."""
    return score.value if score.metric.is_share else -score.value


def _with_comparisons(lines: Sequence[ArmLine], baseline: ArmLine) -> list[ArmLine]:
    """Return the lines, each that gave answers to all rows compared with the best prompt."""
    compared = [line for line in lines if line is not baseline and line.is_answered]
    found: list[tuple[ArmLine, Comparison]] = [(line, compare_arms(baseline.report, line.report)) for line in compared]
    adjusted = holm([comparison.p_value for _, comparison in found])
    against = {
        id(line): _against(comparison, p_holm=p, detectable=_detectable(baseline.report, line.report))
        for (line, comparison), p in zip(found, adjusted, strict=True)
    }
    return [
        replace(line, against=against.get(id(line)), break_even_requests=_break_even(baseline, line)) for line in lines
    ]


def _against(comparison: Comparison, *, p_holm: float, detectable: float | None) -> Against:
    assert comparison.difference is not None  # noqa: S101 - None in files of version 1 alone; this one is new
    return Against(
        gained=comparison.gained,
        lost=comparison.lost,
        difference=comparison.difference,
        p_value=comparison.p_value,
        p_holm=p_holm,
        test=comparison.test,
        detectable=detectable,
    )


def _detectable(baseline: ArmReport, arm: ArmReport) -> float | None:
    differences = [after.score - before.score for before, after in zip(baseline.items, arm.items, strict=True)]
    return detectable_difference(differences, groups=groups_of(arm.items))


def _break_even(baseline: ArmLine, line: ArmLine) -> float | None:
    """Seconds stand for money: training and both arms ran on one machine, so that its price cancels out."""
    if line.training_seconds is None or not line.is_answered:
        return None
    return break_even_requests(
        one_off=line.training_seconds, before=baseline.request_seconds, after=line.request_seconds
    )


def percentile(values: Sequence[float], percent: float) -> float | None:
    """Return a percentile with linear interpolation, as numpy's default (Hyndman and Fan 1996, type 7); None of none.

    >>> percentile([1.0, 2.0, 4.0], 50)
    2.0
    """
    if not values:
        return None
    ordered = sorted(values)
    at = (len(ordered) - 1) * percent / 100
    below = int(at)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (at - below)
