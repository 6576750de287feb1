"""Pages of the section "Decide": checklists, and an assessment with its questions and recommendation."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from playbook.library.checklist_schema import checklist_schema
from playbook.library.definition import Checklist
from playbook.library.versions import changes_between_versions, second_looks
from playbook.web.accounts.models import User
from playbook.web.assessments import actions, version_actions
from playbook.web.assessments.flow import plot_of
from playbook.web.assessments.forms import NEW, AnswerForm, NewUseCaseForm, StartForm
from playbook.web.assessments.live import newest_entry, news_since
from playbook.web.assessments.models import Assessment
from playbook.web.assessments.queries import checklist_of, rows_of, values_of
from playbook.web.assessments.question_views import render_answered
from playbook.web.assessments.sheet import Attempt, Collision, Said, asked_question, sheet_of, update_of
from playbook.web.assessments.tables import table_of
from playbook.web.common.content import library
from playbook.web.common.panels import panels_for
from playbook.web.common.permissions import Conflict
from playbook.web.common.requests import HtmxRequest, wants_fragment
from playbook.web.usecases.actions import create_use_case
from playbook.web.usecases.models import UseCase, may_write
from playbook.web.usecases.permissions import get_visible, require_role, signed_in

LISTED = 20
#: More would be no key of a row.
MAX_DIGITS = 18


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    assessments = rows_of(Assessment.objects.visible_to(user), limit=LISTED)
    context = {"checklists": library().checklists.values(), "assessments": assessments}
    return render(request, "assessments/checklist_list.html", context)


@require_safe
def checklist(request: HttpRequest, slug: str) -> HttpResponse:
    user = signed_in(request)
    found = _checklist(slug)
    start = StartForm(initial={"article": request.GET.get("article", "")}, user=user)
    context = _checklist_context(found, request, start, NewUseCaseForm())
    return render(request, "assessments/checklist_detail.html", context)


@require_POST
def start(request: HttpRequest, slug: str) -> HttpResponse:
    user = signed_in(request)
    found = _checklist(slug)
    form = StartForm(request.POST, user=user)
    wants_new = request.POST.get("use_case") == NEW
    new = NewUseCaseForm(request.POST if wants_new else None)
    if not form.is_valid() or (wants_new and not new.is_valid()):
        context = _checklist_context(found, request, form, new)
        return render(request, "assessments/checklist_detail.html", context, status=422)
    use_case = _create(new, user) if wants_new else form.chosen()
    article = form.cleaned_data["article"]
    return redirect(actions.start_assessment(use_case=use_case, checklist=found, article=article, created_by=user))


@require_safe
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    assessment = _assessment(request, pk)
    since = newest_entry(assessment)
    context = {**_sheet_context(assessment, request), "since": since}
    return render(request, "assessments/assessment_detail.html", context)


@require_safe
def changes(request: HttpRequest, pk: int) -> HttpResponse:
    """What others did since the page was drawn: 204 for nothing, 286, which ends the asking, when all is another."""
    assessment = _assessment(request, pk)
    since = request.GET.get("since", "")
    if not (since.isascii() and since.isdigit() and len(since) <= MAX_DIGITS):
        raise Http404(f"since={since[:40]!r} is no number of an entry")
    news = news_since(assessment, int(since), reader=signed_in(request))
    if news is None:
        return HttpResponse(status=204)
    if news.end:
        return render(request, "assessments/_changes.html", {"assessment": assessment, "news": news}, status=286)
    shown = request.GET.getlist("shown")
    context = _sheet_context(assessment, request, news=news.said)
    changed = [
        asked for asked in context["sheet"].asked if asked.question.id in news.said and asked.question.id in shown
    ]
    update = update_of(context["sheet"], question_id="", shown=shown)
    context |= {"news": news, "since": news.since, "changed": changed, "update": update}
    return render(request, "assessments/_changes.html", context)


@require_POST
def answer(request: HtmxRequest, pk: int, question_id: str) -> HttpResponse:
    assessment = _assessment(request, pk)
    user = signed_in(request)
    require_role(user, assessment.use_case)
    problem, collision, status = "", None, 200
    was_asked = assessment.assignments.filter(question_id=question_id, ended_at=None).exists()
    try:
        form = AnswerForm(request.POST)
        if not form.is_valid():
            raise actions.InvalidAnswer(" ".join(str(error) for errors in form.errors.values() for error in errors))
        actions.answer_question(assessment, question_id=question_id, author=user, **form.cleaned_data)
    except actions.InvalidAnswer as invalid:
        problem, status = str(invalid), 422
    except actions.StaleAnswer as stale:
        problem, collision, status = str(stale), _collision(stale), 409
    except Conflict as conflict:
        problem, status = str(conflict), 409
    assessment.refresh_from_db()
    if not problem and not wants_fragment(request):
        if request.POST.get("back") == "question":
            return redirect("assessments:question", pk, question_id)
        return redirect(f"{assessment.get_absolute_url()}#{question_id}")
    kept = Attempt(request.POST.get("value", ""), request.POST.get("comment", ""))
    if wants_fragment(request) and request.POST.get("back") == "question":
        found = next((q for q in checklist_of(assessment).questions if q.id == question_id), None)
        if found is None:
            raise Http404(f"no question {question_id!r} in this assessment")
        asked = asked_question(assessment, found, problem=problem, collision=collision)
        asked = replace(asked, attempt=kept if problem and not collision else None)
        return render_answered(request, assessment, found, asked, ended=was_asked, status=status)
    since = newest_entry(assessment)
    context = _sheet_context(
        assessment,
        request,
        problems={question_id: problem},
        collisions={question_id: collision} if collision else {},
        attempts={question_id: kept} if problem and not collision else {},
    )
    context["since"] = since
    if not wants_fragment(request):
        return render(request, "assessments/assessment_detail.html", context, status=status)
    context["update"] = update_of(context["sheet"], question_id=question_id, shown=request.POST.getlist("shown"))
    return render(request, "assessments/_answered.html", context, status=status)


@require_safe
def decision_table(request: HttpRequest, slug: str) -> HttpResponse:
    """Every path of a checklist with its outcome, to be read and printed."""
    found = _checklist(slug)
    return render(request, "assessments/checklist_table.html", {"checklist": found, "table": table_of(found)})


@require_safe
def schema(_request: HttpRequest) -> JsonResponse:
    """The JSON Schema of a checklist file."""
    return JsonResponse(checklist_schema(), json_dumps_params={"indent": 2})


@require_safe
def newer(request: HttpRequest, pk: int) -> HttpResponse:
    """What differs between the assessment's version of the checklist and the one that the library has now."""
    assessment = _assessment(request, pk)
    return render(request, "assessments/assessment_newer.html", _newer_context(request, assessment))


@require_POST
def move(request: HttpRequest, pk: int) -> HttpResponse:
    assessment = _assessment(request, pk)
    user = signed_in(request)
    require_role(user, assessment.use_case)
    current = library().checklists.get(assessment.checklist_slug)
    if current is None:
        raise Http404(f"the library has no checklist {assessment.checklist_slug!r} any more")
    seen = request.POST.get("seen_digest", "")
    try:
        version_actions.move_to_version(assessment, checklist=current, seen_digest=seen, actor=user)
    except Conflict as conflict:
        context = {**_newer_context(request, assessment), "problem": str(conflict)}
        return render(request, "assessments/assessment_newer.html", context, status=409)
    messages.success(request, f"Moved to version {current.version}. Every answer is kept.")
    return redirect(assessment)


def _collision(stale: actions.StaleAnswer) -> Collision:
    question = stale.question
    theirs = Said(stale.theirs, question.quoted(stale.theirs.value))
    return Collision(theirs, stale.value, question.quoted(stale.value), stale.comment)


def _create(new: NewUseCaseForm, user: User) -> UseCase:
    name, description = new.cleaned_data["name"], new.cleaned_data["description"]
    return create_use_case(name=name, description=description, created_by=user, members=new.members())


def _sheet_context(
    assessment: Assessment,
    request: HttpRequest,
    *,
    problems: Mapping[str, str] | None = None,
    collisions: Mapping[str, Collision] | None = None,
    attempts: Mapping[str, Attempt] | None = None,
    news: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    user = signed_in(request)
    return {
        "assessment": assessment,
        "sheet": sheet_of(assessment, problems=problems, collisions=collisions, attempts=attempts, news=news),
        "may_answer": may_write(assessment.use_case.roles_of(user)) and not assessment.is_locked,
        "panels": panels_for("assessment", assessment, user),
    }


def _newer_context(request: HttpRequest, assessment: Assessment) -> dict[str, Any]:
    before, after = checklist_of(assessment), library().checklists.get(assessment.checklist_slug)
    changed = after is not None and after.digest != before.digest
    return {
        "assessment": assessment,
        "before": before,
        "after": after if changed else None,
        "changes": changes_between_versions(before, after) if after and changed else (),
        "looks": second_looks(before, after, values_of(assessment)) if after and changed else (),
        "proposed": version_actions.proposed_from(assessment),
        "drafts": list(assessment.decisions.all()),
        "may_answer": may_write(assessment.use_case.roles_of(signed_in(request))) and not assessment.is_locked,
    }


def _assessment(request: HttpRequest, pk: int) -> Assessment:
    return get_visible(signed_in(request), Assessment.objects.select_related("use_case", "created_by"), pk=pk)


def _checklist(slug: str) -> Checklist:
    found = library().checklists.get(slug)
    if found is None:
        raise Http404(f"no checklist {slug!r}")
    return found


def _checklist_context(
    found: Checklist, request: HttpRequest, start: StartForm, new: NewUseCaseForm
) -> dict[str, object]:
    assessments = Assessment.objects.visible_to(signed_in(request)).filter(checklist_slug=found.slug)
    return {
        "checklist": found,
        "flow": plot_of(found, url_of="#asked-{}".format),
        "start_form": start,
        "new_form": new,
        "assessments": rows_of(assessments, limit=LISTED),
    }
