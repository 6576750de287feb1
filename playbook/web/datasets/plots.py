"""Plots of a dataset: lengths as histograms, class balance as bars. Geometry as in `common.plots`."""

from dataclasses import dataclass

from playbook.contracts.dataset import Split
from playbook.datasets.spec import Balance, Histogram
from playbook.scoring.figures import counted
from playbook.web.common.plots import BOTTOM, TOP, StackedPlot, Tick, stacked_plot
from playbook.web.common.plots_axis import nice_ticks, number_text

_HEIGHT = 190
_MAX_BARS = 12


@dataclass(frozen=True)
class Bar:
    x: float
    y: float
    width: float
    height: float
    text: str


@dataclass(frozen=True)
class HistogramPlot:
    """Bars of counts over lengths, and a rule at the median."""

    title: str
    height: int
    bottom: float
    bars: tuple[Bar, ...]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    median: Tick
    summary: str


def histogram_plot(histogram: Histogram) -> HistogramPlot:
    """Return the plot of a histogram of lengths in characters."""
    bottom = _HEIGHT - BOTTOM
    high = histogram.low + histogram.width * len(histogram.counts)
    tallest = max(histogram.counts)

    def place_x(value: float) -> float:
        return round(min(1.0, (value - histogram.low) / (high - histogram.low)) * 100, 2)

    def place_y(count: float) -> float:
        return round(bottom - count / tallest * (bottom - TOP), 1)

    bars = []
    for number, count in enumerate(histogram.counts):
        begin = histogram.low + number * histogram.width
        x, end = place_x(begin), place_x(begin + histogram.width)
        is_last = number == len(histogram.counts) - 1
        upto = "more" if is_last else f"{begin + histogram.width - 1:,.0f}"
        text = f"{begin:,.0f} to {upto} characters: {counted(count, 'row')}"
        bars.append(
            Bar(
                x=x,
                y=place_y(count),
                width=round(max(end - x - 0.3, 0.2), 2),
                height=round(bottom - place_y(count), 1),
                text=text,
            )
        )
    summary = (
        f"Length of the {histogram.name}: median {histogram.median:,.0f} characters, 95 % below {histogram.p95:,.0f}, "
        f"longest {histogram.largest:,}."
    )
    return HistogramPlot(
        title=f"Length of the {histogram.name}",
        height=_HEIGHT,
        bottom=bottom,
        bars=tuple(bars),
        x_ticks=tuple(Tick(place_x(x), number_text(x)) for x in nice_ticks(histogram.low, high)),
        y_ticks=tuple(Tick(place_y(y), number_text(y)) for y in nice_ticks(0, tallest, count=3) if y.is_integer()),
        median=Tick(place_x(histogram.median), f"median {histogram.median:,.0f}"),
        summary=summary,
    )


def balance_plot(balance: Balance) -> StackedPlot:
    """Return the rows of the most frequent values, each bar made of the three splits. A value has 80 characters at
    most, which the page breaks over lines: values that begin alike must be told apart."""
    rows = [
        (value or "(empty)", [(split.value, float(counts.get(split, 0))) for split in Split])
        for value, counts in balance.counts[:_MAX_BARS]
    ]
    return stacked_plot(rows, text=lambda size: f"{size:,.0f}")
