"""Pages of jobs: the list, the launch form with its estimate, one job live and with its report, its files."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django_htmx.http import HttpResponseStopPolling

from playbook.contracts.dataset import Split
from playbook.contracts.states import ACTIVE_STATES, ENDED_STATES, JobState
from playbook.library.policy import Met
from playbook.web.common.content import library
from playbook.web.common.downloads import download
from playbook.web.common.pages import CountedPaginator
from playbook.web.common.permissions import Conflict
from playbook.web.common.requests import HtmxRequest, wants_fragment
from playbook.web.datasets.models import Dataset
from playbook.web.decisions.models import Decision, Status
from playbook.web.jobs import actions, compare, live, predictions, preflight, queries, reports, uploads
from playbook.web.jobs.budget import Budget, budget_of
from playbook.web.jobs.compare import is_number
from playbook.web.jobs.estimate import Estimate, estimate
from playbook.web.jobs.forms import SETTINGS, LaunchForm
from playbook.web.jobs.models import EventChunk, Job, Worker
from playbook.web.jobs.policy import rules_for
from playbook.web.jobs.report_access import says_what_is_damaged
from playbook.web.jobs.setting_fields import typed_value
from playbook.web.jobs.test_sets import Looks, looks_at
from playbook.web.usecases.models import UseCase
from playbook.web.usecases.permissions import get_use_case, get_visible, require_role, signed_in

ROWS_PER_PAGE = 20
#: The parameter of the address that names the page of a list, where it is not the list's own name.
PAGE_OF = {"ended": "page"}
JOBS_PER_PAGE = 30
#: Accepted decisions to choose from; an older one is launched from its own page.
DECISIONS_OFFERED = 30
TARGETS = ("decision", "use_case", "clone")
#: Accepted decisions that a refused launch leads to; and the most characters of settings that an address takes along.
WAYS_OFFERED, ADDRESS_CHARACTERS = 3, 3000
#: What the launch form begins with where they are there: the run of the tutorial.
FIRST_RECIPE, FIRST_DATASET = "support-tickets-lora", "support-tickets"


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    actions.reap_expired_leases()
    mine = Job.objects.for_member(signed_in(request))
    jobs, count = mine.select_related("use_case", "decision").defer("spec"), mine.counted()
    active, ended = (sum(count[state] for state in states) for states in (ACTIVE_STATES, ENDED_STATES))
    lists = {
        "active": CountedPaginator(jobs.active().with_attempts(), JOBS_PER_PAGE, total=active),
        "queued": CountedPaginator(jobs.queued().with_position(), JOBS_PER_PAGE, total=count[JobState.QUEUED]),
        "ended": CountedPaginator(jobs.ended(), JOBS_PER_PAGE, total=ended),
    }
    context = {
        **{name: pages.get_page(request.GET.get(PAGE_OF.get(name, name))) for name, pages in lists.items()},
        "online_workers": Worker.objects.online().count(),
    }
    return render(request, "jobs/job_list.html", context)


@require_safe
def choose(request: HttpRequest) -> HttpResponse:
    """New job without a context: choose an accepted decision, or a use case to explore with.

    `?recipe=` is handed on to the launch form: articles link to here with one.
    """
    user = signed_in(request)
    accepted = Decision.objects.visible_to(user).filter(status=Status.ACCEPTED).select_related("use_case")
    shown = list(accepted[: DECISIONS_OFFERED + 1])
    context = {
        "decisions": shown[:DECISIONS_OFFERED],
        "more": len(shown) > DECISIONS_OFFERED,
        "use_cases": UseCase.objects.for_member(user),
        "recipe": library().recipes.get(request.GET.get("recipe", "")),
    }
    return render(request, "jobs/job_choose.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@says_what_is_damaged
def new(request: HtmxRequest) -> HttpResponse:
    """The launch form, for a decision, a use case, or with `?clone=` a job to repeat with changes."""
    target = _launch_target(request)
    require_role(signed_in(request), target.use_case)
    launching = request.method == "POST"
    form = LaunchForm(
        request.POST if launching else _initial(request, target),
        use_case=target.use_case,
        recipes=dict(library().recipes),
        source=target.source,
    )
    if form.is_valid() and launching:
        try:
            return redirect(_launch(request, form, target))
        except Conflict as conflict:
            form.add_error(None, str(conflict))
    context = {
        "form": form,
        "launching": launching,
        "looks": _looks(request, form),
        "target": target,
        "use_case": target.use_case,
        "decision": target.decision,
        "source": target.source,
        "estimate": (estimated := _estimate(form)),
        "budget": _budget(target, estimated),
        "policy": (met := _policy(form)),
        "ways": _ways(form, target) if met else [],
        "online_workers": Worker.objects.online(),
    }
    template = "jobs/job_form.html"
    if wants_fragment(request) and not launching:
        template = "jobs/_settings.html" if request.htmx.target == "settings" else "jobs/_estimate.html"
    return render(request, template, context, status=422 if launching else 200)


@require_safe
@says_what_is_damaged
def detail(request: HtmxRequest, pk: int) -> HttpResponse:
    actions.reap_expired_leases()
    job = visible_job(request, pk)
    if not job.is_run:
        return redirect(job)
    if wants_fragment(request):
        return fragment(request, job, "jobs/_live.html", live.context)
    context = live.context(job, request) | live.log_context(job, request)
    context["policy"] = rules_for(job.run_spec) if job.decision_id else ()
    return render(request, "jobs/job_detail.html", context)


def fragment(
    request: HtmxRequest, job: Job, template: str, context: Callable[[Job, HttpRequest], dict[str, Any]]
) -> HttpResponse:
    """Answer one of the two parts of a job's page that poll, the log or `template`; the last answer after the end stops
    the polling."""
    if request.htmx.target == "log-lines":
        response = render(request, "jobs/_log.html", live.log_context(job, request))
    else:
        response = render(request, template, context(job, request))
    return HttpResponseStopPolling(response.content) if job.is_ended else response


@require_safe
def samples(request: HttpRequest, pk: int) -> HttpResponse:
    """Every sample row of the preflight, token by token, with what the loss sees."""
    job = visible_job(request, pk)
    found = queries.announced(job.latest_attempt).preflight
    if found is None:
        raise Http404("this job has no preflight yet")
    view = preflight.view_of(found, rows=len(found.samples))
    return render(request, "jobs/job_samples.html", {"job": job, "preflight": view})


@require_safe
def foretold(request: HttpRequest) -> HttpResponse:
    """Predicted against actual time and memory, over all jobs that the reader may see."""
    settled = predictions.settled(signed_in(request))
    rows = predictions.numbers_of(settled)
    page = CountedPaginator(settled, ROWS_PER_PAGE, total=len(rows)).get_page(request.GET.get("page"))
    shown = [predictions.foretold(row) for row in page]
    context = {
        "page": page,
        "foretold": shown,
        "costs": any(row.cost is not None for row in shown),
        "plots": [plot for plot in (predictions.time_plot(rows), predictions.memory_plot(rows)) if plot],
        "time": predictions.tally([row.time for row in rows], predictions.TIME_TOLERANCE),
        "memory": predictions.tally([row.memory for row in rows], predictions.MEMORY_TOLERANCE),
    }
    return render(request, "jobs/job_predictions.html", context)


@require_POST
def cancel(request: HttpRequest, pk: int) -> HttpResponse:
    job = visible_job(request, pk)
    require_role(signed_in(request), job.use_case)
    try:
        actions.request_cancel(job, actor=signed_in(request))
    except Conflict as conflict:
        messages.error(request, str(conflict))
    return redirect(job)


@require_safe
def artifact(request: HttpRequest, pk: int, name: str) -> HttpResponseBase:
    """Download one artifact of the job: the adapter, or the report unless it was altered."""
    job = visible_job(request, pk)
    stored = get_object_or_404(queries.downloads(job), name=name)
    if name == uploads.REPORT:
        return _report_file(request, job, stored.sha256)
    try:
        return download(request, sha256=stored.sha256, filename=f"job-{job.pk}-{name}")
    except FileNotFoundError:
        raise Http404(f"{name} is gone from the data folder") from None


@says_what_is_damaged
def _report_file(request: HttpRequest, job: Job, sha256: str) -> HttpResponse:
    headers = {"Content-Disposition": f'attachment; filename="job-{job.pk}-{uploads.REPORT}"'}
    return HttpResponse(reports.bytes_of(sha256), content_type="application/json", headers=headers)


@require_safe
def events(request: HttpRequest, pk: int) -> StreamingHttpResponse:
    """The event file of the newest attempt, as the trainer wrote it."""
    job = visible_job(request, pk)
    chunks = EventChunk.objects.filter(attempt=job.latest_attempt).values_list("data", flat=True)
    return StreamingHttpResponse(
        (bytes(chunk) for chunk in chunks.iterator(chunk_size=20)),
        content_type="application/jsonl",
        headers={"Content-Disposition": f'attachment; filename="job-{pk}-events.jsonl"'},
    )


@require_safe
def comparison(request: HttpRequest) -> HttpResponse:
    """Curves, settings and scores of the jobs in `?jobs=1,2,3` beside each other, and a list to choose them from.

    `?by=share` lays the curves over each other by the share of its steps that each job has done.
    """
    jobs = Job.objects.for_member(signed_in(request)).runs().select_related("use_case")
    named = compare.numbers(request.GET.getlist("jobs"))
    wanted = named[: compare.LIMIT]
    by = compare.Axis.SHARE if request.GET.get("by") == compare.Axis.SHARE else compare.Axis.STEP
    chosen = sorted(jobs.filter(pk__in=wanted), key=lambda job: wanted.index(job.pk))
    context = {
        "chosen": chosen,
        "missing": len(wanted) - len(chosen),
        "named": len(named),
        "compared": compare.compare(chosen, by=by) if chosen else None,
        "by": by,
        "query": ",".join(str(job.pk) for job in chosen),
        "offered": [*chosen, *jobs.exclude(pk__in=wanted).order_by("-pk")[: compare.OFFERED]],
        "limit": compare.LIMIT,
    }
    return render(request, "jobs/job_compare.html", context)


@require_safe
def workers(request: HttpRequest) -> HttpResponse:
    return render(request, "jobs/worker_list.html", {"workers": Worker.objects.all()})


def visible_job(request: HttpRequest, pk: int) -> Job:
    jobs = Job.objects.select_related("use_case", "decision", "created_by", "cancel_requested_by").with_attempts()
    return get_visible(signed_in(request), jobs, pk=pk)


@dataclass(frozen=True)
class LaunchTarget:
    """What a job is launched for. `query`: how the address names it."""

    query: str
    use_case: UseCase
    decision: Decision | None = None
    source: Job | None = None


def _launch_target(request: HttpRequest) -> LaunchTarget:
    """Return what the address names: `?decision=<number>`, `?use_case=<slug>` or `?clone=<job>`. Raises Http404."""
    user = signed_in(request)
    given = {name: request.GET.get(name, "") for name in TARGETS}
    if is_number(given["clone"]):
        source = get_visible(user, Job.objects.runs().select_related("use_case", "decision"), pk=int(given["clone"]))
        decision = source.decision if source.decision and source.decision.status == Status.ACCEPTED else None
        return LaunchTarget(f"clone={source.pk}", source.use_case, decision, source)
    if is_number(given["decision"]):
        decision = get_visible(user, Decision.objects.select_related("use_case"), number=int(given["decision"]))
        return LaunchTarget(f"decision={decision.number}", decision.use_case, decision)
    if not given["use_case"]:
        raise Http404("a job belongs to a decision or to a use case; name one")
    use_case = get_use_case(user, given["use_case"])
    return LaunchTarget(f"use_case={use_case.slug}", use_case)


def _initial(request: HttpRequest, target: LaunchTarget) -> QueryDict:
    """Data for a form that is valid at once, so that the estimate is there before anything is changed."""
    data = request.GET.copy()
    for name in TARGETS:
        data.pop(name, None)
    for name, value in (_of_source(target.source) if target.source else _defaults(target)).items():
        if name not in data:
            data.setlist(name, value if isinstance(value, list) else [value])
    return data


def _defaults(target: LaunchTarget) -> dict[str, Any]:
    recipes = sorted(library().recipes, key=lambda slug: slug != FIRST_RECIPE)
    offered = Dataset.objects.for_use_case(target.use_case).filter(versions__isnull=False)
    first = offered.filter(is_sample=True, slug=FIRST_DATASET).first() or offered.first()
    title = f"LoRA for {target.decision.title if target.decision else target.use_case.name}"[:200]
    return {"title": title, "recipe": recipes[0] if recipes else "", "dataset": str(first.pk) if first else ""}


def _of_source(source: Job) -> dict[str, Any]:
    """Every setting of the job to clone, so that each can be changed from what it was."""
    spec = source.run_spec.model_dump(mode="json")
    typed = {name: typed_value(setting, setting.value_in(spec)) for name, setting in SETTINGS.items()}
    return {"title": f"{source.title[:190]} (clone)", "dataset": "", "priority": str(source.priority), **typed}


def _estimate(form: LaunchForm) -> Estimate | None:
    spec = form.spec
    if spec is None:
        return None
    model = library().base_models.get(spec.base_model.id)
    return estimate(spec, parameters=model.parameters) if model else None


def _budget(target: LaunchTarget, estimated: Estimate | None) -> Budget | None:
    """Return what is left for this job of its decision's budget; None without one, or while nothing is estimated."""
    if target.decision is None or estimated is None:
        return None
    return budget_of(target.decision, asked_seconds=estimated.seconds)


def _policy(form: LaunchForm) -> tuple[Met, ...]:
    """Return the rules by which this job needs a decision; empty while the form is incomplete."""
    return rules_for(form.spec) if form.spec else ()


def _ways(form: LaunchForm, target: LaunchTarget) -> list[tuple[Decision, str]]:
    """Return accepted decisions of the use case under which this job may start, each with the address of this form for
    it, filled in as it is. None for a clone, whose files no other form can take."""
    if target.decision is not None or target.source is not None:
        return []
    accepted = Decision.objects.filter(use_case=target.use_case, status=Status.ACCEPTED).order_by("-number")
    data = cast("QueryDict", form.data)
    given = {name: values for name, values in data.lists() if name in form.fields and any(values)}
    if len(urlencode(given, doseq=True)) > ADDRESS_CHARACTERS:
        given = {name: given[name] for name in ("title", "recipe", "dataset") if name in given}
    return [
        (decision, f"{reverse('jobs:new')}?{urlencode({'decision': decision.number, **given}, doseq=True)}")
        for decision in accepted[:WAYS_OFFERED]
    ]


def _looks(request: HttpRequest, form: LaunchForm) -> Looks | None:
    """Return the looks at the test set that the form has chosen; None while it is not complete, or leaves it unread."""
    spec = form.spec
    if spec is None or spec.evaluation.split is not Split.TEST:
        return None
    test = spec.measured_rows
    return looks_at(test.sha256, rows=test.rows, user=signed_in(request))


def _launch(request: HttpRequest, form: LaunchForm, target: LaunchTarget) -> Job:
    estimated = _estimate(form)
    return actions.launch_job(
        use_case=target.use_case,
        created_by=signed_in(request),
        title=form.cleaned_data["title"],
        spec=form.cleaned_data["spec"],
        recipe=target.source.recipe if target.source else form.cleaned_data["recipe"],
        decision=target.decision,
        priority=form.cleaned_data["priority"] or 0,
        estimated_seconds=round(estimated.seconds) if estimated else None,
        cloned_from=target.source,
    )
