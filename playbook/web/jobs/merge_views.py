"""Pages of merged models: ask for one, watch it being made, download it."""

from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from playbook.contracts.merging import MERGED
from playbook.contracts.states import WHAT_TO_DO, EndReason, JobState
from playbook.web.common.permissions import Conflict
from playbook.web.common.requests import HtmxRequest, wants_fragment
from playbook.web.jobs import actions, live, merging, queries
from playbook.web.jobs.models import Job, JobKind
from playbook.web.jobs.report_access import says_what_is_damaged
from playbook.web.jobs.views import fragment, visible_job
from playbook.web.usecases.models import may_write
from playbook.web.usecases.permissions import require_role, signed_in


@require_POST
@says_what_is_damaged
def merge(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask for the merged model of a run."""
    source = visible_job(request, pk)
    require_role(signed_in(request), source.use_case)
    try:
        made = merging.request_merge(source, actor=signed_in(request))
    except Conflict as conflict:
        messages.error(request, str(conflict))
        return redirect(source)
    return redirect(made.job)


@require_safe
def merged(request: HtmxRequest, pk: int) -> HttpResponse:
    """A merge on its way: state, progress, log, and at the end the file and how it compared."""
    actions.reap_expired_leases()
    job = visible_job(request, pk)
    if job.kind != JobKind.MERGE:
        raise Http404(f"job {pk} makes no merged model")
    if wants_fragment(request):
        return fragment(request, job, "jobs/_merge.html", _context)
    return render(request, "jobs/merge_detail.html", _context(job, request) | live.log_context(job, request))


def _context(job: Job, request: HttpRequest) -> dict[str, Any]:
    attempt = job.latest_attempt
    waiting = job.state == JobState.QUEUED
    return {
        "job": job,
        "merge": job.merge,
        "check": merging.check_of(job.merge),
        "file": queries.downloads(job).filter(name=MERGED).first(),
        "attempt": attempt,
        "percent": attempt.progress_percent if attempt and job.is_active else None,
        "position": Job.objects.with_position().get(pk=job.pk).position if waiting else None,
        "nobody_can": waiting and not queries.offers_base_model(job.base_model),
        "what_to_do": WHAT_TO_DO[EndReason(job.end_reason)] if job.end_reason else "",
        "kept": merging.KEPT,
        "may_write": may_write(job.use_case.roles_of(signed_in(request))),
    }
