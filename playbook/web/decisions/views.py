"""Pages of decisions: the log, one record with its signatures, its edit form and its Markdown."""

from collections.abc import Callable, Sequence

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from playbook.web.accounts.models import User
from playbook.web.assessments.models import Assessment
from playbook.web.assessments.queries import checklist_of
from playbook.web.common.permissions import Conflict
from playbook.web.common.plots_columns import columns_plot
from playbook.web.decisions import actions, pages
from playbook.web.decisions.bundle import bundle_of
from playbook.web.decisions.forms import DecisionEdit, ReasonForm, SignForm, SupersedeForm
from playbook.web.decisions.history import Happening, changes_since, entries_of
from playbook.web.decisions.log import (
    LogFilter,
    csv_of,
    decision_log,
    json_of,
    log_pages,
    timeline_of,
    use_cases_of,
)
from playbook.web.decisions.markdown import as_markdown
from playbook.web.decisions.models import Decision, Status, Verdict
from playbook.web.decisions.queries import get_decision
from playbook.web.decisions.signatures import sign_decision
from playbook.web.decisions.signing import LISTED, SignOff, waiting_for
from playbook.web.usecases.permissions import get_visible, require_role, signed_in

PER_PAGE = 30


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    chosen = LogFilter.of(request.GET.dict())
    # Whoever searches or turns pages looks for something else; the inbox stands above the log as a whole, and on Home.
    waiting = [] if chosen.is_set or "page" in request.GET else waiting_for(user)
    months, total = timeline_of(decision_log(user, chosen), chosen)
    context = {
        "page": log_pages(user, chosen, per_page=PER_PAGE, total=total).get_page(request.GET.get("page")),
        "timeline": columns_plot("Decisions by month", Status.values, months),
        "chosen": chosen,
        "statuses": Status.choices,
        "use_cases": use_cases_of(user),
        "waiting": waiting,
        "more_may_wait": len(waiting) == LISTED,
        "today": timezone.localdate(),
    }
    return render(request, "decisions/decision_list.html", context)


@require_safe
def export_csv(request: HttpRequest) -> StreamingHttpResponse:
    """The log as the filters choose it, for a spreadsheet."""
    rows = csv_of(decision_log(signed_in(request), LogFilter.of(request.GET.dict())))
    headers = {"Content-Disposition": 'attachment; filename="decisions.csv"'}
    return StreamingHttpResponse(rows, content_type="text/csv; charset=utf-8", headers=headers)


@require_safe
def export_json(request: HttpRequest) -> StreamingHttpResponse:
    """The log as the filters choose it, for a program."""
    rows = json_of(decision_log(signed_in(request), LogFilter.of(request.GET.dict())))
    return StreamingHttpResponse(rows, content_type="application/json")


@require_POST
def draft(request: HttpRequest, assessment: int) -> HttpResponse:
    user = signed_in(request)
    found = get_visible(user, Assessment.objects.select_related("use_case"), pk=assessment)
    require_role(user, found.use_case)
    try:
        return redirect(actions.draft_from_assessment(found, created_by=user))
    except Conflict as conflict:
        context = {"conflict": str(conflict), "assessment": found}
        return render(request, "decisions/draft_refused.html", context, status=409)


@require_safe
def detail(request: HttpRequest, number: int) -> HttpResponse:
    decision = get_decision(signed_in(request), number)
    return render(request, "decisions/decision_detail.html", pages.detail(decision, signed_in(request)))


@require_safe
def markdown(request: HttpRequest, number: int) -> HttpResponse:
    decision = get_decision(signed_in(request), number)
    return HttpResponse(as_markdown(SignOff(decision)), content_type="text/markdown; charset=utf-8")


@require_safe
def bundle(request: HttpRequest, number: int) -> HttpResponse:
    """The decision as a zip that a stand-alone verifier checks."""
    user = signed_in(request)
    content = bundle_of(SignOff(get_decision(user, number)), exported_by=user)
    headers = {"Content-Disposition": f'attachment; filename="D-{number}.zip"'}
    return HttpResponse(content, content_type="application/zip", headers=headers)


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, number: int) -> HttpResponse:
    user = signed_in(request)
    decision = get_decision(user, number)
    require_role(user, decision.use_case)
    form, seen = _edit_form(decision, request.POST if request.method == "POST" else None)
    if request.method != "POST":
        return _render_edit(request, decision, form)
    if not form.is_valid():
        return _render_edit(request, decision, form, status=422)
    text = form.text.cleaned_data
    try:
        return redirect(
            actions.edit_decision(decision, content=form.content(), seen_digest=text["seen_digest"], actor=user)
        )
    except actions.StaleDigest as stale:
        renewed = request.POST.copy()
        renewed["seen_digest"], renewed["seen_entry"] = SignOff(decision).digest, str(seen)
        changed = changes_since(entries_of(decision), text["seen_entry"])
        form, _ = _edit_form(decision, renewed)
        conflict = f"{stale} What you wrote is kept below; saving again replaces their version."
        return _render_edit(request, decision, form, status=409, conflict=conflict, changed=changed)
    except Conflict as conflict:
        return _render_edit(request, decision, form, status=409, conflict=str(conflict))


@require_POST
def sign(request: HttpRequest, number: int) -> HttpResponse:
    user = signed_in(request)
    decision = get_decision(user, number)
    form = SignForm(request.POST, user=user, decision=decision)
    if not form.is_valid():
        context = pages.detail(decision, user, sign_form=form)
        return render(request, "decisions/decision_detail.html", context, status=422)
    given = form.cleaned_data
    role, principal = given["role"]
    try:
        sign_decision(
            decision,
            user=user,
            role=role,
            verdict=Verdict(given["verdict"]),
            reason=given["reason"],
            seen_digest=given["seen_digest"],
            on_behalf_of=get_object_or_404(User, pk=principal) if principal else None,
        )
    except actions.StaleDigest as stale:
        changed = changes_since(entries_of(decision), given["seen_entry"])
        return _refused(request, number, stale, changed)
    except Conflict as conflict:
        return _refused(request, number, conflict)
    return redirect(decision)


@require_POST
def measure(request: HttpRequest, number: int) -> HttpResponse:
    """Take over what the reports measured since; what is wrong with a report is said and left out."""

    def take(decision: Decision) -> Decision:
        for problem in actions.take_measurements(decision, actor=signed_in(request)):
            messages.error(request, problem)
        return decision

    return _change(request, number, take)


@require_POST
def propose(request: HttpRequest, number: int) -> HttpResponse:
    return _change(request, number, lambda decision: actions.propose(decision, actor=signed_in(request)))


@require_POST
def withdraw(request: HttpRequest, number: int) -> HttpResponse:
    return _change(request, number, lambda decision: actions.withdraw(decision, actor=signed_in(request)))


@require_POST
def reopen(request: HttpRequest, number: int) -> HttpResponse:
    return _change(
        request,
        number,
        lambda decision: actions.reopen(decision, reason=_reason(request), actor=signed_in(request)),
    )


@require_POST
def deprecate(request: HttpRequest, number: int) -> HttpResponse:
    return _change(
        request,
        number,
        lambda decision: actions.deprecate(decision, reason=_reason(request), actor=signed_in(request)),
    )


@require_POST
def supersede(request: HttpRequest, number: int) -> HttpResponse:
    def replace(decision: Decision) -> Decision:
        form = SupersedeForm(request.POST, decision=decision)
        if not form.is_valid():
            raise _Invalid("Choose an accepted decision of the same use case to supersede this one.")
        return actions.supersede(decision, by=form.cleaned_data["by"], actor=signed_in(request))

    return _change(request, number, replace)


class _Invalid(Exception):
    """A small form of the page was not filled in as it must be."""


def _change(request: HttpRequest, number: int, change: Callable[[Decision], Decision]) -> HttpResponse:
    """Fetch with permission, change the status, and go back to the page; a refusal shows it with the reason."""
    user = signed_in(request)
    decision = get_decision(user, number)
    require_role(user, decision.use_case)
    try:
        return redirect(change(decision))
    except _Invalid as invalid:
        context = pages.detail(decision, user, conflict=str(invalid))
        return render(request, "decisions/decision_detail.html", context, status=422)
    except Conflict as conflict:
        return _refused(request, number, conflict)


def _reason(request: HttpRequest) -> str:
    form = ReasonForm(request.POST)
    if not form.is_valid():
        raise _Invalid("Give a reason (up to 2,000 characters): it stays in the history of the decision.")
    return str(form.cleaned_data["reason"])


def _refused(request: HttpRequest, number: int, conflict: Conflict, changed: Sequence[Happening] = ()) -> HttpResponse:
    decision = get_decision(signed_in(request), number)
    context = pages.detail(decision, signed_in(request), conflict=str(conflict), changed=changed)
    return render(request, "decisions/decision_detail.html", context, status=409)


def _edit_form(decision: Decision, data: object) -> tuple[DecisionEdit, int]:
    """Return the edit form and the newest audit row that it has seen."""
    entries = entries_of(decision)
    seen = entries[-1].pk if entries else 0
    checklist = checklist_of(decision.assessment)
    digest = SignOff(decision).digest
    return DecisionEdit(decision, checklist, seen_digest=digest, seen_entry=seen, data=data), seen


def _render_edit(
    request: HttpRequest,
    decision: Decision,
    form: DecisionEdit,
    *,
    status: int = 200,
    conflict: str = "",
    changed: Sequence[Happening] = (),
) -> HttpResponse:
    context = {"decision": decision, "form": form, "conflict": conflict, "changed": changed}
    return render(request, "decisions/decision_form.html", context, status=status)
