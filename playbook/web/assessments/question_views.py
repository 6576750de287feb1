"""The page of one question of an assessment: its answers, evidence, who is asked, and the discussion."""

from collections.abc import Collection
from http import HTTPStatus
from typing import Any

from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST, require_safe

from playbook.library.definition import Question
from playbook.web.accounts.models import User
from playbook.web.assessments import actions, team_actions
from playbook.web.assessments.evidence import FileEvidence
from playbook.web.assessments.measured import offers_of, pieces_of
from playbook.web.assessments.models import Assessment
from playbook.web.assessments.queries import checklist_of
from playbook.web.assessments.question_forms import AssignForm, EvidenceForm, RemarkForm
from playbook.web.assessments.sheet import AskedQuestion, asked_question
from playbook.web.common import blobs
from playbook.web.common.content import library
from playbook.web.common.measurements import measurements_of
from playbook.web.common.permissions import Conflict
from playbook.web.common.requests import HtmxRequest, wants_fragment
from playbook.web.common.uploads import takes_files
from playbook.web.usecases.models import may_write
from playbook.web.usecases.permissions import get_visible, require_role, signed_in

ALTERED = (
    "“{name}” was altered in the site's data folder: its bytes are not those with the SHA-256 {digest}… that the "
    "answer names. It is not given out; restore it from a backup."
)
MEASURED_BY_NONE = "Choose a job of this use case whose report measured it."


@require_safe
def detail(request: HtmxRequest, pk: int, question_id: str) -> HttpResponse:
    assessment, question = _question(request, pk, question_id)
    return render(request, "assessments/question_detail.html", _context(request, assessment, question))


@require_POST
def measure(request: HtmxRequest, pk: int, question_id: str) -> HttpResponse:
    """Answer the question with what a job measured."""
    assessment, question, user = _writable(request, pk, question_id)
    if question.measured is None:
        raise Http404(f"no measurement answers {question_id!r}")
    offers = offers_of(measurements_of(assessment.use_case_id)[0], question.measured)
    chosen = next((offer for offer in offers if offer.key == request.POST.get("job")), None)
    if chosen is None:
        return _refused(request, assessment, question, "measurement", MEASURED_BY_NONE)
    try:
        actions.answer_by_measurement(assessment, question_id=question_id, measurement=chosen.measurement, author=user)
    except Conflict as conflict:
        return _refused(request, assessment, question, "measurement", str(conflict))
    return _done(request, assessment, question, "card", "measurement", "evidence", "assignment", "history")


@takes_files(1)
@require_POST
def add_evidence(request: HtmxRequest, pk: int, question_id: str) -> HttpResponse:
    assessment, question, user = _writable(request, pk, question_id)
    form = EvidenceForm(request.POST, request.FILES, measurements=measurements_of(assessment.use_case_id)[0])
    if not form.is_valid():
        return _invalid(request, "evidence", _context(request, assessment, question, evidence_form=form))
    try:
        actions.add_evidence(assessment, question_id=question_id, piece=form.piece(), author=user)
    except Conflict as conflict:
        return _refused(request, assessment, question, "evidence", str(conflict))
    return _done(request, assessment, question, "evidence", "card", "history")


@require_POST
def remove_evidence(request: HtmxRequest, pk: int, question_id: str) -> HttpResponse:
    assessment, question, user = _writable(request, pk, question_id)
    try:
        actions.remove_evidence(assessment, question_id=question_id, digest=request.POST.get("digest", ""), author=user)
    except Conflict as conflict:
        return _refused(request, assessment, question, "evidence", str(conflict))
    return _done(request, assessment, question, "evidence", "card", "history")


@require_POST
def assign(request: HtmxRequest, pk: int, question_id: str) -> HttpResponse:
    assessment, question, user = _writable(request, pk, question_id)
    form = AssignForm(request.POST, use_case=assessment.use_case)
    if not form.is_valid():
        return _invalid(request, "assignment", _context(request, assessment, question, assign_form=form))
    try:
        team_actions.assign_question(assessment, question_id=question_id, actor=user, **form.cleaned_data)
    except Conflict as conflict:
        return _refused(request, assessment, question, "assignment", str(conflict))
    return _done(request, assessment, question, "assignment", "card")


@require_POST
def end_assignment(request: HtmxRequest, pk: int, question_id: str) -> HttpResponse:
    assessment, question, user = _writable(request, pk, question_id)
    try:
        team_actions.end_assignment(assessment, question_id=question_id, actor=user)
    except Conflict as conflict:
        return _refused(request, assessment, question, "assignment", str(conflict))
    return _done(request, assessment, question, "assignment", "card")


@require_POST
def remark(request: HtmxRequest, pk: int, question_id: str) -> HttpResponse:
    """Every member may take part, those who only read too."""
    assessment, question = _question(request, pk, question_id)
    form = RemarkForm(request.POST)
    if not form.is_valid():
        return _invalid(request, "discussion", _context(request, assessment, question, remark_form=form))
    team_actions.add_remark(
        assessment, question_id=question_id, text=form.cleaned_data["text"], author=signed_in(request)
    )
    return _done(request, assessment, question, "discussion")


@require_safe
def evidence_file(request: HtmxRequest, pk: int, sha256: str) -> FileResponse | HttpResponse:
    """A file of the assessment, always as a download: what people bring is never shown as a page of the site. One that
    was altered on disk is not given out: it is not what answers and signatures name."""
    assessment = _assessment(request, pk)
    pieces = (piece for answer in assessment.answers.exclude(evidence=[]) for piece in answer.pieces)
    found = next((piece for piece in pieces if isinstance(piece, FileEvidence) and piece.sha256 == sha256), None)
    if found is None:
        raise Http404("no such file in this assessment")
    try:
        if not blobs.is_intact(sha256):
            messages.error(request, ALTERED.format(name=found.name, digest=sha256[:12]))
            return redirect(assessment)
        content = blobs.open_blob(sha256)
    except FileNotFoundError:
        raise Http404("the file is gone from the site's data folder; restore it from a backup") from None
    return FileResponse(content, as_attachment=True, filename=found.name, content_type="application/octet-stream")


def _context(
    request: HtmxRequest,
    assessment: Assessment,
    question: Question,
    *,
    evidence_form: EvidenceForm | None = None,
    assign_form: AssignForm | None = None,
    remark_form: RemarkForm | None = None,
) -> dict[str, Any]:
    measurements, problems = measurements_of(assessment.use_case_id)
    asked = asked_question(assessment, question)
    return {
        "assessment": assessment,
        "question": question,
        "asked": asked,
        "pieces": pieces_of(asked.current),
        "offers": [(offer, question.quoted(offer.answer)) for offer in offers_of(measurements, question.measured)],
        "report_problems": problems,
        "articles": library().articles.values(),
        "remarks": assessment.remarks.filter(question_id=question.id).select_related("author"),
        "may_answer": may_write(assessment.use_case.roles_of(signed_in(request))) and not assessment.is_locked,
        "evidence_form": evidence_form or EvidenceForm(measurements=measurements, auto_id="evidence_%s"),
        "assign_form": assign_form or AssignForm(use_case=assessment.use_case),
        "remark_form": remark_form or RemarkForm(),
    }


def render_answered(
    request: HtmxRequest, assessment: Assessment, question: Question, asked: AskedQuestion, *, ended: bool, status: int
) -> HttpResponse:
    """Answer an htmx POST of the answer on the page of a question: the card, and what else changed with it. `ended`:
    somebody was asked until now."""
    parts = {"card"}
    if status == HTTPStatus.OK:
        # Not always all of them: in the others somebody may be writing.
        parts |= {"history"} | ({"evidence"} if asked.revision <= 1 else set()) | ({"assignment"} if ended else set())
    context = _context(request, assessment, question) | {"asked": asked, "saved": True}
    return _parts(request, parts, context, status=status)


def _done(request: HtmxRequest, assessment: Assessment, question: Question, part: str, *others: str) -> HttpResponse:
    """Show what changed: `part` and `others` to htmx, the page at `part` otherwise."""
    if wants_fragment(request):
        context = _context(request, assessment, question) | {"card_oob": True}
        return _parts(request, {part, *others}, context)
    response = redirect("assessments:question", assessment.pk, question.id)
    response["Location"] += f"#{part}" if part != "card" else ""
    return response


def _refused(request: HtmxRequest, assessment: Assessment, question: Question, part: str, problem: str) -> HttpResponse:
    """Say why nothing was written: in its part to htmx, on top of the page otherwise."""
    if wants_fragment(request):
        context = _context(request, assessment, question) | {"problem": problem, "problem_part": part}
        return _parts(request, {part}, context, status=409)
    messages.error(request, problem)
    return _done(request, assessment, question, part)


def _invalid(request: HtmxRequest, part: str, context: dict[str, Any]) -> HttpResponse:
    """Show the form of a part again, with what is wrong."""
    if wants_fragment(request):
        return _parts(request, {part}, context, status=422)
    return render(request, "assessments/question_detail.html", context, status=422)


def _parts(request: HtmxRequest, parts: Collection[str], context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    return render(request, "assessments/_question_changed.html", {**context, "parts": parts}, status=status)


def _assessment(request: HtmxRequest, pk: int) -> Assessment:
    return get_visible(signed_in(request), Assessment.objects.select_related("use_case", "created_by"), pk=pk)


def _question(request: HtmxRequest, pk: int, question_id: str) -> tuple[Assessment, Question]:
    assessment = _assessment(request, pk)
    found = next((q for q in checklist_of(assessment).questions if q.id == question_id), None)
    if found is None:
        raise Http404(f"no question {question_id!r} in this assessment")
    return assessment, found


def _writable(request: HtmxRequest, pk: int, question_id: str) -> tuple[Assessment, Question, User]:
    assessment, question = _question(request, pk, question_id)
    user = signed_in(request)
    require_role(user, assessment.use_case)
    return assessment, question, user
