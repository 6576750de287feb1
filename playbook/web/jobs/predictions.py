"""What the probe steps of a job foretold, what it came to, and both over all jobs.

`keep` is called by `ingest`, `settle` by `actions.finish`; the pages read the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from django.conf import settings
from django.db.models import Exists, OuterRef, QuerySet

from playbook.contracts.events import Predicted
from playbook.contracts.report import Report
from playbook.web.accounts.models import User
from playbook.web.common.plots_scatter import ScatterPlot, ScatterPoint, scatter_plot
from playbook.web.jobs.models import Attempt, Job, Prediction
from playbook.web.usecases.models import Membership

#: How close a prediction should come, as a share of what was predicted.
TIME_TOLERANCE, MEMORY_TOLERANCE = 0.20, 0.15
#: A plot of more dots shows nothing more.
SHOWN = 500


@dataclass(frozen=True)
class Compared:
    """One foretold quantity beside what it was. `actual` None: not known yet. `stopped_early`: the job ended before the
    steps that were foretold, as it was told to, which no prediction is judged by."""

    predicted: float
    actual: float | None
    tolerance: float
    stopped_early: bool = False

    @property
    def difference(self) -> float | None:
        """(actual - predicted) / predicted: 0.1 means that it took a tenth more. None while there is none to judge."""
        if self.actual is None or not self.predicted or self.stopped_early:
            return None
        return self.actual / self.predicted - 1

    @property
    def difference_text(self) -> str:
        """`+4 %`, `−12 %`; `–` while there is none. With a decimal where it would read as the tolerance and is more."""
        if self.difference is None:
            return "–"
        percent = self.difference * 100
        digits = 1 if not self.holds and abs(round(percent)) <= round(self.tolerance * 100) else 0
        return f"{percent:+.{digits}f} %".replace("-", "−").replace("−0 %", "+0 %")

    @property
    def holds(self) -> bool | None:
        return None if self.difference is None else abs(self.difference) <= self.tolerance


@dataclass(frozen=True)
class Foretold:
    """A prediction as pages show it. `job` is the job that it was made for."""

    job: Job
    prediction: Prediction
    time: Compared
    memory: Compared

    @property
    def cost(self) -> Decimal | None:
        """Predicted, in `prediction.currency`; None when the site has no rate."""
        return _cost(self.prediction.hour_rate, self.prediction.seconds)

    @property
    def actual_cost(self) -> Decimal | None:
        seconds = self.prediction.actual_seconds
        return None if seconds is None else _cost(self.prediction.hour_rate, seconds)


def keep(attempt: Attempt, event: Predicted) -> None:
    """Keep what an attempt foretells, with the rate of this day; a second prediction replaces the first."""
    Prediction.objects.update_or_create(
        attempt=attempt,
        defaults={
            "after_steps": event.after_steps,
            "seconds": event.seconds,
            "seconds_per_step": event.seconds_per_step,
            "peak_memory_bytes": event.peak_memory_bytes,
            "hour_rate": settings.PLAYBOOK_GPU_HOUR_RATE,
            "currency": settings.PLAYBOOK_CURRENCY,
        },
    )


def settle(attempt: Attempt, report: Report) -> None:
    """Note beside the attempt's prediction, if it made one, what the report says of time and memory."""
    Prediction.objects.filter(attempt=attempt).update(
        actual_seconds=(report.finished_at - report.started_at).total_seconds(),
        stopped_early=report.training.stopped_early if report.training else False,
        actual_peak_memory_bytes=report.training.peak_memory_bytes if report.training else None,
    )


def of_attempt(attempt: Attempt | None) -> Foretold | None:
    """Return the prediction of an attempt, None before there is one. One query."""
    if attempt is None:
        return None
    found = Prediction.objects.filter(attempt=attempt).select_related("attempt__job").first()
    return foretold(found) if found else None


def settled(user: User) -> QuerySet[Prediction]:
    """Return the newest `SHOWN` predictions whose outcome is known, of the jobs that the user may see."""
    member = Membership.objects.filter(use_case=OuterRef("attempt__job__use_case"), user=user)
    rows = Prediction.objects.filter(Exists(member), actual_seconds__isnull=False).order_by("-pk")
    return rows.select_related("attempt__job")[:SHOWN]


@dataclass(frozen=True)
class Settled:
    """The numbers of a prediction whose outcome is known. `job` is the key of the job that it was made for."""

    job: int
    time: Compared
    memory: Compared


def numbers_of(rows: QuerySet[Prediction]) -> list[Settled]:
    """Return what is plotted and counted of the predictions, without their jobs. One query."""
    return [
        Settled(job, _time(seconds, actual_seconds, early), _memory(memory, actual_memory))
        for job, seconds, actual_seconds, early, memory, actual_memory in rows.values_list(
            "attempt__job",
            "seconds",
            "actual_seconds",
            "stopped_early",
            "peak_memory_bytes",
            "actual_peak_memory_bytes",
        )
    ]


def foretold(row: Prediction) -> Foretold:
    return Foretold(
        job=row.attempt.job,
        prediction=row,
        time=_time(row.seconds, row.actual_seconds, row.stopped_early),
        memory=_memory(row.peak_memory_bytes, row.actual_peak_memory_bytes),
    )


def _time(predicted: float, actual: float | None, stopped_early: bool) -> Compared:
    return Compared(predicted, actual, TIME_TOLERANCE, stopped_early)


def _memory(predicted: float, actual: float | None) -> Compared:
    return Compared(predicted, actual, MEMORY_TOLERANCE)


@dataclass(frozen=True)
class Tally:
    """How many of the compared predictions came as close as they should."""

    within: int
    compared: int
    tolerance: float

    @property
    def share(self) -> float | None:
        return self.within / self.compared if self.compared else None


def tally(rows: Sequence[Compared], tolerance: float) -> Tally:
    known = [row.holds for row in rows if row.holds is not None]
    return Tally(within=sum(known), compared=len(known), tolerance=tolerance)


def time_plot(rows: Sequence[Settled]) -> ScatterPlot | None:
    points = _points(rows, [row.time for row in rows])
    return scatter_plot("Time", points, tolerance=TIME_TOLERANCE, unit="s")


def memory_plot(rows: Sequence[Settled]) -> ScatterPlot | None:
    """In GB, of 10^9 bytes."""
    return scatter_plot(
        "Peak memory", _points(rows, [row.memory for row in rows], unit=1e9), tolerance=MEMORY_TOLERANCE, unit="GB"
    )


def _points(rows: Sequence[Settled], compared: Sequence[Compared], *, unit: float = 1.0) -> list[ScatterPoint]:
    return [
        ScatterPoint(f"Job {row.job}", one.predicted / unit, one.actual / unit)
        for row, one in zip(rows, compared, strict=True)
        if one.actual and not one.stopped_early
    ]


def _cost(hour_rate: Decimal, seconds: float) -> Decimal | None:
    return hour_rate * Decimal(seconds) / 3600 if hour_rate else None
