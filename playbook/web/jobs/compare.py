"""Several jobs beside each other: loss curves overlaid, settings with their differences, scores with intervals."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from playbook.contracts.dataset import Split
from playbook.contracts.report import Report, Score
from playbook.web.common.plots import IntervalPlot, LinePlot, interval_plot, line_plot
from playbook.web.jobs import curves, reports
from playbook.web.jobs.models import Job
from playbook.web.jobs.setting_fields import setting_text

#: As many as there are colours and dashes that can be told apart.
LIMIT = 6
#: Recent jobs offered to choose from, beside those that are chosen.
OFFERED = 20
PLOT_POINTS = 300
LOSSES = {"train_loss": "Training loss", "validation_loss": "Validation loss"}


@dataclass(frozen=True)
class SettingRow:
    """One setting over all jobs: (value, whether it differs from the first job's)."""

    name: str
    values: tuple[tuple[str, bool], ...]

    @property
    def differs(self) -> bool:
        return any(marked for _, marked in self.values)


@dataclass(frozen=True)
class ScoreRow:
    job: Job
    label: str
    score: Score


@dataclass(frozen=True)
class Comparison:
    """`same_test_set`: the scores were measured on the very same rows, so that they may be compared."""

    jobs: tuple[Job, ...]
    plots: tuple[LinePlot, ...]
    differing: tuple[SettingRow, ...]
    same: tuple[SettingRow, ...]
    scores: tuple[ScoreRow, ...]
    score_plot: IntervalPlot | None
    same_test_set: bool
    problems: tuple[str, ...]


def is_number(text: str) -> bool:
    """True for what a primary key may be: digits that every database column holds."""
    return text.isascii() and text.isdigit() and len(text) <= 18


def numbers(given: Sequence[str]) -> list[int]:
    """Return the distinct numbers of `["1,2", "3"]`, at most `LIMIT`; what is no number is left out.

    >>> numbers(["1,2", "3", "2", "x"])
    [1, 2, 3]
    """
    words = (word.strip() for text in given[:100] for word in text[:1000].split(","))
    return list(dict.fromkeys(int(word) for word in words if is_number(word)))[:LIMIT]


def compare(jobs: Sequence[Job]) -> Comparison:
    """Return the jobs beside each other, in their order. Four queries, however many jobs there are."""
    points = curves.of_jobs(jobs, list(LOSSES), max_points=PLOT_POINTS)
    plots = (
        line_plot(title, {f"Job {job.pk}": points[job.pk][name] for job in jobs}, x_label="optimizer step")
        for name, title in LOSSES.items()
    )
    rows = list(_setting_rows([dict(_flat(job.spec)) for job in jobs]))
    found, problems = reports.reports_of(jobs)
    scores = tuple(_score_rows(jobs, found))
    return Comparison(
        jobs=tuple(jobs),
        plots=tuple(plot for plot in plots if plot is not None),
        differing=tuple(row for row in rows if row.differs),
        same=tuple(row for row in rows if not row.differs),
        scores=scores,
        score_plot=interval_plot(
            [(f"{row.job.pk} · {row.label}", row.score.value, row.score.low, row.score.high) for row in scores]
        )
        if scores
        else None,
        same_test_set=len({job.run_spec.input(Split.TEST).sha256 for job in jobs}) == 1,
        problems=tuple(problems),
    )


def _flat(spec: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield each setting with its dotted name; an input file is named by its split."""
    for name, value in spec.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif name == "inputs":
            for file in value:
                yield f"{file['split']} data", f"{file['sha256'][:12]}, {file['rows']:,} rows"
        else:
            yield f"{prefix}{name}", setting_text(value)


def _setting_rows(settings: Sequence[Mapping[str, str]]) -> Iterator[SettingRow]:
    names = dict.fromkeys(name for one in settings for name in one)
    for name in names:
        values = [one.get(name, "") for one in settings]
        yield SettingRow(name, tuple((value or "–", value != values[0]) for value in values))


def _score_rows(jobs: Sequence[Job], found: Mapping[int, Report]) -> Iterator[ScoreRow]:
    for job in jobs:
        if (report := found.get(job.pk)) is not None:
            metric = report.spec.evaluation.metric
            for arm in report.arms:
                yield ScoreRow(job, reports.ARM_LABELS[arm.arm], arm.score(metric))
