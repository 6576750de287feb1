"""Labels taken for other labels, and fields that are often wrong: the parts behind label accuracy and field F1."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from playbook.contracts.metrics import MetricSettings
from playbook.contracts.report import ItemResult
from playbook.scoring.metrics import field_leaves, label_of, plain_label
from playbook.scoring.values import Leaf, f1

#: Columns for answers that say none of the labels, and for rows that failed.
OTHER, FAILED = "(another answer)", "(failed)"


@dataclass(frozen=True)
class LabelLine:
    """One label. `recall`: of the rows that have it, found; None when no row has it. `precision`: of the answers that
    say it, right; None when none does."""

    label: str
    rows: int
    precision: float | None
    recall: float | None
    f1: float


@dataclass(frozen=True)
class Confusion:
    """Rows by expected label and by answer. `counts[expected][answer]`: the answers are the labels, then `OTHER` and
    `FAILED` where such rows exist."""

    labels: tuple[str, ...]
    answers: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]
    lines: tuple[LabelLine, ...]

    @property
    def macro_f1(self) -> float:
        """The mean of F1 over labels that rows have or answers say: rare labels count as much as common ones."""
        used = [line.f1 for line in self.lines if line.precision is not None or line.recall is not None]
        return sum(used) / len(used) if used else 0.0


def confusion_of(items: Sequence[ItemResult], settings: MetricSettings) -> Confusion:
    """Return which labels are taken for which. Labels: those of the settings, else those that the rows expect.

    An expected answer without a label stands under `OTHER`, if there is one.
    """
    expected = [label_of(item.expected, settings) or OTHER for item in items]
    given = [plain_label(label, settings) for label in settings.labels]
    labels = tuple(dict.fromkeys([*given, *sorted(set(expected) - set(given))]))
    said = [FAILED if item.error is not None else _known(label_of(item.output, settings), labels) for item in items]
    answers = tuple(dict.fromkeys([*labels, *(odd for odd in (OTHER, FAILED) if odd in said)]))
    cells = Counter(zip(expected, said, strict=True))
    counts = tuple(tuple(cells[wanted, answer] for answer in answers) for wanted in labels)
    return Confusion(labels, answers, counts, tuple(_line(label, labels, cells) for label in labels))


def _known(label: str | None, labels: tuple[str, ...]) -> str:
    return label if label is not None and label in labels else OTHER


def _line(label: str, labels: tuple[str, ...], cells: Counter[tuple[str, str]]) -> LabelLine:
    right = cells[label, label] if label != OTHER else 0
    rows = sum(count for (wanted, _), count in cells.items() if wanted == label)
    said = sum(count for (_, answer), count in cells.items() if answer == label)
    return LabelLine(
        label=label,
        rows=rows,
        precision=right / said if said else None,
        recall=right / rows if rows else None,
        f1=f1(right, said, rows) if said or rows else 0.0,
    )


@dataclass(frozen=True)
class FieldLine:
    """One field over all rows: how often it was expected, given, and given right."""

    path: str
    expected: int
    given: int
    right: int

    @property
    def f1(self) -> float:
        return f1(self.right, self.given, self.expected)


def fields_of(items: Sequence[ItemResult], settings: MetricSettings) -> tuple[FieldLine, ...]:
    """Return every field that rows expect or answers give, the worst first; a failed row gives none."""
    wanted, said, right = Counter[str](), Counter[str](), Counter[str]()
    for item in items:
        there = field_leaves(item.expected, settings) or Counter[Leaf]()
        here = (field_leaves(item.output, settings, beside=item.expected) if item.error is None else None) or Counter[
            Leaf
        ]()
        for total, found in ((wanted, there), (said, here), (right, there & here)):
            for (path, *_), count in found.items():
                total[path] += count
    lines = [FieldLine(path, wanted[path], said[path], right[path]) for path in wanted | said]
    return tuple(sorted(lines, key=lambda line: (line.f1, line.path)))
