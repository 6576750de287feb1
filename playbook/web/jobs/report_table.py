"""The table of arms and its interval plot, as text for pages. The figures are those of `scoring.table`."""

from collections.abc import Sequence
from dataclasses import dataclass

from playbook.contracts.metrics import Metric
from playbook.contracts.report import Score
from playbook.scoring.figures import number, p_text, points, points_between, score_text
from playbook.scoring.table import ArmLine, Table
from playbook.scoring.words import METRIC_NAMES
from playbook.web.common.plots import IntervalPlot, interval_plot
from playbook.web.common.plots_axis import number_text
from playbook.web.common.templatetags.playbook import duration, percent
from playbook.web.decisions.criterion import Criterion

NOT_MEASURED = "not measured"
TESTS = {"mcnemar": "exact McNemar test", "permutation": "paired permutation test"}


@dataclass(frozen=True)
class ArmRow:
    """One line of the table. Empty text: the question does not arise for this arm. `requests`, `training`: what 1,000
    requests and the training cost; without a price, how long they keep the machine busy."""

    line: ArmLine
    is_baseline: bool
    value: str
    interval: str
    difference: str
    difference_interval: str
    p: str
    p_note: str
    latency_p50: str
    latency_p95: str
    requests: str
    training: str
    secondary: tuple[str, ...]

    @property
    def tone(self) -> str:
        against = self.line.against
        return "good" if against and against.is_better else "bad" if against and against.is_worse else ""


@dataclass(frozen=True)
class TableView:
    table: Table
    metric: str
    rows: tuple[ArmRow, ...]
    plot: IntervalPlot
    secondary: tuple[str, ...]

    @property
    def currency(self) -> str:
        return self.table.cost.currency if self.table.cost else ""

    @property
    def has_costs(self) -> bool:
        return any(row.line.cost_per_1000 is not None for row in self.rows)


def table_view(table: Table, *, criterion: Criterion | None = None) -> TableView:
    """Return the table as pages show it. A criterion by the same metric becomes a rule in the plot."""
    threshold = float(criterion.threshold) if criterion and criterion.metric is table.metric else None
    secondary = dict.fromkeys(score.metric for line in table.lines for score in line.secondary)
    return TableView(
        table=table,
        metric=metric_title(table.metric),
        rows=tuple(_row(table, line) for line in table.lines),
        plot=score_plot(
            [(line.label, line.score) for line in table.lines],
            threshold=threshold,
            caption=f"{metric_title(table.metric)} on {table.split} rows, with the 95 % interval.",
        ),
        secondary=tuple(metric_title(metric) for metric in secondary),
    )


def _row(table: Table, line: ArmLine) -> ArmRow:
    against = line.against
    measured = {score.metric: score for score in line.secondary}
    names = dict.fromkeys(score.metric for other in table.lines for score in other.secondary)
    return ArmRow(
        line=line,
        is_baseline=table.baseline is not None and line is table.baseline,
        value=value_text(line.score),
        interval=interval_text(line.score),
        difference=points(against.difference.value, signed=True) if against else "",
        difference_interval=points_between(against.difference.low, against.difference.high) if against else "",
        p=p_text(against.p_holm) if against else "",
        p_note=f"{TESTS.get(against.test, against.test)}, {p_text(against.p_value)} before Holm" if against else "",
        latency_p50=seconds_text(line.latency_p50),
        latency_p95=seconds_text(line.latency_p95),
        requests=_cost(line.cost_per_1000, 1000 * line.request_seconds),
        training="" if line.training_seconds is None else _cost(line.training_cost, line.training_seconds),
        secondary=tuple(score_text(measured[metric]) if metric in measured else NOT_MEASURED for metric in names),
    )


def value_text(score: Score) -> str:
    """Return a score without its interval: `93 %`, or `3.1` for perplexity."""
    return percent(score.value) if score.metric.is_share else number(score.value)


def interval_text(score: Score) -> str:
    """Return the interval alone: `88 – 96 %`, or `2.8 – 3.4`."""
    if not score.metric.is_share:
        return f"{number(score.low)} – {number(score.high)}"
    return f"{percent(score.low).removesuffix(' %')} – {percent(score.high)}"


def _cost(amount: float | None, seconds: float) -> str:
    return seconds_text(seconds) if amount is None else number_text(amount)


def seconds_text(seconds: float | None) -> str:
    """0.042 → `42 ms`, 1.26 → `1.3 s`, 96 → `1 min 36 s`; None → `not measured`."""
    if seconds is None:
        return NOT_MEASURED
    if seconds >= 60:
        return duration(seconds)
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def metric_title(metric: Metric) -> str:
    """Return what a metric is called at the head of a column. chrF is written so, there too."""
    name = METRIC_NAMES[metric]
    return name if metric is Metric.CHRF else name[0].upper() + name[1:]


def score_plot(
    scores: Sequence[tuple[str, Score]],
    *,
    threshold: float | None = None,
    caption: str,
) -> IntervalPlot:
    """Return the plot of labelled scores by one metric: shares from 0 to 100 %, a perplexity from 1 on.

    `threshold`: a criterion, drawn as a rule. `caption`: of shares.
    """
    rows = [(label, score.value, score.low, score.high) for label, score in scores]
    if all(score.metric.is_share for _, score in scores):
        label = f"criterion {threshold * 100:.0f} %" if threshold is not None else ""
        return interval_plot(rows, threshold=threshold, threshold_label=label, caption=caption)
    finite = [bound for _, *bounds in rows for bound in bounds if bound != float("inf")]
    return interval_plot(
        rows,
        domain=(1.0, max([*finite, 2.0])),
        text=[score_text(score) for _, score in scores],
        caption="Perplexity, lower is better, with the 95 % interval.",
    )
