"""The upright axis of a line plot: where it ends, whether it is logarithmic, and its ticks.

An axis is chosen from the values of each curve, so that no curve is squeezed to its foot by a few high values, or by
another curve.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from statistics import median

#: Of the points, the share that may lie above the axis; how often the top of the others goes into the highest before
#: it is cut; and what of the axis is left above that top.
SPIKES, SQUEEZED, ROOM = 0.1, 6, 2
#: Fewer say nothing of what is usual.
LEAST_TO_CUT = 8
#: Points at the end of a curve whose median is where it ends.
END = 10
#: A logarithmic axis ends this far, in powers of ten, below its top: a loss that falls to nothing would take it all.
DECADES = 4
#: What is left of it below the lowest point, so that only points beyond the axis lie at its foot.
LOG_ROOM = 1.2
#: A number as long as this is written with its power of ten.
LONGEST = 1e9
#: From so many powers of ten on, ticks stand at these alone.
PLAIN_DECADES = 2


@dataclass(frozen=True)
class Axis:
    """`low`, `high`: what lies at the foot and at the top; of a logarithmic axis its power of ten."""

    low: float
    high: float
    is_log: bool = False

    def share(self, value: float) -> float:
        """Return how far up a value lies: 0 at the foot, 1 at the top, more beyond it."""
        if self.is_log:
            value = max(self.low, math.log10(value)) if value > 0 else self.low
        return (value - self.low) / (self.high - self.low)

    def ends_below(self, value: float) -> bool:
        return not self.is_log and value > self.high

    def note(self, points: Sequence[tuple[float, float]], x_label: str) -> str:
        """Return what a reader must know of an axis that does not go from zero to the highest point; "" of one that
        does."""
        if self.is_log:
            lower = any(y <= 0 or math.log10(y) < self.low for _, y in points)
            foot = f"; values below {number_text(10**self.low)} lie at its foot" if lower else ""
            return f"The axis is logarithmic, so that lines far apart can all be read{foot}."
        x, y = max(points, key=lambda point: point[1])
        if not self.ends_below(y):
            return ""
        top, highest = number_text(self.high), number_text(y)
        return f"The axis ends at {top}; ▲ marks higher values, up to {highest} at {x_label} {x:,.0f}."

    @property
    def ticks(self) -> list[float]:
        return log_ticks(self.low, self.high) if self.is_log else nice_ticks(self.low, self.high)


def nice_ticks(low: float, high: float, *, count: int = 5) -> list[float]:
    """Return about `count` round values (steps of 1, 2 or 5 times a power of ten) that lie in low..high.

    >>> nice_ticks(0, 1.24)
    [0.0, 0.5, 1.0]
    """
    if not high > low:
        return [float(low)]
    raw = (high - low) / count
    magnitude = 10 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= raw)
    first = math.ceil(low / step - 1e-9)
    return [float(index * step) for index in range(first, math.floor(high / step + 1e-9) + 1)]


def log_ticks(low: float, high: float) -> list[float]:
    """Return the powers of ten, over few of them also 2 and 5 times these, between 10^low and 10^high.

    >>> log_ticks(-0.5, 1.0), log_ticks(-2.1, 1.5)
    ([0.5, 1.0, 2.0, 5.0, 10.0], [0.01, 0.1, 1.0, 10.0])
    """
    factors = (1, 2, 5) if high - low < PLAIN_DECADES else (1,)
    powers = range(math.floor(low), math.ceil(high) + 1)
    found = (float(f"{factor}e{power}") for power in powers for factor in factors)
    return [value for value in found if low - 1e-9 <= math.log10(value) <= high + 1e-9]


def number_text(value: float) -> str:
    """Three significant digits, without a needless exponent: 0.00312, 1.24, 1,240, 5e-5, 1.24e12."""
    if value == 0:
        return "0"
    if abs(value) >= LONGEST:
        return f"{value:.3g}".replace("e+0", "e").replace("e+", "e")
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    shown = float(f"{value:.3g}")
    return f"{shown:g}" if abs(shown) >= 1e-4 else f"{value:.1e}".replace("e-0", "e-").replace(".0e", "e")


def short_text(value: float) -> str:
    """Return a number as there is room for it beside a plot: `number_text`, and of a million and more two digits.

    >>> short_text(200_000), short_text(1_250_000), short_text(1e38)
    ('200,000', '1.2e6', '1e38')
    """
    return number_text(value) if abs(value) < 1e6 else f"{value:.2g}".replace("e+0", "e").replace("e+", "e")


def from_zero(curves: Sequence[Sequence[float]]) -> Axis:
    """Return the axis that holds all values, from zero on."""
    return _from_zero(curves, top=max(chain(*curves)))


def without_spikes(curves: Sequence[Sequence[float]]) -> Axis:
    """Return the axis from zero on that ends where `end_without_spikes` says."""
    return _from_zero(curves, top=end_without_spikes(list(chain(*curves))))


def apart(curves: Sequence[Sequence[float]]) -> Axis:
    """Return the axis of curves that may lie far apart, such as the losses of a run that diverged and of one that did
    not: a logarithmic one where a whole curve would lie at the foot, else as `without_spikes`."""
    shown = [values for values in curves if values]
    usual, ends = [median(values) for values in shown], [median(values[-END:]) for values in shown]
    if not _lie_apart(usual) and not _lie_apart(ends):
        return without_spikes(curves)
    values = list(chain(*shown))
    high = math.log10(max(values) * LOG_ROOM)
    lowest = min(value for value in values if value > 0)
    return Axis(max(math.log10(lowest / LOG_ROOM), high - DECADES), high, is_log=True)


def end_without_spikes(values: Sequence[float]) -> float:
    """Return where an axis ends on which most of the values can be told apart: at the highest, unless a few that are
    many times the others squeeze these to its foot.

    >>> end_without_spikes([1.0, 1.2, 0.9, 1.1, 1.0, 0.8, 0.9, 1.0, 0.7, 400.0])
    2.4
    >>> end_without_spikes([4.0, 2.5, 1.6, 1.0, 0.8, 0.7, 0.6, 0.6, 0.5, 0.5])
    4.0
    """
    falling = sorted(values, reverse=True)
    if len(falling) < LEAST_TO_CUT:
        return falling[0]
    usual = falling[max(1, int(len(falling) * SPIKES))]
    return ROOM * usual if 0 < usual * SQUEEZED < falling[0] else falling[0]


def _from_zero(curves: Sequence[Sequence[float]], *, top: float) -> Axis:
    values = list(chain(*curves))
    low, highest = min(0.0, *values), max(values)
    if top < highest:
        return Axis(low, top)
    if highest <= 0:
        return Axis(low, 0.0 if low < 0 else 1.0)
    return Axis(low, top * 1.05)


def _lie_apart(levels: Sequence[float]) -> bool:
    return 0 < min(levels) * SQUEEZED < max(levels)
