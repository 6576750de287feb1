"""A drawing as lines of SVG, with the few shapes that `playbook.library.figures` reads. Knows nothing of what is drawn.

Units are those of the viewBox: 360 to a drawing's width, whatever the screen. Colours are classes.
"""

import html
import math
from collections.abc import Iterable
from dataclasses import dataclass, field

WIDTH = 360
LINE = 15

Point = tuple[float, float]


@dataclass
class Drawing:
    """One drawing while it is made. `title` names it, `description` says in words all that it shows."""

    title: str
    description: str
    height: int
    shapes: list[str] = field(default_factory=list)

    def svg(self) -> str:
        """Return the file."""
        return "\n".join(
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}">',
                f"  <title>{html.escape(self.title)}</title>",
                f"  <desc>{html.escape(self.description)}</desc>",
                *(f"  {shape}" for shape in self.shapes),
                "</svg>\n",
            )
        )

    def text(self, x: float, y: float, words: str, *, ink: str = "", anchor: str = "") -> None:
        """Write words on the line whose foot is at y; `\\n` begins a new one below."""
        where = f' text-anchor="{anchor}"' if anchor else ""
        for number, line in enumerate(words.split("\n")):
            place = f'x="{_at(x)}" y="{_at(y + number * LINE)}"'
            self.shapes.append(f"<text{_class(ink)} {place}{where}>{html.escape(line)}</text>")

    def line(self, start: Point, end: Point, *, ink: str = "line") -> None:
        ends = f'x1="{_at(start[0])}" y1="{_at(start[1])}" x2="{_at(end[0])}" y2="{_at(end[1])}"'
        self.shapes.append(f"<line{_class(ink)} {ends}/>")

    def rect(self, x: float, y: float, width: float, height: float, *, ink: str = "box", round_by: float = 0) -> None:
        corner = f' rx="{_at(round_by)}"' if round_by else ""
        size = f'x="{_at(x)}" y="{_at(y)}" width="{_at(width)}" height="{_at(height)}"'
        self.shapes.append(f"<rect{_class(ink)} {size}{corner}/>")

    def dot(self, centre: Point, radius: float, *, ink: str) -> None:
        x, y = centre
        self.shapes.append(f'<circle{_class(ink)} cx="{_at(x)}" cy="{_at(y)}" r="{_at(radius)}"/>')

    def path(self, points: Iterable[Point], *, ink: str, closed: bool = False) -> None:
        """Draw straight from point to point."""
        d = "M" + "L".join(f"{_at(x)} {_at(y)}" for x, y in points)
        self.shapes.append(f'<path{_class(ink)} d="{d}{"Z" if closed else ""}"/>')

    def arrow(self, start: Point, end: Point, *, ink: str = "line") -> None:
        """Draw a straight line with a head at its end."""
        self.line(start, end, ink=ink)
        self.head(end, math.atan2(end[1] - start[1], end[0] - start[0]))

    def head(self, tip: Point, angle: float) -> None:
        """Draw the head of an arrow that flies at `angle` (radians, clockwise from the right)."""
        x, y = tip
        sides = ((x - 7 * math.cos(angle + turn), y - 7 * math.sin(angle + turn)) for turn in (0.45, -0.45))
        self.path([tip, *sides], ink="arrow", closed=True)

    def legend(self, x: float, y: float, names: Iterable[tuple[str, str]], *, step: float) -> None:
        """Write (ink, name) pairs in a row from x, `step` apart."""
        for number, (ink, name) in enumerate(names):
            self.rect(x + number * step, y - 8, 10, 8, ink=ink)
            self.text(x + number * step + 14, y, name, ink="little muted")


@dataclass(frozen=True)
class Axis:
    """Values between low and high → places between start and end; `log` for equal steps of equal ratio."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)


def percent(share: float) -> str:
    """0.8 → "80 %", as the articles write it."""
    return f"{share * 100:.0f} %"


def _at(place: float) -> str:
    """Return a place to a tenth of a unit, without needless zeros."""
    return f"{place:.1f}".removesuffix(".0").replace("-0.0", "0")


def _class(ink: str) -> str:
    return f' class="{ink}"' if ink else ""
