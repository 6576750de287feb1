"""Runs against each other: how one tuned arm differs between the reports that share a table."""

from playbook.contracts.report import Comparison
from playbook.contracts.run_spec import Arm
from playbook.scoring.compare import compare_arms
from playbook.scoring.figures import counted, p_text, points, points_between
from playbook.scoring.statistics import holm
from playbook.scoring.table import SIGNIFICANT, ArmLine, Table


def run_against_run(table: Table) -> tuple[str, ...]:
    """Return a sentence on each tuned arm that an earlier run of the table measured too, compared with the first such
    run, row by row.

    The p-values are adjusted for the number of these sentences (Holm 1979). None where the metric is no share, whose
    differences are no points. The table itself says how each arm does against the best prompt, which two runs that
    both beat it leave open between them.
    """
    if not table.metric.is_share:
        return ()
    first: dict[Arm, ArmLine] = {}
    found: list[tuple[ArmLine, ArmLine, Comparison]] = []
    for line in table.answered:
        if line.arm.is_tuned and (before := first.setdefault(line.arm, line)) is not line:
            found.append((before, line, compare_arms(before.report, line.report)))
    adjusted = holm([comparison.p_value for _, _, comparison in found])
    return tuple(
        _sentence(before, line, comparison, p=p, of=len(found))
        for (before, line, comparison), p in zip(found, adjusted, strict=True)
    )


def _sentence(before: ArmLine, line: ArmLine, comparison: Comparison, *, p: float, of: int) -> str:
    difference = comparison.difference
    assert difference is not None  # noqa: S101 - None in files of version 1 alone; this one is new
    after_holm = " after Holm" if of > 1 else ""
    verdict = "" if p < SIGNIFICANT else " So many rows show no difference between them."
    return (
        f"{line.label} against {before.label}: {points(difference.value, signed=True)} (95 % interval "
        f"{points_between(difference.low, difference.high)}), p {p_text(p, sign=True)}{after_holm}; "
        f"{counted(comparison.gained, 'row')} gained, {comparison.lost:,} lost.{verdict}"
    )
