"""Plots as SVG geometry: views compute a plot here, `templates/common/_*_plot.html` draw it. No script, no library.

A plot is as wide as its place, so that its letters keep their size on a phone: positions across are in percent of the
drawn area, positions down in pixels. Colours are classes, so a plot follows light and dark.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from statistics import fmean
from types import MappingProxyType

from playbook.scoring.figures import share_text
from playbook.web.common.plots_axis import Axis, from_zero, nice_ticks, number_text, short_text

LINE_HEIGHT = 300
TOP, BOTTOM = 14, 34
#: Colours that can be told apart, each with a dash of its own; lines beyond them are drawn again thinner.
COLOURS = 6
#: From one label at the end of a line to the next.
LABEL_GAP = 15.0
#: Percent of the width from one mark to the next, and pixels above the plot at which a line ends.
MARK_GAP, BEYOND = 1.5, -1e7


#: (x, y) points by the name of their curve.
Curves = Mapping[str, Sequence[tuple[float, float]]]


@dataclass(frozen=True)
class Tick:
    position: float
    label: str


@dataclass(frozen=True)
class Series:
    """One drawn line. `number` (from 1) picks its colour and dash; `end` is where its label goes. `last_y`: where its
    last point lies, for a line of one point is drawn as a dot."""

    name: str
    number: int
    path: str
    end_x: float
    end_y: float
    last_y: float
    last: str
    points: tuple[tuple[float, float], ...]

    @property
    def colour(self) -> int:
        return (self.number - 1) % COLOURS + 1

    @property
    def again(self) -> int:
        """How often its colour was taken before."""
        return (self.number - 1) // COLOURS


@dataclass(frozen=True)
class Mark:
    """Where a line leaves the plot at the top; `colour` is the line's."""

    position: float
    colour: int


class Sign(StrEnum):
    """How a landmark is drawn. Shapes, as colour alone tells nothing to some."""

    RING = "ring"
    RULE = "rule"


@dataclass(frozen=True)
class Landmark:
    """A point of a curve that has a meaning of its own, which `text` tells in the legend."""

    sign: Sign
    x: float
    y: float
    text: str


@dataclass(frozen=True)
class LinePlot:
    """`under`: faint lines below those of `series`. `scale`: x at the left and right end, y at the bottom and the top,
    and where these two lie, for the script that reads values off the lines; of a logarithmic axis (`is_log`) the powers
    of ten. `marks`: where points lie above the axis. `cut`: whether there are any. `note`: what is said of the axis."""

    title: str
    x_label: str
    height: int
    bottom: float
    scale: tuple[float, float, float, float, float, float]
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    series: tuple[Series, ...]
    under: tuple[Series, ...]
    marks: tuple[Mark, ...]
    landmarks: tuple[Landmark, ...]
    is_log: bool
    note: str
    summary: str

    @property
    def top(self) -> int:
        return TOP

    @property
    def cut(self) -> bool:
        return bool(self.marks)

    @property
    def drawn_top(self) -> int:
        """Where the lines end at the top, in pixels."""
        return TOP if self.cut else 0

    @property
    def drawn_height(self) -> int:
        return self.height - self.drawn_top

    @property
    def is_compact(self) -> bool:
        return self.height < LINE_HEIGHT


@dataclass(frozen=True)
class IntervalRow:
    """One proportion with its interval, placed: `x` the point, `x_low`..`x_high` the bar."""

    label: str
    text: str
    number: int
    x: float
    x_low: float
    x_high: float


@dataclass(frozen=True)
class IntervalPlot:
    x_ticks: tuple[Tick, ...]
    rows: tuple[IntervalRow, ...]
    rule: Tick | None
    summary: str
    caption: str


@dataclass(frozen=True)
class Segment:
    """A part of a bar, placed. `number` (from 1) picks its colour."""

    name: str
    number: int
    x: float
    width: float
    text: str


@dataclass(frozen=True)
class StackedRow:
    label: str
    text: str
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class StackedPlot:
    """Bars made of parts. `names`: the parts in order, for the legend, with their colour numbers."""

    x_ticks: tuple[Tick, ...]
    rows: tuple[StackedRow, ...]
    names: tuple[tuple[int, str], ...]
    summary: str


def line_plot(
    title: str,
    curves: Curves,
    *,
    x_label: str,
    x_max: float | None = None,
    height: int = LINE_HEIGHT,
    under: Curves = MappingProxyType({}),
    axis_of: Callable[[Sequence[Sequence[float]]], Axis] = from_zero,
    landmarks: Sequence[Landmark] = (),
) -> LinePlot | None:
    """Return the plot of the named curves of (x, y) points; None when there is no point yet.

    The x axis holds whole numbers. It reaches to `x_max` at least, so that a running curve shows how far it has to go.

    Points that are not finite are left out: a diverged loss must not bend the axis out of sight. With many curves the
    plot is higher than `height`, so that each has a label at its end.

    `under`: what a curve was smoothed from, by the curve's name; drawn faintly below it.

    `axis_of`: the upright axis for the values of each curve. Points above it are marked at the top, and said.

    `landmarks`: points of curves to be told in the legend.
    """
    finite, faint = _finite(curves), _finite(under)
    every = [point for points in (*finite.values(), *faint.values()) for point in points]
    if not every:
        return None
    x_low, x_high = min(x for x, _ in every), max([x for x, _ in every] + ([x_max] if x_max is not None else []))
    axis = axis_of([[y for _, y in points] for points in (*finite.values(), *faint.values())])
    if x_high == x_low:
        x_high = x_low + 1
    height = max(height, TOP + BOTTOM + round(LABEL_GAP * (sum(1 for points in finite.values() if points) - 1)))
    bottom = height - BOTTOM

    digits = max(2, math.ceil(math.log10(x_high - x_low)) - 2)  # as exact as a curve of a million steps needs

    def place_x(x: float) -> float:
        return round((x - x_low) / (x_high - x_low) * 100, digits)

    def place_y(y: float) -> float:
        return round(max(BEYOND, bottom - axis.share(y) * (bottom - TOP)), 2)

    def draw(name: str, number: int, points: list[tuple[float, float]]) -> Series:
        placed = [(place_x(x), place_y(y)) for x, y in sorted(points)]
        return Series(
            name=name,
            number=number,
            path="M" + "L".join(f"{x} {y}" for x, y in placed),
            end_x=placed[-1][0],
            end_y=max(TOP, placed[-1][1]),
            last_y=max(TOP, placed[-1][1]),
            last=short_text(sorted(points)[-1][1]),
            points=tuple(sorted(points)),
        )

    numbers = {name: number for number, name in enumerate(finite, start=1)}
    series = [draw(name, numbers[name], points) for name, points in finite.items() if points]
    drawn_under = [draw(f"{name}, each {x_label}", numbers[name], points) for name, points in faint.items() if points]
    marks = tuple(_marks([*series, *drawn_under], axis, place_x))
    note = axis.note(every, x_label)
    return LinePlot(
        title=title,
        x_label=x_label,
        height=height,
        bottom=bottom,
        scale=(x_low, x_high, axis.low, axis.high, bottom, TOP),
        x_ticks=tuple(Tick(place_x(x), number_text(x)) for x in nice_ticks(x_low, x_high) if x.is_integer()),
        y_ticks=tuple(Tick(place_y(y), short_text(y)) for y in axis.ticks),
        series=_spread_labels(series, bottom=bottom),
        under=tuple(drawn_under),
        marks=marks,
        landmarks=tuple(replace(one, x=place_x(one.x), y=place_y(one.y)) for one in landmarks),
        is_log=axis.is_log,
        note=note,
        summary=f"{title} by {x_label}. "
        + " ".join(
            f"{line.name}: from {number_text(line.points[0][1])} at {number_text(line.points[0][0])} "
            f"to {line.last} at {number_text(line.points[-1][0])}."
            for line in series
        )
        + "".join(f" {one.text}." for one in landmarks)
        + (f" {note}" if note else ""),
    )


def _marks(lines: Sequence[Series], axis: Axis, place_x: Callable[[float], float]) -> Iterator[Mark]:
    """Yield where points lie above the axis; of many beside each other as many as have room."""
    for colour in dict.fromkeys(line.colour for line in lines):
        reached = -math.inf
        for at in sorted(
            place_x(x) for line in lines if line.colour == colour for x, y in line.points if axis.ends_below(y)
        ):
            if at >= reached + MARK_GAP:
                reached = at
                yield Mark(at, colour)


def _finite(curves: Curves) -> dict[str, list[tuple[float, float]]]:
    return {
        name: [(float(x), float(y)) for x, y in points if math.isfinite(x) and math.isfinite(y)]
        for name, points in curves.items()
    }


def smoothed(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the running mean of the points over a twentieth of them, each time of the middle half of their values: a
    spike of one point does not move it, and between the low and high points of a thinned curve it runs in the middle.

    >>> smoothed([(step, 9.0 if step == 30 else 1.0) for step in range(60)]) == [(step, 1.0) for step in range(60)]
    True
    """
    half = max(2, len(points) // 40)
    values = [y for _, y in points]
    found = []
    for place, (x, _) in enumerate(points):
        near = sorted(values[max(0, place - half) : place + half + 1])
        cut = max(1, len(near) // 4) if len(near) > 2 else 0
        found.append((x, fmean(near[cut : len(near) - cut])))
    return found


def _percent(share: float) -> float:
    return round(share * 100, 2)


def _spread_labels(series: list[Series], *, bottom: float) -> tuple[Series, ...]:
    """Move the end labels apart, downwards in order and up again where they would leave the plot, so that lines that
    end together stay readable."""
    moved: list[Series] = []
    lowest = -math.inf
    for line in sorted(series, key=lambda line: line.end_y):
        lowest = max(line.end_y, lowest + LABEL_GAP)
        moved.append(replace(line, end_y=lowest))
    highest = bottom
    for place, line in reversed(list(enumerate(moved))):
        moved[place] = replace(line, end_y=min(line.end_y, highest))
        highest = moved[place].end_y - LABEL_GAP
    return tuple(sorted(moved, key=lambda line: line.number))


def interval_plot(
    rows: Sequence[tuple[str, float, float, float]],
    *,
    threshold: float | None = None,
    threshold_label: str = "",
    domain: tuple[float, float] | None = None,
    text: Sequence[str] = (),
    caption: str = "Share of test rows, with the 95 % interval.",
) -> IntervalPlot:
    """Return a plot of rows of (label, value, low, high), and a rule at `threshold`.

    Values are proportions in 0..1, unless `domain` says between what; what lies beyond is drawn at the edge. `text`:
    how each row's figures read, when they are no percentages.
    """
    bottom, top = domain or (0.0, 1.0)

    def place(value: float) -> float:
        return _percent((min(max(value, bottom), top) - bottom) / (top - bottom))

    placed = tuple(
        IntervalRow(
            label=label,
            text=text[index] if text else share_text(value, low, high),
            number=index % 6 + 1,
            x=place(value),
            x_low=place(low),
            x_high=place(high),
        )
        for index, (label, value, low, high) in enumerate(rows)
    )
    ticks = nice_ticks(bottom, top, count=4) if domain else [share / 4 for share in range(5)]
    return IntervalPlot(
        x_ticks=tuple(Tick(place(at), number_text(at) if domain else f"{at * 100:.0f} %") for at in ticks),
        rows=placed,
        rule=None if threshold is None else Tick(place(threshold), threshold_label),
        summary=". ".join(f"{row.label}: {row.text}" for row in placed) + ".",
        caption=caption,
    )


def stacked_plot(
    rows: Sequence[tuple[str, Sequence[tuple[str, float]]]], *, text: Callable[[float], str]
) -> StackedPlot:
    """Return a plot of one bar a row: (label, parts of (name, size from zero)); `text` writes a size with its unit.

    All rows name the same parts in the same order.
    """
    longest = max(sum(size for _, size in parts) for _, parts in rows) or 1.0

    def place(size: float) -> float:
        return _percent(size / longest)

    placed = []
    for label, parts in rows:
        segments, total = [], 0.0
        for number, (name, size) in enumerate(parts, start=1):
            x = place(total)
            total += size
            if place(total) > x:
                segments.append(Segment(name, number, x, round(place(total) - x, 2), text(size)))
        placed.append(StackedRow(label, text(total), segments=tuple(segments)))
    return StackedPlot(
        x_ticks=tuple(Tick(place(size), text(size)) for size in nice_ticks(0, longest, count=4)),
        rows=tuple(placed),
        names=tuple(enumerate((name for name, _ in rows[0][1]), start=1)),
        summary=" ".join(
            f"{label}: {row.text}, of which {', '.join(f'{part} {text(size)}' for part, size in parts)}."
            for (label, parts), row in zip(rows, placed, strict=True)
        ),
    )
