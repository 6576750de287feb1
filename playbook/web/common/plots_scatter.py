"""The plot of what was foretold against what came, as SVG geometry: `templates/common/_scatter_plot.html` draws it.

Both axes are logarithmic and alike, so that the diagonal is "as foretold" and a band of ±20 % has the same width
everywhere, for seconds and for days.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from playbook.web.common.plots import Tick
from playbook.web.common.plots_axis import nice_ticks, number_text

WIDTH, HEIGHT = 480, 420
LEFT, RIGHT, TOP, BOTTOM = 62, 16, 16, 48


@dataclass(frozen=True)
class ScatterPoint:
    """`x` was foretold, `y` came. Points that are not above zero have no place on the plot."""

    label: str
    x: float
    y: float


@dataclass(frozen=True)
class Dot:
    label: str
    x: float
    y: float
    within: bool
    text: str


@dataclass(frozen=True)
class ScatterPlot:
    """`band`: the points of a polygon; `diagonal`: x1, y1, x2, y2."""

    title: str
    unit: str
    tolerance: float
    width: int
    height: int
    left: float
    right: float
    top: float
    bottom: float
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    band: str
    diagonal: tuple[float, float, float, float]
    dots: tuple[Dot, ...]
    summary: str


def scatter_plot(title: str, points: Sequence[ScatterPoint], *, tolerance: float, unit: str) -> ScatterPlot | None:
    """Return the plot of the points, None when there is none. `tolerance`: half the band, as a share of x."""
    shown = [point for point in points if point.x > 0 and point.y > 0]
    if not shown:
        return None
    values = [value for point in shown for value in (point.x, point.y)]
    low, high = math.log10(min(values) / 1.5), math.log10(max(values) * 1.5)
    left, right, top, bottom = LEFT, WIDTH - RIGHT, TOP, HEIGHT - BOTTOM

    def place_x(value: float) -> float:
        return round(left + (math.log10(value) - low) / (high - low) * (right - left), 1)

    def place_y(value: float) -> float:
        return round(bottom - (math.log10(value) - low) / (high - low) * (bottom - top), 1)

    first, last = 10**low, 10**high
    corners = [
        (first, first * (1 + tolerance)),
        (last / (1 + tolerance), last),
        (last, last),
        (last, last * (1 - tolerance)),
        (first / (1 - tolerance), first),
        (first, first),
    ]
    dots = tuple(
        Dot(
            label=point.label,
            x=place_x(point.x),
            y=place_y(point.y),
            within=abs(point.y / point.x - 1) <= tolerance,
            text=f"{point.label}: foretold {number_text(point.x)} {unit}, was {number_text(point.y)} {unit}",
        )
        for point in shown
    )
    ticks = log_ticks(first, last)
    within = sum(dot.within for dot in dots)
    return ScatterPlot(
        title=title,
        unit=unit,
        tolerance=tolerance,
        width=WIDTH,
        height=HEIGHT,
        left=left,
        right=right,
        top=top,
        bottom=bottom,
        x_ticks=tuple(Tick(place_x(tick), number_text(tick)) for tick in ticks),
        y_ticks=tuple(Tick(place_y(tick), number_text(tick)) for tick in ticks),
        band=" ".join(f"{place_x(x)},{place_y(y)}" for x, y in corners),
        diagonal=(place_x(first), place_y(first), place_x(last), place_y(last)),
        dots=dots,
        summary=f"{title}, foretold against measured: {within} of {len(dots)} jobs within ±{tolerance * 100:.0f} %.",
    )


def log_ticks(low: float, high: float) -> list[float]:
    """Return the round values in low..high: 1, 2 and 5 times powers of ten; the powers alone over wide ranges, even
    steps over narrow ones.

    >>> log_ticks(3, 130)
    [5.0, 10.0, 20.0, 50.0, 100.0]
    """
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if len(powers) <= 4 else (1,)
    every = (float(factor * 10.0**power) for power in powers for factor in factors)
    found = [value for value in every if low <= value <= high]
    return found if len(found) >= 3 else [value for value in nice_ticks(low, high, count=4) if value > 0]
