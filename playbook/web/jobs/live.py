"""What the job page shows of one job, live and after its end."""

from typing import Any

from django.http import HttpRequest

from playbook.contracts.states import WHAT_TO_DO, EndReason, JobState, Stage
from playbook.web.common.panels import panels_for
from playbook.web.common.plots import LinePlot, line_plot
from playbook.web.jobs import queries, reports
from playbook.web.jobs.models import Attempt, Job
from playbook.web.usecases.models import may_write
from playbook.web.usecases.permissions import signed_in

#: More points than pixels help nobody.
PLOT_POINTS = 400
LOG_LINES = 120
STAGE_LABELS = {Stage.DATA: "Data", Stage.TRAINING: "Training", Stage.EVALUATION: "Evaluation"}


def context(job: Job, request: HttpRequest) -> dict[str, Any]:
    """Return the context of `jobs/_live.html`: state, stages, progress, curves, log, and the report once there."""
    user = signed_in(request)
    attempt = job.latest_attempt
    shown: dict[str, Any] = {
        "job": job,
        "spec": job.run_spec,
        "attempt": attempt,
        "stages": _stages(job, attempt),
        "percent": attempt.progress_percent if attempt and job.is_active else None,
        "position": Job.objects.with_position().get(pk=job.pk).position if job.state == JobState.QUEUED else None,
        "nobody_can": job.state == JobState.QUEUED and not queries.offers_base_model(job.base_model),
        "loss_plot": _loss_plot(job),
        "log": queries.log_tail(job, lines=LOG_LINES)[::-1],
        "configured": queries.configuration(job),
        "what_to_do": WHAT_TO_DO[EndReason(job.end_reason)] if job.end_reason else "",
        "may_write": may_write(job.use_case.roles_of(user)),
        "downloads": queries.downloads(job),
        "panels": panels_for("job", job, user) if job.is_ended else [],
    }
    return shown | _report(job)


def _report(job: Job) -> dict[str, Any]:
    if not job.is_ended:
        return {}
    try:
        found = reports.report_of(job)
    except reports.ReportDamaged as damaged:
        return {"report_problem": str(damaged)}
    if found is None:
        return {}
    criterion = job.decision.criterion if job.decision else None
    view = reports.view_of(found[1], criterion)
    return {"report": view, "report_sha256": found[0].sha256, "criterion": criterion}


def _stages(job: Job, attempt: Attempt | None) -> list[dict[str, str]]:
    """Return the three stages with their state: done, now or todo."""
    order = list(Stage)
    current = order.index(Stage(attempt.stage)) if attempt and attempt.stage else -1
    if job.state == JobState.SUCCEEDED:
        current = len(order)
    return [
        {
            "label": STAGE_LABELS[stage],
            "state": "done" if index < current else ("now" if index == current and not job.is_ended else "todo"),
        }
        for index, stage in enumerate(order)
    ]


def _loss_plot(job: Job) -> LinePlot | None:
    names = {"train_loss": "Training loss", "validation_loss": "Validation loss"}
    curves = queries.curve(job, list(names), max_points=PLOT_POINTS)
    return line_plot(
        "Loss",
        {label: curves[name] for name, label in names.items()},
        x_label="optimizer step",
        x_max=job.run_spec.training.max_steps,
    )
