"""Reads a job's report and prepares what the pages show of it: verdict, interval plot, rows that changed.

A report is an artifact: a file whose digest the site recorded. Here it is read, checked and never changed.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from playbook.contracts.report import ArmReport, Comparison, ItemResult, Report, Score
from playbook.contracts.run_spec import Arm
from playbook.web.common import blobs
from playbook.web.common.plots import IntervalPlot, interval_plot
from playbook.web.decisions.criterion import Criterion
from playbook.web.jobs.models import Artifact, Job

ARM_LABELS = {Arm.ZERO_SHOT: "Zero-shot", Arm.FEW_SHOT: "Few-shot", Arm.LORA: "LoRA"}
RowFilter = Literal["all", "gained", "lost", "wrong"]
ROW_FILTERS: tuple[RowFilter, ...] = ("all", "gained", "lost", "wrong")
#: Under this many test rows an interval is so wide that the figures only indicate (Bowyer et al. 2025, 2503.01747).
INDICATIVE_BELOW_ROWS = 50


class ReportDamaged(Exception):
    """The report's bytes are not those that the worker uploaded, or they are gone."""


def report_of(job: Job) -> tuple[Artifact, Report] | None:
    """Return the newest report of the job with its artifact, or None. Raises ReportDamaged."""
    artifact = job.artifacts.filter(name="report.json").order_by("-attempt__number").first()
    return (artifact, _load(artifact.sha256)) if artifact else None


def _load(sha256: str) -> Report:
    """Read and check the bytes each time, so that an altered file is noticed; parse them once."""
    try:
        content = blobs.path_of(sha256).read_bytes()
    except FileNotFoundError:
        raise ReportDamaged(f"The file {sha256[:12]}… is gone from the site's data folder; restore it.") from None
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ReportDamaged(
            f"The report was altered on disk: its digest is {found[:12]}…, the recorded one {sha256[:12]}…. "
            "Restore the file from a backup; its figures are not shown."
        )
    return _parse(content)


@lru_cache(maxsize=32)
def _parse(content: bytes) -> Report:
    return Report.model_validate_json(content)


@dataclass(frozen=True)
class ArmRow:
    """One line of the comparison table."""

    label: str
    report: ArmReport
    score: Score
    prompt_tokens: float
    output_tokens: float


@dataclass(frozen=True)
class PairedRow:
    """One test row as the first and the last arm answered it."""

    index: int
    prompt: str
    expected: str
    answers: tuple[tuple[str, ItemResult], ...]
    change: Literal["gained", "lost", "same"]


@dataclass(frozen=True)
class ReportView:
    report: Report
    arms: tuple[ArmRow, ...]
    plot: IntervalPlot
    verdict: str
    comparison: Comparison | None
    indicative: bool


def view_of(report: Report, criterion: Criterion | None) -> ReportView:
    """Prepare the report for the page. Without a criterion the plot has no rule."""
    metric = report.spec.evaluation.metric
    arms = tuple(
        ArmRow(
            label=ARM_LABELS[arm.arm],
            report=arm,
            score=arm.score(metric),
            prompt_tokens=arm.mean_prompt_tokens,
            output_tokens=sum(item.output_tokens for item in arm.items) / len(arm.items),
        )
        for arm in report.arms
    )
    threshold = float(criterion.threshold) if criterion and criterion.metric is metric else None
    return ReportView(
        report=report,
        arms=arms,
        plot=interval_plot(
            [(row.label, row.score.value, row.score.low, row.score.high) for row in arms],
            threshold=threshold,
            threshold_label=f"criterion {threshold * 100:.0f} %" if threshold is not None else "",
        ),
        verdict=_verdict(arms),
        comparison=next((found for found in report.comparisons if found.arm is Arm.LORA), None),
        indicative=arms[0].score.n < INDICATIVE_BELOW_ROWS,
    )


def _verdict(arms: Sequence[ArmRow]) -> str:
    best = max(arms, key=lambda row: row.score.value)
    said = [f"{row.label} is right on {_share(row.score)}" for row in sorted(arms, key=lambda row: row is not best)]
    return f"On {best.score.n} held-out rows {', '.join(said)}."


def _share(score: Score) -> str:
    return f"{score.value * 100:.0f} % ({score.low * 100:.0f}–{score.high * 100:.0f})"


def paired_rows(report: Report, wanted: RowFilter) -> list[PairedRow]:
    """Return the test rows with every arm's answer; `gained` and `lost` compare the first arm with the last."""
    first, last = report.arms[0], report.arms[-1]
    rows = []
    for position, item in enumerate(first.items):
        before, after = item.correct, last.items[position].correct
        rows.append(
            PairedRow(
                index=item.index,
                prompt=item.prompt[-1].content,
                expected=item.expected,
                answers=tuple((ARM_LABELS[arm.arm], arm.items[position]) for arm in report.arms),
                change="same" if before == after else ("gained" if after else "lost"),
            )
        )
    if wanted == "wrong":
        return [row for row in rows if not row.answers[-1][1].correct]
    return rows if wanted == "all" else [row for row in rows if row.change == wanted]
