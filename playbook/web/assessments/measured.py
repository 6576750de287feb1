"""Answers that a measurement gave: is what was measured still what stands, and what else could be chosen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from playbook.contracts.dataset import Split
from playbook.library.question import Measured
from playbook.web.assessments.evidence import Piece, ReportEvidence, digest_of, piece_of
from playbook.web.assessments.models import Answer
from playbook.web.common.measurements import Measurement, newest_reports
from playbook.web.datasets.models import SplitFile


def pieces_of(answer: Answer | None) -> list[Piece]:
    """Return the evidence of an answer as a page shows it; reports that were replaced say so."""
    if answer is None:
        return []
    reports = [piece for piece in answer.pieces if isinstance(piece, ReportEvidence)]
    reasons = stale_reasons([report.measurement for report in reports])
    stale = {digest_of(report): why for report, why in zip(reports, reasons, strict=True)}
    return [piece_of(piece, answer.assessment_id, stale=stale.get(digest_of(piece), ())) for piece in answer.pieces]


@dataclass(frozen=True)
class Offer:
    """A measurement that would answer a question, and what it would answer."""

    measurement: Measurement
    answer: str

    @property
    def key(self) -> str:
        """Names it in a form: the job alone, for a question asks for one arm and one metric."""
        return str(self.measurement.job)


def stale_reasons(measurements: Sequence[Measurement]) -> list[tuple[str, ...]]:
    """Return for each measurement why it does not stand any more; empty while it does.

    Number and interval come from the report, so a report that was replaced changes them. Three queries, whatever the
    number of measurements; none without any.
    """
    if not measurements:
        return []
    reports = newest_reports({found.job for found in measurements})
    replaced = _replaced_test_sets({found.test_set_sha256 for found in measurements})
    found = []
    for measurement in measurements:
        reasons = []
        report = reports.get(measurement.job)
        if report is None:
            reasons.append(f"The report of job {measurement.job} is gone.")
        elif report != measurement.report_sha256:
            reasons.append(f"The report of job {measurement.job} was replaced, so number and interval may differ.")
        if newer := replaced.get(measurement.test_set_sha256):
            reasons.append(f"{newer} has another test set, {measurement.test_set_sha256[:12]} is no longer current.")
        found.append(tuple(reasons))
    return found


def stale_answers(answers: Mapping[str, Answer]) -> dict[str, tuple[str, ...]]:
    """Return for each answer that a measurement gave why it does not stand any more: question id → reasons, none while
    it does. As many queries as `stale_reasons`."""
    measured = {name: found for name, answer in answers.items() if (found := answer.measured)}
    return dict(zip(measured, stale_reasons(list(measured.values())), strict=True))


def offers_of(measurements: Sequence[Measurement], measured: Measured | None) -> list[Offer]:
    """Return those of the measurements that answer a question which asks for `measured`."""
    if measured is None:
        return []
    return [
        Offer(one, measured.answer(low=one.low, high=one.high))
        for one in measurements
        if (one.arm, one.metric) == (measured.arm.value, measured.metric.value)
    ]


def _replaced_test_sets(hashes: set[str]) -> dict[str, str]:
    """Return hash → `“Tickets” version 3`, for test sets that no dataset has in its newest version any more."""
    files = SplitFile.objects.filter(split=Split.TEST)
    holders = set(files.filter(sha256__in=hashes).values_list("sha256", "version__dataset"))
    newest = {
        dataset: (sha256, f"“{name}” version {number}")
        for dataset, sha256, name, number in files.filter(version__dataset__in={dataset for _, dataset in holders})
        .order_by("version__number")
        .values_list("version__dataset", "sha256", "version__dataset__name", "version__number")
    }
    current = {sha256 for sha256, _ in newest.values()}
    return {sha256: newest[dataset][1] for sha256, dataset in holders if sha256 not in current}
