"""Columns over time, made of parts, as SVG geometry: `templates/common/_columns_plot.html` draws it. No script."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from playbook.web.common.plots import Tick
from playbook.web.common.plots_axis import nice_ticks, number_text

HEIGHT = 146
TOP, BOTTOM = 12, 32
GAP = 0.25


@dataclass(frozen=True)
class Part:
    """A part of a column, placed. `number` (from 1) picks its colour."""

    number: int
    x: float
    y: float
    width: float
    height: float
    text: str


@dataclass(frozen=True)
class Column:
    label: str
    url: str
    x: float
    middle: float
    width: float
    text: str
    parts: tuple[Part, ...]
    #: Whether there is room for the label below it.
    is_labelled: bool


@dataclass(frozen=True)
class ColumnsPlot:
    """`names`: the parts in order, for the legend, with their colour numbers."""

    title: str
    height: int
    bottom: float
    y_ticks: tuple[Tick, ...]
    columns: tuple[Column, ...]
    names: tuple[tuple[int, str], ...]
    summary: str


def columns_plot(
    title: str, names: Sequence[str], columns: Sequence[tuple[str, str, Mapping[str, int]]]
) -> ColumnsPlot | None:
    """Return the plot of (label, address, count by name) in order; None when nothing is counted."""
    highest = max((sum(counts.values()) for _, _, counts in columns), default=0)
    if not highest:
        return None
    shown = [name for name in names if any(counts.get(name) for _, _, counts in columns)]
    bottom = HEIGHT - BOTTOM
    step = 100 / len(columns)
    every = max(1, -(-len(columns) // 4))

    def height(count: float) -> float:
        return round(count / highest * (bottom - TOP), 1)

    placed = []
    for place, (label, url, counts) in enumerate(columns):
        x, width = round(step * (place + GAP / 2), 2), round(step * (1 - GAP), 2)
        parts, below = [], 0
        for name in shown:
            if count := counts.get(name, 0):
                below += count
                parts.append(
                    Part(
                        number=names.index(name) + 1,
                        x=x,
                        y=round(bottom - height(below), 1),
                        width=width,
                        height=height(count),
                        text=f"{label}: {count} {name}",
                    )
                )
        said = ", ".join(f"{counts[name]} {name}" for name in shown if counts.get(name))
        placed.append(
            Column(
                label=label,
                url=url,
                x=x,
                middle=round(x + width / 2, 2),
                width=width,
                text=f"{label}: {said or 'none'}",
                parts=tuple(parts),
                is_labelled=(len(columns) - 1 - place) % every == 0,
            )
        )
    return ColumnsPlot(
        title=title,
        height=HEIGHT,
        bottom=bottom,
        y_ticks=tuple(
            Tick(round(bottom - height(count), 1), number_text(count))
            for count in nice_ticks(0, highest, count=4)
            if count.is_integer()
        ),
        columns=tuple(placed),
        names=tuple((names.index(name) + 1, name) for name in shown),
        summary=f"{title}. " + ". ".join(column.text for column in placed if column.parts) + ".",
    )
