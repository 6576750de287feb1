"""Fetching what the pages of a job and its report need, and saying what of it cannot be read."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from playbook.scoring.compare import DifferentRows
from playbook.web.jobs import queries, reports
from playbook.web.jobs.models import Job
from playbook.web.jobs.reports import Read, ReportDamaged
from playbook.web.jobs.specs import UnreadableSpec
from playbook.web.usecases.models import may_write
from playbook.web.usecases.permissions import get_visible, signed_in

Given = ParamSpec("Given")
Asked = TypeVar("Asked", bound=HttpRequest)
View = Callable[Concatenate[Asked, Given], HttpResponse]


def says_what_is_damaged(view: View[Asked, Given]) -> View[Asked, Given]:
    """Answer 409 with the reason when the report was altered on disk, when its arms answered different rows, or when
    the settings of the job are none of this version's."""

    @wraps(view)
    def guarded(request: Asked, /, *args: Given.args, **kwargs: Given.kwargs) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except (ReportDamaged, DifferentRows) as problem:
            return render(request, "jobs/report_damaged.html", {"problem": str(problem)}, status=409)
        except UnreadableSpec as problem:
            job = problem.job
            context = {
                "job": job,
                "reasons": problem.reasons,
                "stored": json.dumps(job.spec, indent=2, ensure_ascii=False),
                "downloads": queries.downloads(job),
                "may_write": may_write(job.use_case.roles_of(signed_in(request))),
            }
            return render(request, "jobs/spec_unreadable.html", context, status=409)

    return guarded


def reported_job(request: HttpRequest, pk: int) -> tuple[Job, Read]:
    """Return a job that has ended, with its newest report.

    Raises Http404 for strangers and without a report, ReportDamaged when its bytes are not those that were recorded.
    """
    jobs = Job.objects.select_related("use_case", "decision", "created_by")
    job = get_visible(signed_in(request), jobs, pk=pk)
    found = reports.read_of(job) if job.is_ended else None
    if found is None:
        raise Http404("this job has no report")
    return job, found
