"""Pages of jobs: the list, the launch form with its estimate, one job live and with its report, its files."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseStopPolling

from playbook.contracts.report import Report
from playbook.web.common import blobs
from playbook.web.common.content import library
from playbook.web.common.permissions import Conflict
from playbook.web.common.requests import HtmxRequest, wants_fragment
from playbook.web.datasets.models import Dataset
from playbook.web.decisions.models import Decision, Status
from playbook.web.jobs import actions, live, queries, reports
from playbook.web.jobs.estimate import Estimate, estimate
from playbook.web.jobs.forms import LaunchForm
from playbook.web.jobs.models import EventChunk, Job, Worker
from playbook.web.usecases.models import UseCase
from playbook.web.usecases.permissions import get_use_case, get_visible, require_role, signed_in

ROWS_PER_PAGE = 20


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    actions.reap_expired_leases()
    jobs = Job.objects.for_member(signed_in(request)).select_related("use_case", "decision", "created_by")
    context = {
        "active": jobs.active().with_attempts(),
        "queued": jobs.queued().with_position(),
        "ended": Paginator(jobs.ended(), 30).get_page(request.GET.get("page")),
        "online_workers": Worker.objects.online().count(),
    }
    return render(request, "jobs/job_list.html", context)


@require_safe
def choose(request: HttpRequest) -> HttpResponse:
    """New job without a context: choose an accepted decision, or a use case to explore with.

    `?recipe=` is handed on to the launch form: articles link to here with one.
    """
    user = signed_in(request)
    context = {
        "decisions": Decision.objects.visible_to(user).filter(status=Status.ACCEPTED).select_related("use_case"),
        "use_cases": UseCase.objects.for_member(user),
        "recipe": library().recipes.get(request.GET.get("recipe", "")),
    }
    return render(request, "jobs/job_choose.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HtmxRequest) -> HttpResponse:
    use_case, decision = _launch_target(request)
    user = signed_in(request)
    require_role(user, use_case)
    launching = request.method == "POST"
    form = LaunchForm(
        request.POST if launching else _initial(request, use_case, decision),
        use_case=use_case,
        recipes=dict(library().recipes),
    )
    if form.is_valid() and launching:
        try:
            return redirect(_launch(request, form, use_case, decision))
        except Conflict as conflict:
            form.add_error(None, str(conflict))
    context = {
        "form": form,
        "use_case": use_case,
        "decision": decision,
        "estimate": _estimate(form),
        "online_workers": Worker.objects.online(),
    }
    template = "jobs/_estimate.html" if wants_fragment(request) and not launching else "jobs/job_form.html"
    return render(request, template, context, status=422 if launching else 200)


@require_safe
def detail(request: HtmxRequest, pk: int) -> HttpResponse:
    actions.reap_expired_leases()
    job = _job(request, pk)
    if wants_fragment(request):
        response = render(request, "jobs/_live.html", live.context(job, request))
        return HttpResponseStopPolling(response.content) if job.is_ended else response
    return render(request, "jobs/job_detail.html", live.context(job, request))


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    job = _job(request, pk)
    require_role(signed_in(request), job.use_case)
    try:
        actions.request_cancel(job, actor=signed_in(request))
    except Conflict as conflict:
        messages.error(request, str(conflict))
    return redirect(job)


@require_safe
def rows(request: HttpRequest, pk: int) -> HttpResponse:
    """Every test row with every arm's answer, filtered by what changed."""
    job = _job(request, pk)
    found = _report_or_404(job)
    wanted = next((name for name in reports.ROW_FILTERS if name == request.GET.get("show")), reports.ROW_FILTERS[0])
    page = Paginator(reports.paired_rows(found, wanted), ROWS_PER_PAGE).get_page(request.GET.get("page"))
    context = {"job": job, "page": page, "wanted": wanted, "filters": reports.ROW_FILTERS}
    return render(request, "jobs/job_rows.html", context)


@require_safe
def artifact(request: HttpRequest, pk: int, name: str) -> FileResponse:
    """Download one artifact of the job: the adapter, the report."""
    job = _job(request, pk)
    stored = get_object_or_404(queries.downloads(job), name=name)
    try:
        file = blobs.open_blob(stored.sha256)
    except FileNotFoundError:
        raise Http404(f"{name} is gone from the data folder") from None
    return FileResponse(file, as_attachment=True, filename=f"job-{job.pk}-{name}")


@require_safe
def events(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """The event file of the newest attempt, as the trainer wrote it."""
    job = _job(request, pk)
    chunks = EventChunk.objects.filter(attempt=job.latest_attempt).values_list("data", flat=True)
    return StreamingHttpResponse(
        (bytes(chunk) for chunk in chunks.iterator(chunk_size=20)),
        content_type="application/jsonl",
        headers={"Content-Disposition": f'attachment; filename="job-{pk}-events.jsonl"'},
    )


@require_safe
def workers(request: HttpRequest) -> HttpResponse:
    return render(request, "jobs/worker_list.html", {"workers": Worker.objects.all()})


def _job(request: HttpRequest, pk: int) -> Job:
    jobs = Job.objects.select_related("use_case", "decision", "created_by", "cancel_requested_by").with_attempts()
    return get_visible(signed_in(request), jobs, pk=pk)


def _report_or_404(job: Job) -> Report:
    try:
        found = reports.report_of(job)
    except reports.ReportDamaged as damaged:
        raise Http404(str(damaged)) from None
    if found is None:
        raise Http404("this job has no report")
    return found[1]


def _launch_target(request: HttpRequest) -> tuple[UseCase, Decision | None]:
    """Return what the address names: `?decision=<number>` or `?use_case=<slug>`. Raises Http404."""
    user = signed_in(request)
    number, slug = request.GET.get("decision", ""), request.GET.get("use_case", "")
    if number.isdigit():
        decision = get_visible(user, Decision.objects.select_related("use_case"), number=int(number))
        return decision.use_case, decision
    if not slug:
        raise Http404("a job belongs to a decision or to a use case; name one")
    return get_use_case(user, slug), None


def _initial(request: HttpRequest, use_case: UseCase, decision: Decision | None) -> dict[str, str]:
    """Data for a form that is valid at once, so that the estimate is there before anything is changed."""
    recipes = list(library().recipes)
    first = Dataset.objects.for_use_case(use_case).filter(versions__isnull=False).first()
    title = f"LoRA for {decision.title if decision else use_case.name}"[:200]
    defaults = {"title": title, "recipe": recipes[0] if recipes else "", "dataset": str(first.pk) if first else ""}
    given = {key: request.GET[key] for key in request.GET if key not in ("decision", "use_case")}
    return defaults | given


def _estimate(form: LaunchForm) -> Estimate | None:
    if not form.is_valid():
        return None
    spec = form.cleaned_data["spec"]
    model = library().base_models.get(spec.base_model.id)
    return estimate(spec, parameters=model.parameters) if model else None


def _launch(request: HttpRequest, form: LaunchForm, use_case: UseCase, decision: Decision | None) -> Job:
    estimated = _estimate(form)
    return actions.launch_job(
        use_case=use_case,
        created_by=signed_in(request),
        title=form.cleaned_data["title"],
        spec=form.cleaned_data["spec"],
        recipe=form.cleaned_data["recipe"],
        decision=decision,
        estimated_seconds=round(estimated.seconds) if estimated else None,
    )
