"""Record the outcome of one job; the decision and the articles show it."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from playbook.web.common.pages import CountedPaginator
from playbook.web.common.permissions import Conflict
from playbook.web.jobs.models import Job
from playbook.web.outcomes import actions
from playbook.web.outcomes.calibration import calibration_of, settled_forecasts
from playbook.web.outcomes.forms import OutcomeForm
from playbook.web.outcomes.models import Confirmation, OutcomeReview
from playbook.web.outcomes.proposals import measured
from playbook.web.usecases.permissions import get_visible, require_role, signed_in

PER_PAGE = 30


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    outcomes = OutcomeReview.objects.newest_visible_to(user).select_related("decision", "recorded_by")
    total = OutcomeReview.objects.visible_to(user).count()
    page = CountedPaginator(outcomes, PER_PAGE, total=total).get_page(request.GET.get("page"))
    return render(request, "outcomes/outcome_list.html", {"page": page})


@require_safe
def calibration(request: HttpRequest) -> HttpResponse:
    """Forecasts against what came, over all decisions that the reader may see."""
    found = calibration_of(signed_in(request))
    rows = CountedPaginator(settled_forecasts(signed_in(request)), PER_PAGE, total=found.forecasts)
    page = rows.get_page(request.GET.get("page"))
    return render(request, "outcomes/calibration.html", {"calibration": found, "page": page})


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest, job_pk: int) -> HttpResponse:
    user = signed_in(request)
    jobs = Job.objects.select_related("use_case", "decision__assessment")
    job = get_visible(user, jobs.filter(decision__isnull=False), pk=job_pk)
    require_role(user, job.use_case)
    assert job.decision is not None  # noqa: S101 - held by the filter
    form = OutcomeForm(request.POST or None)
    problem = ""
    if request.method == "POST" and form.is_valid():
        try:
            outcome = actions.record_outcome(
                job,
                confirmation=Confirmation(form.cleaned_data["confirmation"]),
                lessons=form.cleaned_data["lessons"],
                actor=user,
            )
            return redirect(outcome)
        except Conflict as conflict:
            problem = str(conflict)
    context: dict[str, object] = {"form": form, "job": job, "problem": problem}
    try:
        if job.decision.criterion is None:
            raise Conflict(f"D-{job.decision.number} has no success criterion: there is nothing to judge the job by.")
        score, _, _ = measured(job, job.decision, job.decision.criterion)
        verdict = job.decision.criterion.judge(value=score.value, low=score.low, high=score.high)
        context |= {"score": score, "verdict": verdict}
    except Conflict as conflict:
        context["problem"] = problem or str(conflict)
    status = 409 if context["problem"] else (422 if form.errors else 200)
    return render(request, "outcomes/outcome_form.html", context, status=status)
