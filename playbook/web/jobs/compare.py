"""Several jobs beside each other: one table of the arms of those that share a test set, loss curves overlaid, settings
with their differences."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any

from playbook.contracts.refusals import setting_text
from playbook.scoring.compare import DifferentRows
from playbook.scoring.figures import counted
from playbook.scoring.runs import run_against_run
from playbook.scoring.table import NotComparable, Table, refuse_incomparable, table_across
from playbook.scoring.verdict import Verdict, verdict_of
from playbook.web.common.plots import LINE_HEIGHT, LinePlot, line_plot
from playbook.web.common.plots_axis import apart, from_zero
from playbook.web.jobs import curves, reports
from playbook.web.jobs.curves import COMPACT_HEIGHT, LOSSES, MEASURES, SPIKING, Curves
from playbook.web.jobs.models import Job
from playbook.web.jobs.report_table import TableView, table_view
from playbook.web.jobs.reports import Read

#: As many curves as can be told apart by their labels, dashes and colours.
LIMIT = 20
#: Jobs whose arms share one table: its intervals take seconds where there are many, and nobody reads a hundred arms.
SCORED = 6
#: Recent jobs offered to choose from, beside those that are chosen.
OFFERED = 20
#: Points of all curves of one plot together, and of each at least and at most.
PLOT_POINTS, LEAST_POINTS, MOST_POINTS = 2400, 80, 300


class Axis(StrEnum):
    """What curves are drawn by: jobs of different lengths can be laid over each other by the share that is done."""

    STEP = "step"
    SHARE = "share"


X_LABELS = {Axis.STEP: "optimizer step", Axis.SHARE: "percent of the run"}


@dataclass(frozen=True)
class SettingRow:
    """One setting over all jobs: (value, whether it differs from the first job's)."""

    name: str
    values: tuple[tuple[str, bool], ...]

    @property
    def differs(self) -> bool:
        return any(marked for _, marked in self.values)


@dataclass(frozen=True)
class Comparison:
    """`view`: the arms of the jobs that measured the same locked rows; None without any. `between`: how their tuned
    arms differ from each other. `refused`: why others that have a report are not in it. `lacking`: which have none."""

    jobs: tuple[Job, ...]
    plots: tuple[LinePlot, ...]
    measures: tuple[LinePlot, ...]
    differing: tuple[SettingRow, ...]
    same: tuple[SettingRow, ...]
    view: TableView | None
    verdict: Verdict | None
    between: tuple[str, ...]
    refused: tuple[str, ...]
    lacking: tuple[str, ...]
    problems: tuple[str, ...]

    @property
    def measured(self) -> str:
        """What `measures` draws, in words: `Learning rate, peak memory`."""
        return ", ".join(plot.title.partition(",")[0] for plot in self.measures).capitalize()


def is_number(text: str) -> bool:
    """True for what a primary key may be: digits that every database column holds."""
    return text.isascii() and text.isdigit() and len(text) <= 18


def numbers(given: Sequence[str]) -> list[int]:
    """Return the distinct numbers of `["1,2", "3"]`; what is no number is left out.

    >>> numbers(["1,2", "3", "2", "x"])
    [1, 2, 3]
    """
    words = (word.strip() for text in given[:100] for word in text[:1000].split(","))
    return list(dict.fromkeys(int(word) for word in words if is_number(word)))


def compare(jobs: Sequence[Job], *, by: Axis = Axis.STEP) -> Comparison:
    """Return the jobs beside each other, in their order. Four queries, however many jobs there are."""
    most = min(MOST_POINTS, max(LEAST_POINTS, PLOT_POINTS // len(jobs)))
    points = curves.of_jobs(jobs, [*LOSSES, *MEASURES], max_points=most)
    plots = (_plot(jobs, points, name, title, by=by) for name, title in LOSSES.items())
    measures = (
        _plot(jobs, points, name, title, by=by, divisor=divisor, height=COMPACT_HEIGHT)
        for name, (title, divisor) in MEASURES.items()
    )
    rows = list(_setting_rows([dict(_flat(job.spec)) for job in jobs]))
    found, problems = reports.reads_of(jobs)
    fitting, refused = _fitting([(f"Job {job.pk}", found[job.pk]) for job in jobs if job.pk in found])
    table = _table_of(fitting) if fitting else None
    lacking = [job for job in jobs if job.pk not in found and not any(f"Job {job.pk}:" in text for text in problems)]
    return Comparison(
        jobs=tuple(jobs),
        plots=tuple(plot for plot in plots if plot is not None),
        measures=tuple(plot for plot in measures if plot is not None),
        differing=tuple(row for row in rows if row.differs),
        same=tuple(row for row in rows if not row.differs),
        view=table_view(table) if table else None,
        verdict=verdict_of(table) if table else None,
        between=_between(fitting) if fitting else (),
        refused=refused,
        lacking=tuple(_lacking(lacking, jobs[0])),
        problems=tuple(problems),
    )


def _plot(
    jobs: Sequence[Job],
    points: Mapping[int, Curves],
    name: str,
    title: str,
    *,
    by: Axis,
    divisor: float = 1,
    height: int = LINE_HEIGHT,
) -> LinePlot | None:
    ends = {job.pk: 100 if by is Axis.STEP else _steps_of(job.spec) for job in jobs}
    named = {
        f"Job {job.pk}": [(100 * step / ends[job.pk], value / divisor) for step, value in points[job.pk][name]]
        for job in jobs
    }
    axis_of = apart if name in SPIKING else from_zero
    return line_plot(title, named, x_label=X_LABELS[by], height=height, axis_of=axis_of)


def _steps_of(spec: Mapping[str, Any]) -> float:
    """Return the steps that a job was to take; 1 where its settings are another version's and say nothing of them."""
    training = spec.get("training")
    steps = training.get("max_steps") if isinstance(training, Mapping) else None
    return steps if isinstance(steps, int | float) and steps > 0 else 1


def _flat(spec: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield each setting with its dotted name; an input file is named by its split, a schema is one."""
    for name, value in spec.items():
        if name == "json_schema" and value is not None:
            yield f"{prefix}{name}", json.dumps(value, ensure_ascii=False, sort_keys=True)
        elif isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        elif name == "inputs":
            for file in value:
                yield f"{file['split']} data", f"{file['sha256'][:12]}, {counted(file['rows'], 'row')}"
        else:
            yield f"{prefix}{name}", setting_text(value)


def _setting_rows(settings: Sequence[Mapping[str, str]]) -> Iterator[SettingRow]:
    names = dict.fromkeys(name for one in settings for name in one)
    for name in names:
        values = [one.get(name, "") for one in settings]
        yield SettingRow(name, tuple((value or "–", value != values[0]) for value in values))


def _fitting(named: Sequence[tuple[str, Read]]) -> tuple[tuple[tuple[str, Read], ...], tuple[str, ...]]:
    """Return the first report and those that may stand beside it in one table, and why the others may not."""
    if not named:
        return (), ()
    (first_name, first), *others = named[:SCORED]
    fitting, refused = [(first_name, first)], []
    for name, other in others:
        try:
            refuse_incomparable(first_name, first.report, name, other.report)
            _table_of((*fitting, (name, other)))
        except (NotComparable, DifferentRows) as reason:
            refused.append(f"{name} is left out. {str(reason)[:1].upper()}{str(reason)[1:]}.")
        else:
            fitting.append((name, other))
    if beyond := [name for name, _ in named[SCORED:]]:
        refused.append(f"Scores of {SCORED} jobs stand in one table. {', '.join(beyond)}: compare fewer jobs.")
    try:
        _table_of(tuple(fitting))
    except DifferentRows as reason:
        return (), (*refused, f"{first_name}: {reason}.")
    return tuple(fitting), tuple(refused)


def _lacking(jobs: Sequence[Job], first: Job) -> Iterator[str]:
    """Say which jobs have no report, and whether one could stand in the table of the first job."""
    texts = {
        (True, True): "no report",
        (False, True): "no report yet",
        (True, False): f"no report, and another test set than job {first.pk}",
        (False, False): f"no report yet, and another test set than job {first.pk}",
    }
    groups: dict[tuple[bool, bool], list[str]] = {}
    for job in jobs:
        kind = job.is_ended, job.test_set_sha256 == first.test_set_sha256
        groups.setdefault(kind, []).append(str(job.pk))
    for kind, names in groups.items():
        if len(names) == 1:
            yield f"Job {names[0]} has {texts[kind]}."
        else:
            yield f"Jobs {', '.join(names[:-1])} and {names[-1]} have {texts[kind]}."


@lru_cache(maxsize=16)
def _table_of(named: tuple[tuple[str, Read], ...]) -> Table:
    """Kept, as its intervals take seconds for thousands of rows."""
    return table_across({name: read.report for name, read in named})


@lru_cache(maxsize=16)
def _between(named: tuple[tuple[str, Read], ...]) -> tuple[str, ...]:
    """Kept, as the table is."""
    return run_against_run(_table_of(named))
