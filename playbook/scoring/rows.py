"""The rows behind the figures: what went from wrong to right and back, and which rows are worst."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean

from playbook.contracts.report import ArmReport, ItemResult
from playbook.scoring.compare import refuse_different_rows

#: Scores of parts of a point that differ by less changed by rounding alone.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class ChangedRow:
    """One row as two arms answered it. `change`: of its score, arm - baseline."""

    before: ItemResult
    after: ItemResult

    @property
    def change(self) -> float:
        return self.after.score - self.before.score


@dataclass(frozen=True)
class Changes:
    """`gained`: wrong → right; `lost`: right → wrong; by row. With parts of a point: score up, score down, by size."""

    gained: tuple[ChangedRow, ...]
    lost: tuple[ChangedRow, ...]


def question_of(answers: Iterable[ItemResult]) -> str:
    """Return what a row asks, from several arms' answers to it: passages that an arm put around it are left out where
    another arm did without, for the shortest last message holds the fewest of them."""
    return min((item.prompt[-1].content for item in answers if item.prompt), key=len, default="")


def changes_between(baseline: ArmReport, arm: ArmReport) -> Changes:
    """Return the rows that changed. Raises DifferentRows when the arms did not answer the same ones."""
    refuse_different_rows(baseline, arm)
    pairs = [ChangedRow(before, after) for before, after in zip(baseline.items, arm.items, strict=True)]
    if arm.scores[0].metric.is_boolean:
        return Changes(
            gained=tuple(pair for pair in pairs if pair.after.correct and not pair.before.correct),
            lost=tuple(pair for pair in pairs if pair.before.correct and not pair.after.correct),
        )
    return Changes(
        gained=tuple(sorted((p for p in pairs if p.change > _ROUNDING), key=lambda p: (-p.change, p.after.index))),
        lost=tuple(sorted((p for p in pairs if p.change < -_ROUNDING), key=lambda p: (p.change, p.after.index))),
    )


def worst_rows(arm: ArmReport, others: Sequence[ArmReport] = (), *, limit: int = 10) -> tuple[ItemResult, ...]:
    """Return the rows on which an arm did worst and was not right, the worst first.

    By its score; of equals first those that failed, then those that the other arms found hard too, then by what the
    secondary metrics say.
    """
    elsewhere: dict[int, list[float]] = {}
    for other in others:
        for item in other.items:
            elsewhere.setdefault(item.index, []).append(item.score)

    def badness(item: ItemResult) -> tuple[float, bool, float, float, int]:
        return (
            item.score,
            item.error is None,
            fmean(elsewhere.get(item.index, [0.0])),
            fmean(item.scores.values() or [0.0]),
            item.index,
        )

    return tuple(sorted((item for item in arm.items if not item.correct), key=badness)[:limit])
