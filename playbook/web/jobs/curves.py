"""Points of curves: kept one by one and in coarser levels as they come in, read in bounded time.

`keep` is called inside the transaction that holds the attempt's row, by `ingest` and by `actions.heartbeat`.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable
from datetime import datetime

from django.db.models import F, Q

from playbook.web.jobs.levels import MAX_BUCKETS, Bucket, Point, gather, level_for, thinned
from playbook.web.jobs.models import Attempt, Curve, CurveBucket, Job, MetricPoint

#: A curve with at most so many points is read point by point.
MAX_POINTS = 2 * MAX_BUCKETS
Curves = dict[str, list[Point]]
#: What people look at, of the names that trainers give: metric → title, and what a value is divided by.
LOSSES = {"train_loss": "Training loss", "validation_loss": "Validation loss"}
MEASURES: dict[str, tuple[str, float]] = {
    "learning_rate": ("Learning rate", 1),
    "grad_norm": ("Gradient norm", 1),
    "tokens_per_second": ("Tokens per second", 1),
    "peak_memory_bytes": ("Peak memory, GB", 1e9),
}
#: Of these a few values can be thousands of times the others, and would squeeze them to the foot of the plot.
SPIKING = (*LOSSES, "grad_norm")
#: Pixels of a plot of these, small beside that of the loss.
COMPACT_HEIGHT = 180


def keep(attempt: Attempt, points: Iterable[tuple[str, int, float]], *, at: datetime) -> None:
    """Keep `(name, step, value)` points of an attempt; of one name and step the first stays. Five queries."""
    found = list(dict.fromkeys(points))
    if not found:
        return
    MetricPoint.objects.bulk_create(
        (MetricPoint(attempt=attempt, name=name, step=step, value=value) for name, step, value in found),
        ignore_conflicts=True,
    )
    by_name: dict[str, list[Point]] = defaultdict(list)
    for name, step, value in found:
        by_name[name].append((step, value))
    _keep_levels(_extended(attempt, by_name, at), by_name)


def _extended(attempt: Attempt, by_name: dict[str, list[Point]], at: datetime) -> dict[str, Curve]:
    """Make or extend the curves, and return them by name."""
    known = {curve.name: curve for curve in Curve.objects.filter(attempt=attempt, name__in=by_name)}
    for name, points in by_name.items():
        first, last = min(points), max(points)
        curve = known.setdefault(
            name, Curve(attempt=attempt, name=name, first_step=first[0], last_step=-1, last_value=0.0, first_at=at)
        )
        curve.points += len(points)
        curve.first_step = min(curve.first_step, first[0])
        if last[0] >= curve.last_step:
            curve.last_step, curve.last_value = last
        curve.last_at = at
    fresh = [curve for curve in known.values() if curve.pk is None]
    Curve.objects.bulk_create(fresh)
    grown = [curve for curve in known.values() if curve not in fresh]
    Curve.objects.bulk_update(grown, ["points", "first_step", "last_step", "last_value", "last_at"])
    return known


def _keep_levels(curves: dict[str, Curve], by_name: dict[str, list[Point]]) -> None:
    gathered = {
        (curves[name].pk, *key): bucket for name, points in by_name.items() for key, bucket in gather(points).items()
    }
    numbers: dict[int, list[int]] = defaultdict(list)
    for _, level, number in gathered:
        numbers[level].append(number)
    touched = Q()
    for level, found in numbers.items():
        touched |= Q(level=level, bucket__range=(min(found), max(found)))
    for row in CurveBucket.objects.filter(touched, curve__in=[curve.pk for curve in curves.values()]):
        key = row.curve_id, row.level, row.bucket
        if key in gathered:
            kept = Bucket((row.low_step, row.low_value), (row.high_step, row.high_value))
            gathered[key] = kept.joined(gathered[key])
    CurveBucket.objects.bulk_create(
        (
            CurveBucket(
                curve_id=curve,
                level=level,
                bucket=number,
                low_step=bucket.lowest[0],
                low_value=bucket.lowest[1],
                high_step=bucket.highest[0],
                high_value=bucket.highest[1],
            )
            for (curve, level, number), bucket in gathered.items()
        ),
        update_conflicts=True,
        unique_fields=["curve", "level", "bucket"],
        update_fields=["low_step", "low_value", "high_step", "high_value"],
    )


def of_jobs(jobs: Collection[Job], names: Collection[str], *, max_points: int = 400) -> dict[int, Curves]:
    """Return `(step, value)` by job and metric name, steps rising, at most `max_points` each, in three queries.

    A name without points is []. Attempts are joined: a later one resumes from a checkpoint, so from its first step on
    it replaces what the earlier ones recorded.
    """
    curves = list(
        Curve.objects.filter(attempt__job__in=jobs, name__in=names)
        .select_related("attempt")
        .order_by("attempt__job", "attempt__number")
    )
    points = _points(curves)
    joined: dict[int, Curves] = {job.pk: {name: [] for name in names} for job in jobs}
    first_steps: dict[int, int] = {}
    for curve in curves:
        known = first_steps.get(curve.attempt_id, curve.first_step)
        first_steps[curve.attempt_id] = min(known, curve.first_step)
    cut: set[int] = set()
    for curve in curves:
        of_job = joined[curve.attempt.job_id]
        if curve.attempt_id not in cut:
            cut.add(curve.attempt_id)
            for name, earlier in of_job.items():
                of_job[name] = [point for point in earlier if point[0] < first_steps[curve.attempt_id]]
        of_job[curve.name] += points[curve.pk]
    return {job: {name: thinned(found, max_points) for name, found in of.items()} for job, of in joined.items()}


def of_attempt(attempt: Attempt, *, names_with: str, max_points: int = 200) -> Curves:
    """Return the attempt's curves whose name contains `names_with`, by name. Three queries."""
    curves = list(Curve.objects.filter(attempt=attempt, name__contains=names_with))
    points = _points(curves)
    return {curve.name: thinned(points[curve.pk], max_points) for curve in curves}


def _points(curves: Collection[Curve]) -> dict[int, list[Point]]:
    """Return the points of each curve, all of a short one, the extremes of the buckets of a long one."""
    found: dict[int, list[Point]] = {curve.pk: [] for curve in curves}
    short = [curve.pk for curve in curves if curve.points <= MAX_POINTS]
    if short:
        rows = MetricPoint.objects.filter(attempt__curves__in=short, attempt__curves__name=F("name")).order_by("step")
        for pk, step, value in rows.values_list("attempt__curves", "step", "value"):
            found[pk].append((step, value))
    by_level: dict[int, list[int]] = defaultdict(list)
    for curve in curves:
        if curve.points > MAX_POINTS:
            by_level[level_for(curve.first_step, curve.last_step)].append(curve.pk)
    if by_level:
        wanted = Q()
        for level, pks in by_level.items():
            wanted |= Q(level=level, curve__in=pks)
        buckets = CurveBucket.objects.filter(wanted).order_by("bucket")
        fields = "curve_id", "low_step", "low_value", "high_step", "high_value"
        for pk, low_step, low, high_step, high in buckets.values_list(*fields):
            found[pk].extend(Bucket((low_step, low), (high_step, high)).points())
        _end_with_the_last(curves, found)
    return found


def _end_with_the_last(curves: Collection[Curve], found: dict[int, list[Point]]) -> None:
    """The last point need not be an extreme of its bucket, and people look at it first."""
    for curve in curves:
        points = found[curve.pk]
        if points and points[-1][0] < curve.last_step:
            points.append((curve.last_step, curve.last_value))
