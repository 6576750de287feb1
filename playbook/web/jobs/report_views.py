"""The pages of a report: the report itself and for printing, its rows, one row whole, and its exports."""

from collections.abc import Callable
from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from playbook.contracts.report import ArmReport
from playbook.scoring import export
from playbook.scoring.words import arm_label
from playbook.web.jobs import report_rows
from playbook.web.jobs.report_access import reported_job, says_what_is_damaged
from playbook.web.jobs.report_page import headline_of, page_of
from playbook.web.jobs.reports import Read
from playbook.web.usecases.permissions import signed_in

#: suffix → content type, what writes it.
EXPORTS: dict[str, tuple[str, Callable[[Read], str]]] = {
    "csv": ("text/csv; charset=utf-8", lambda read: export.table_csv(read.table)),
    "json": ("application/json", lambda read: export.table_json(read.table, read.verdict)),
    "md": ("text/markdown; charset=utf-8", lambda read: export.table_markdown(read.table, read.verdict)),
    "rows.csv": ("text/csv; charset=utf-8", lambda read: export.rows_csv(read.report.arms)),
}


@require_safe
@says_what_is_damaged
def report(request: HttpRequest, pk: int) -> HttpResponse:
    job, read = reported_job(request, pk)
    context = {"job": job, "page": page_of(job, read, signed_in(request))}
    return render(request, "jobs/job_report.html", context)


@require_safe
@says_what_is_damaged
def printed(request: HttpRequest, pk: int) -> HttpResponse:
    """The report on paper: nothing folded, nothing to press, and where it comes from."""
    job, read = reported_job(request, pk)
    context = {"job": job, "page": page_of(job, read, signed_in(request)), "printed": True}
    return render(request, "jobs/job_report_print.html", context)


@require_safe
@says_what_is_damaged
def export_table(request: HttpRequest, pk: int, suffix: str) -> HttpResponse:
    """The table as CSV, JSON or Markdown, or every row as CSV."""
    job, read = reported_job(request, pk)
    if suffix not in EXPORTS:
        raise Http404(f"a report is exported as {', '.join(EXPORTS)}")
    content_type, write = EXPORTS[suffix]
    headers = {"Content-Disposition": f'attachment; filename="job-{job.pk}-report.{suffix}"'}
    return HttpResponse(write(read), content_type=content_type, headers=headers)


@require_safe
@says_what_is_damaged
def rows(request: HttpRequest, pk: int) -> HttpResponse:
    """The measured rows with every arm's answer: all, or those of one kind, as `?arm=` answered them."""
    job, read = reported_job(request, pk)
    kind = request.GET.get("show", "all")
    kind = kind if kind in report_rows.KINDS else "all"
    arm, baseline = _chosen(request, read)
    chosen = report_rows.indices_of(read.report, kind, arm=arm, baseline=baseline) if arm else []
    page = Paginator(chosen, report_rows.PER_PAGE).get_page(request.GET.get("page"))
    method = read.report.spec.method
    context: dict[str, Any] = {
        "job": job,
        "split": read.table.split,
        "page": page,
        "rows": report_rows.views(read.report.arms, list(page), method=method),
        "wanted": kind,
        "kinds": report_rows.KINDS,
        "arm": arm.arm if arm else "",
        "arm_label": arm_label(arm.arm, method) if arm else "",
        "baseline_label": arm_label(baseline.arm, method) if baseline else "",
        "arms": [(found.arm, arm_label(found.arm, method)) for found in read.report.arms if found.items],
        "query": f"show={kind}&arm={arm.arm if arm else ''}&",
    }
    return render(request, "jobs/job_rows.html", context)


@require_safe
@says_what_is_damaged
def row(request: HttpRequest, pk: int, index: int) -> HttpResponse:
    """One row with every text in full, and what each arm was asked."""
    job, read = reported_job(request, pk)
    found = report_rows.views(read.report.arms, [index], method=read.report.spec.method, limit=None)[0]
    if not found.answers:
        raise Http404(f"no arm answered row {index + 1}")
    return render(request, "jobs/job_row.html", {"job": job, "split": read.table.split, "row": found})


def _chosen(request: HttpRequest, read: Read) -> tuple[ArmReport | None, ArmReport | None]:
    """Return the arm that `?arm=` names, else the one that the report speaks of, and the best prompt."""
    table = read.table
    headline = headline_of(read) or (table.lines[0] if table.lines else None)
    named = next((line for line in table.lines if line.arm == request.GET.get("arm", "")), headline)
    return named.report if named else None, table.baseline.report if table.baseline else None
