"""The plot of a flow as SVG geometry: `templates/common/_flow_plot.html` draws it. No script, no library.

Questions go down, each below those that lead to it; outcomes stand in a column on the right, and every way to one of
them runs through the gap below its question into that outcome's own channel, so that no line crosses a box.
"""

import textwrap
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

BOX_WIDTH, OUTCOME_WIDTH = 232, 190
COLUMN_GAP, CHANNEL = 34, 11
LINE, PADDING = 17, 11
LANE, LANES_TOP, LANES_BOTTOM = 20, 20, 26
MARGIN, OUTCOME_GAP = 22, 12
BOX_LETTERS, OUTCOME_LETTERS, LABEL_LETTERS = 33, 26, 26
#: Of a letter of a label, on the wide side: no line may run through its last words.
LETTER_WIDTH = 7.2
MAX_LINES = 4


@dataclass(frozen=True)
class FlowNode:
    """A question, or an outcome (`tone` says which colour). `state`: "" as long as no path is shown."""

    key: int
    text: str
    tone: str = ""
    url: str = ""
    state: str = ""

    @property
    def is_outcome(self) -> bool:
        return self.tone != ""


@dataclass(frozen=True)
class FlowLink:
    """A way from a question to what follows."""

    source: int
    target: int
    label: str
    state: str = ""


@dataclass(frozen=True)
class FlowBox:
    """A node, placed. `lines` are (y, text)."""

    node: FlowNode
    x: float
    y: float
    width: float
    height: float
    lines: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class FlowLine:
    """A link, placed: its path, and where its label begins."""

    link: FlowLink
    path: str
    x: float
    y: float
    label: str


@dataclass(frozen=True)
class FlowPlot:
    width: int
    height: int
    boxes: tuple[FlowBox, ...]
    lines: tuple[FlowLine, ...]
    summary: str


def flow_plot(nodes: Sequence[FlowNode], links: Sequence[FlowLink], *, summary: str) -> FlowPlot:
    """Return the plot. `nodes`: each before those that its links lead to; outcomes have no links of their own."""
    layout = _Layout(nodes, links)
    lines = (*layout.lines_to_questions(), *layout.lines_to_outcomes())
    return FlowPlot(
        width=round(layout.right),
        height=round(layout.bottom),
        boxes=tuple(layout.boxes.values()),
        lines=tuple(sorted(lines, key=lambda line: line.link.state == "lit")),  # what is lit lies on top
        summary=summary,
    )


class _Layout:
    """Places rows, then columns, then outcomes; lines follow from these."""

    def __init__(self, nodes: Sequence[FlowNode], links: Sequence[FlowLink]) -> None:
        self.nodes = {node.key: node for node in nodes}
        self.links = links
        self.boxes: dict[int, FlowBox] = {}
        self.rows = self._rows()
        self.columns = self._columns()
        self.lane_y: dict[tuple[int, int], float] = {}
        self.bottom = self._place_questions()
        self.channels_x = self._right_of_boxes_and_labels()
        self._place_outcomes()

    @property
    def outcomes(self) -> list[FlowNode]:
        return [node for node in self.nodes.values() if node.is_outcome]

    def _rows(self) -> dict[int, int]:
        """Return the row of each question: one below the lowest that leads to it."""
        rows = {key: 0 for key, node in self.nodes.items() if not node.is_outcome}
        for key in rows:
            for link in self.links:
                if link.source == key and link.target in rows:
                    rows[link.target] = max(rows[link.target], rows[key] + 1)
        return rows

    def _columns(self) -> dict[int, int]:
        """Return the column of each question: in each row, in the order of those that lead there."""
        columns: dict[int, int] = {}
        for row in range(max(self.rows.values(), default=0) + 1):
            here = [key for key, its in self.rows.items() if its == row]
            here.sort(key=lambda key: (self._mean_source(key, columns), self._first_link(key)))
            columns.update({key: place for place, key in enumerate(here)})
        return columns

    def _mean_source(self, key: int, columns: Mapping[int, float]) -> float:
        found = [columns[link.source] for link in self.links if link.target == key and link.source in columns]
        return sum(found) / len(found) if found else 0.0

    def _first_link(self, key: int) -> int:
        return next((place for place, link in enumerate(self.links) if link.target == key), 0)

    def _place_questions(self) -> float:
        """Place the boxes of all rows and the lanes below them; return where the last row ends."""
        y = float(MARGIN)
        for row in range(max(self.rows.values(), default=0) + 1):
            here = [key for key, its in self.rows.items() if its == row]
            texts = {key: _wrapped(self.nodes[key].text, BOX_LETTERS) for key in here}
            height = 2 * PADDING + LINE * max(map(len, texts.values()))
            for key in here:
                x = MARGIN + self.columns[key] * (BOX_WIDTH + COLUMN_GAP)
                self.boxes[key] = _box(self.nodes[key], x, y, BOX_WIDTH, height, texts[key])
            y += height
            ways = [
                (link.source, link.target)
                for key in sorted(here, key=lambda key: -self.columns[key])
                for link in self._links_of(key, to_outcomes=True)
            ]
            for lane, way in enumerate(ways):
                self.lane_y[way] = y + LANES_TOP + LANE * lane
            y += LANES_TOP + LANE * len(ways) + LANES_BOTTOM
        return y - LANES_BOTTOM + MARGIN

    def _right_of_boxes_and_labels(self) -> float:
        """Return where the channels to the outcomes begin."""
        ends = [
            _exit_x(self.boxes[key], place) + 8 + LETTER_WIDTH * len(_short(link.label))
            for key in self.rows
            for place, link in enumerate(self._links_of(key, to_outcomes=True))
        ]
        return max(MARGIN + (max(self.columns.values(), default=0) + 1) * (BOX_WIDTH + COLUMN_GAP), *ends, 0.0)

    def _place_outcomes(self) -> None:
        """Place the outcomes near the ways that lead to them, one below the other."""
        arrivals = defaultdict[int, list[float]](list)
        for (_, target), y in self.lane_y.items():
            arrivals[target].append(y)
        middle = {node.key: sum(arrivals[node.key]) / max(1, len(arrivals[node.key])) for node in self.outcomes}
        x = self.channels_x + CHANNEL * (len(self.outcomes) + 1)
        texts = {node.key: _wrapped(node.text, OUTCOME_LETTERS) for node in self.outcomes}
        lowest = float(MARGIN)
        for node in sorted(self.outcomes, key=lambda node: middle[node.key]):
            height = 2 * PADDING + LINE * len(texts[node.key])
            y = max(lowest, middle[node.key] - height / 2)
            self.boxes[node.key] = _box(node, x, y, OUTCOME_WIDTH, height, texts[node.key])
            lowest = y + height + OUTCOME_GAP
        self.bottom = max(self.bottom, lowest - OUTCOME_GAP + MARGIN)
        self.right = x + OUTCOME_WIDTH + MARGIN

    def _links_of(self, source: int, *, to_outcomes: bool) -> list[FlowLink]:
        return [
            link for link in self.links if link.source == source and self.nodes[link.target].is_outcome == to_outcomes
        ]

    def lines_to_outcomes(self) -> list[FlowLine]:
        channels = {
            node.key: self.channels_x + CHANNEL * place
            for place, node in enumerate(sorted(self.outcomes, key=lambda node: self.boxes[node.key].y))
        }
        found = []
        for key in self.rows:
            box = self.boxes[key]
            for place, link in enumerate(self._links_of(key, to_outcomes=True)):
                target, lane = self.boxes[link.target], self.lane_y[key, link.target]
                exit_x = _exit_x(box, place)
                path = (
                    f"M{exit_x} {box.y + box.height}V{lane}H{channels[link.target]}"
                    f"V{target.y + target.height / 2}H{target.x}"
                )
                found.append(FlowLine(link, path, exit_x + 8, lane - 5, _short(link.label)))
        return found

    def lines_to_questions(self) -> list[FlowLine]:
        found = []
        for key in self.rows:
            box = self.boxes[key]
            ways = sorted(self._links_of(key, to_outcomes=False), key=lambda link: self.boxes[link.target].x)
            step = min(84.0, (box.width - 110) / max(1, len(ways)))
            for place, link in enumerate(ways):
                target = self.boxes[link.target]
                exit_x, below = box.x + 20 + step * place, box.y + box.height
                entry_x, above = target.x + 20 + 9 * place, target.y - 11
                if self.rows[link.target] == self.rows[key] + 1:
                    path = f"M{exit_x} {below}V{above}H{entry_x}V{target.y}"
                else:  # past other rows, in the gutter beside the target's column
                    path = f"M{exit_x} {below}V{below + 9}H{target.x - 13}V{above}H{entry_x}V{target.y}"
                found.append(FlowLine(link, path, exit_x + 6, below + 16, _short(link.label)))
        return found


def _exit_x(box: FlowBox, place: int) -> float:
    """Return where the way to an outcome leaves a question's box, counted from the right."""
    return box.x + box.width - 86 - 14 * place


def _box(node: FlowNode, x: float, y: float, width: float, height: float, texts: Sequence[str]) -> FlowBox:
    first = y + (height - LINE * len(texts)) / 2 + LINE - 4
    lines = tuple((first + LINE * place, text) for place, text in enumerate(texts))
    return FlowBox(node, x, y, width, height, lines)


def _wrapped(text: str, letters: int) -> list[str]:
    return textwrap.wrap(text, letters, max_lines=MAX_LINES, placeholder=" …") or [""]


def _short(label: str) -> str:
    return label if len(label) <= LABEL_LETTERS else f"{label[: LABEL_LETTERS - 1]}…"
