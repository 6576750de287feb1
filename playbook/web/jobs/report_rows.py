"""The answers of a report, a page of them at a time: chosen by kind, long texts cut with a way to the whole.

Texts are cut here, before the template sees them: a row of five answers of 10,000 tokens is 200 kB.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from playbook.contracts.report import ArmReport, ItemResult, Report
from playbook.contracts.run_spec import Method
from playbook.scoring.rows import changes_between, question_of, worst_rows
from playbook.scoring.words import arm_label
from playbook.web.jobs.report_table import seconds_text

PER_PAGE = 10
CUT_CHARACTERS = 1200
#: kind → what its button says. `gained` and `lost` compare the chosen arm with the baseline.
KINDS = {
    "all": "All",
    "gained": "Gained",
    "lost": "Lost",
    "worst": "Worst first",
    "wrong": "Wrong",
    "failed": "Failed",
    "cut": "Cut",
}


@dataclass(frozen=True)
class Text:
    """`more`: characters left out."""

    shown: str
    more: int

    @classmethod
    def of(cls, text: str, limit: int | None = CUT_CHARACTERS) -> "Text":
        shown = text if limit is None else text[:limit]
        return cls(shown, len(text) - len(shown))


@dataclass(frozen=True)
class AnswerView:
    label: str
    item: ItemResult
    text: Text
    score: str
    latency: str


@dataclass(frozen=True)
class RowView:
    index: int
    prompt: Text
    expected: Text
    answers: tuple[AnswerView, ...]


def views(
    arms: Sequence[ArmReport], indices: Sequence[int], *, method: Method, limit: int | None = CUT_CHARACTERS
) -> tuple[RowView, ...]:
    """Return the rows of these indices with every arm's answer; an arm that never got to a row is left out of it.

    `method`: what tuned the model of the tuned arms.
    """
    wanted = set(indices)
    found = {arm.arm: {item.index: item for item in arm.items if item.index in wanted} for arm in arms if arm.items}
    boolean = all(arm.scores[0].metric.is_boolean for arm in arms if arm.items)
    rows = []
    for index in indices:
        answers = [(arm_label(arm, method), items[index]) for arm, items in found.items() if index in items]
        rows.append(
            RowView(
                index=index,
                prompt=Text.of(question_of(item for _, item in answers), limit),
                expected=Text.of(answers[0][1].expected if answers else "", limit),
                answers=tuple(
                    AnswerView(
                        label,
                        item,
                        Text.of(item.output, limit),
                        "" if boolean else f"{item.score:.2f}",
                        "" if item.latency_seconds is None else seconds_text(item.latency_seconds),
                    )
                    for label, item in answers
                ),
            )
        )
    return tuple(rows)


def indices_of(report: Report, kind: str, *, arm: ArmReport, baseline: ArmReport | None) -> list[int]:
    """Return the rows of one kind, in the order to show them. Raises DifferentRows for arms that cannot be paired."""
    match kind:
        case "gained" | "lost":
            if baseline is None or baseline is arm:
                return []
            changes = changes_between(baseline, arm)
            return [pair.after.index for pair in (changes.gained if kind == "gained" else changes.lost)]
        case "worst":
            others = [other for other in report.arms if other is not arm]
            return [item.index for item in worst_rows(arm, others, limit=len(arm.items))]
        case "wrong":
            return [item.index for item in arm.items if not item.correct]
        case "failed":
            return [item.index for item in arm.items if item.error is not None]
        case "cut":
            return [item.index for item in arm.items if item.cut]
        case _:
            everywhere = {item.index for other in report.arms for item in other.items}
            return sorted(everywhere)
