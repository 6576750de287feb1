"""What the job page shows of one job, live and after its end. Every read is bounded, however long the job ran."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from django.db.models import Max, Min
from django.http import HttpRequest
from django.utils import timezone

from playbook.contracts.events import LogLevel, Preflight
from playbook.contracts.run_spec import OverLength, RunSpec, TrainingSettings
from playbook.contracts.states import WHAT_TO_DO, EndReason, JobState, Stage
from playbook.scoring.compare import DifferentRows
from playbook.web.common.panels import panels_for
from playbook.web.common.plots import LinePlot, line_plot, smoothed
from playbook.web.common.plots_axis import Axis, from_zero, number_text, without_spikes
from playbook.web.jobs import curves, log_lines, merging, playground, predictions, preflight, queries, reports, signs
from playbook.web.jobs.curves import COMPACT_HEIGHT, LOSSES, MEASURES, SPIKING, Curves
from playbook.web.jobs.landmarks import landmarks_of
from playbook.web.jobs.levels import thinned
from playbook.web.jobs.models import Attempt, Curve, Job, Prediction
from playbook.web.jobs.report_page import criterion_of
from playbook.web.jobs.report_table import table_view
from playbook.web.usecases.models import may_write
from playbook.web.usecases.permissions import signed_in

#: More points than pixels help nobody.
PLOT_POINTS, COMPACT_POINTS = 400, 160
#: Of all curves of the machine together, and of each at least: eight GPUs have twenty-six.
TELEMETRY_POINTS, LEAST_POINTS = 1600, 40
#: From so many points on the training loss is drawn with its trend.
SMOOTHED_POINTS = 100
LOG_LINES = 120
#: What is done with rows over max_length, as the end of "Clone the job to …".
OVER_LENGTH = {
    OverLength.DROP: "leave long rows out",
    OverLength.TRUNCATE: "cut them",
    OverLength.REFUSE: "refuse them",
}
STAGE_LABELS = {Stage.DATA: "Data", Stage.TRAINING: "Training", Stage.EVALUATION: "Evaluation"}
#: The two parts of a telemetry curve's name, its device without a number → title, what a value is divided by. The
#: memory of a machine is many times that of its GPUs: on one axis nothing of theirs could be seen.
TELEMETRY: dict[tuple[str, str], tuple[str, float]] = {
    ("gpu", "utilisation_percent"): ("GPU in use, %", 1),
    ("gpu", "memory_used_bytes"): ("GPU memory in use, GB", 1e9),
    ("gpu", "temperature_celsius"): ("GPU temperature, °C", 1),
    ("machine", "cpu_percent"): ("CPU in use, %", 1),
    ("machine", "memory_used_bytes"): ("Main memory in use, GB", 1e9),
}


def context(job: Job, request: HttpRequest) -> dict[str, Any]:
    """Return the context of `jobs/_live.html`: state, stages, progress, signs, curves, and the report once there."""
    user = signed_in(request)
    attempt = job.latest_attempt
    spec = job.run_spec
    announced = queries.announced(attempt)
    points = curves.of_jobs([job], [*LOSSES, *MEASURES], max_points=PLOT_POINTS)[job.pk]
    prediction = predictions.of_attempt(attempt)
    pulse = _pulse(job, attempt, prediction.prediction if prediction else None)
    downloads = list(queries.downloads(job))
    writes = may_write(job.use_case.roles_of(user))
    shown: dict[str, Any] = {
        "job": job,
        "spec": spec,
        "prompt_version": queries.prompt_version(job, spec) if spec.prompt.changes_rows else None,
        "dataset_version": queries.dataset_version(job, spec),
        "attempt": attempt,
        "stages": _stages(job, attempt),
        "percent": attempt.progress_percent if attempt and job.is_active else None,
        "position": Job.objects.with_position().get(pk=job.pk).position if job.state == JobState.QUEUED else None,
        "nobody_can": job.state == JobState.QUEUED and not queries.offers_base_model(job.base_model),
        "signs": signs.signs(
            train=points["train_loss"],
            validation=points["validation_loss"],
            not_finite_step=attempt.not_finite_step if attempt else None,
            preflight=announced.preflight,
            pulse=pulse,
            heard_at=_heard_at(job, attempt, pulse),
            now=timezone.now(),
            ended=EndReason(job.end_reason) if job.end_reason else None,
            keeps_best=spec.training.load_best_model_at_end,
        ),
        "figures": _figures(points),
        "loss_plot": _loss_plot(points, spec.training, state=JobState(job.state)),
        "measures": _measures(points, x_max=spec.training.max_steps),
        "telemetry": _telemetry(attempt),
        "preflight": preflight.view_of(announced.preflight) if announced.preflight else None,
        "settings": preflight.settings_of(announced.configured, spec) if announced.configured else [],
        "configured": announced.configured,
        "prediction": prediction,
        "what_to_do": _what_to_do(job, attempt),
        "may_write": writes,
        "over_length_choices": _over_length_choices(job, spec, announced.preflight) if writes else [],
        "longer_max_length": 2 * spec.training.max_length,
        "downloads": downloads,
        "merged": merging.merged_of(job) if job.is_ended else None,
        "may_merge": any(artifact.name == playground.ADAPTER for artifact in downloads) and merging.may_merge(job),
        "kept_merged": merging.KEPT,
        "may_talk": writes and any(artifact.name == playground.ADAPTER for artifact in downloads),
        "panels": panels_for("job", job, user) if job.is_ended else [],
    }
    return shown | _report(job)


def log_context(job: Job, request: HttpRequest) -> dict[str, Any]:
    """Return the context of `jobs/_log.html`: the last lines, those that hold `?q=` and are of `?level=` alone."""
    search = request.GET.get("q", "").strip()[:200].replace("\x00", "")
    level = request.GET.get("level", "")
    level = level if level in list(LogLevel) else ""
    lines = queries.log_tail(job, lines=LOG_LINES, search=search, level=level)[::-1]
    return {
        "job": job,
        "log": [log_lines.shown(line, search=search) for line in lines],
        "log_attempts": len({line.attempt for line in lines}) > 1,
        "log_days": len({line.at.date() for line in lines}) > 1,
        "log_search": search,
        "log_level": level,
        "log_limit": LOG_LINES,
    }


def _report(job: Job) -> dict[str, Any]:
    if not job.is_ended:
        return {}
    try:
        read = reports.read_of(job)
        if read is None:
            return {}
        return {"read": read, "view": table_view(read.table, criterion=criterion_of(job))}
    except (reports.ReportDamaged, DifferentRows) as problem:
        return {"report_problem": str(problem)}


def _over_length_choices(job: Job, spec: RunSpec, found: Preflight | None) -> list[tuple[str, str]]:
    """Return what else could be done with rows over max_length, where there were any."""
    if job.end_reason != EndReason.ROW_TOO_LONG and signs.truncation(found) is None:
        return []
    return [(choice.value, words) for choice, words in OVER_LENGTH.items() if choice is not spec.training.over_length]


def _what_to_do(job: Job, attempt: Attempt | None) -> str:
    if not job.end_reason:
        return ""
    reason = EndReason(job.end_reason)
    if attempt is None and reason is EndReason.CANCELLED_BY_USER:
        return "It had not begun, so there is nothing to keep. Clone the job to run it after all."
    return WHAT_TO_DO[reason]


def _stages(job: Job, attempt: Attempt | None) -> list[dict[str, str]]:
    """Return the stages with their state: done, now, stopped (where a job ended early) or todo. Without training where
    nothing is trained."""
    reported = Stage(attempt.stage) if attempt and attempt.stage else None
    order = [stage for stage in Stage if stage is not Stage.TRAINING or job.run_spec.trains or stage is reported]
    current = order.index(reported) if reported else -1
    if job.state == JobState.SUCCEEDED:
        current = len(order)
    reached = "stopped" if job.is_ended else "now"
    return [
        {
            "label": STAGE_LABELS[stage],
            "state": "done" if index < current else (reached if index == current else "todo"),
        }
        for index, stage in enumerate(order)
    ]


def _pulse(job: Job, attempt: Attempt | None, prediction: Prediction | None) -> signs.Pulse | None:
    """Return when the last metric came and how long a step takes; None unless the job trains now."""
    if attempt is None or job.state != JobState.RUNNING or attempt.stage != Stage.TRAINING:
        return None
    metrics = Curve.objects.filter(attempt=attempt).exclude(name__contains=".")
    found = metrics.aggregate(
        first=Min("first_at"), last=Max("last_at"), first_step=Min("first_step"), last_step=Max("last_step")
    )
    last: datetime | None = found["last"]
    if last is None:
        return None
    if prediction is not None:
        return signs.Pulse(last, prediction.seconds_per_step)
    steps = found["last_step"] - found["first_step"]
    return signs.Pulse(last, (last - found["first"]).total_seconds() / steps if steps else None)


def _heard_at(job: Job, attempt: Attempt | None, pulse: signs.Pulse | None) -> datetime | None:
    """Return when the attempt last made progress, by this site's clock; None unless a worker is at it."""
    if attempt is None or job.state not in (JobState.VALIDATING_FILES, JobState.RUNNING):
        return None
    heard = (attempt.claimed_at, attempt.progress_at, pulse.last_at if pulse else None)
    return max(at for at in heard if at is not None)


def _loss_plot(points: Curves, training: TrainingSettings, *, state: JobState) -> LinePlot | None:
    """Return the plot of both losses. Over many steps, whose losses jump with their rows, lies the trend."""
    train = points["train_loss"]
    jumps = len(train) >= SMOOTHED_POINTS
    shown = {**points, "train_loss": smoothed(train) if jumps else train}
    return line_plot(
        "Loss",
        {label: shown[name] for name, label in LOSSES.items()},
        x_label="optimizer step",
        x_max=training.max_steps,
        under={LOSSES["train_loss"]: train} if jumps else {},
        axis_of=without_spikes,
        landmarks=landmarks_of(points["validation_loss"], training, state=state),
    )


def _figures(points: Curves) -> list[tuple[str, str]]:
    """Return the last value of each curve, for those who look at numbers: (label, value)."""
    labels = LOSSES | {name: title for name, (title, _) in MEASURES.items()}
    divided = {name: divisor for name, (_, divisor) in MEASURES.items()}
    return [
        (label, number_text(points[name][-1][1] / divided.get(name, 1)))
        for name, label in labels.items()
        if points[name]
    ]


def _measures(points: Curves, *, x_max: float) -> list[LinePlot]:
    plots = [
        _compact(
            title,
            {title: points[name]},
            divisor,
            x_label="optimizer step",
            x_max=x_max,
            axis_of=without_spikes if name in SPIKING else from_zero,
        )
        for name, (title, divisor) in MEASURES.items()
    ]
    return [plot for plot in plots if plot is not None]


def _telemetry(attempt: Attempt | None) -> list[LinePlot]:
    """Return a plot of each kind of figure, one line for each device."""
    if attempt is None:
        return []
    found = curves.of_attempt(attempt, names_with=".", max_points=COMPACT_POINTS)
    most = max(LEAST_POINTS, min(COMPACT_POINTS, TELEMETRY_POINTS // max(1, len(found))))
    plots = []
    for kind, (title, divisor) in TELEMETRY.items():
        devices = {}
        for name, points in found.items():
            device, _, figure = name.partition(".")
            family = device.rstrip("0123456789")
            if (family, figure) == kind:
                number = device.removeprefix(family)
                devices[int(number or 0)] = (f"GPU {number}" if number else device, thinned(points, most))
        named = dict(devices[number] for number in sorted(devices))
        plots.append(_compact(title, named, divisor, x_label="second since the start"))
    return [plot for plot in plots if plot is not None]


def _compact(
    title: str,
    named: Curves,
    divisor: float,
    *,
    x_label: str,
    x_max: float | None = None,
    axis_of: Callable[[Sequence[Sequence[float]]], Axis] = from_zero,
) -> LinePlot | None:
    return line_plot(
        title,
        {
            name: [(step, value / divisor) for step, value in thinned(points, COMPACT_POINTS)]
            for name, points in named.items()
        },
        x_label=x_label,
        x_max=x_max,
        height=COMPACT_HEIGHT,
        axis_of=axis_of,
    )
