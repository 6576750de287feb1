"""Pages of the playground: start a session, talk, save a turn as a dataset row."""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import HTMX_STOP_POLLING

from playbook.contracts.dataset import Split
from playbook.contracts.playground import MAX_TURNS, Side
from playbook.contracts.prompting import INPUT, PromptSettings
from playbook.contracts.run_spec import BaseModelRef
from playbook.contracts.states import JobState
from playbook.datasets.rows import rows_from
from playbook.web.common import blobs
from playbook.web.common.permissions import Conflict
from playbook.web.common.requests import HtmxRequest, wants_fragment
from playbook.web.jobs import actions, playground, queries
from playbook.web.jobs.compare import is_number
from playbook.web.jobs.models import Job, JobKind, PlaygroundAnswer, PlaygroundSession, PlaygroundTurn
from playbook.web.jobs.playground_forms import QuestionForm, RowForm, SessionForm
from playbook.web.jobs.playground_rows import save_turn
from playbook.web.jobs.report_access import says_what_is_damaged
from playbook.web.usecases.models import UseCase, may_write
from playbook.web.usecases.permissions import get_use_case, get_visible, require_role, signed_in

LABELS = {Side.BASE: "Base model", Side.TUNED: "With the adapter"}


@dataclass(frozen=True)
class ShownTurn:
    """A question and, for each side, its name, its label and its answer; None before the first word."""

    turn: PlaygroundTurn
    answers: tuple[tuple[Side, str, PlaygroundAnswer | None], ...]


@require_http_methods(["GET", "HEAD", "POST"])
@says_what_is_damaged
def new(request: HtmxRequest) -> HttpResponse:
    """Start a session: `?job=` with an adapter beside its base model, or `?use_case=` with a base model alone."""
    user = signed_in(request)
    tuned = None
    if is_number(request.GET.get("job", "")):
        tuned = get_visible(user, Job.objects.runs().select_related("use_case"), pk=int(request.GET["job"]))
    use_case = tuned.use_case if tuned else get_use_case(user, request.GET.get("use_case", ""))
    require_role(user, use_case)
    form = SessionForm(request.POST or None, tuned_job=tuned, initial=_prompt_of(tuned))
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            cleaned = form.cleaned_data
            try:
                session = playground.start_session(
                    use_case=use_case,
                    base_model=tuned.run_spec.base_model if tuned else BaseModelRef(id=cleaned["base_model"]),
                    tuned_job=tuned,
                    prompt=PromptSettings(system=cleaned["system"], user_template=cleaned["user_template"]),
                    max_new_tokens=cleaned["max_new_tokens"],
                    started_by=user,
                )
                return redirect(session.job)
            except Conflict as conflict:
                form.add_error(None, str(conflict))
                status = 409
    mine = Job.objects.filter(kind=JobKind.PLAYGROUND, created_by=user).for_member(user)
    context = {
        "form": form,
        "tuned": tuned,
        "why_not": playground.adapter_problem(tuned) if tuned else "",
        "use_case": use_case,
        "open": [job for job in mine[:20] if not job.is_ended],
        "tunable": _with_adapters(use_case),
    }
    return render(request, "jobs/playground_form.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
@says_what_is_damaged
def session(request: HtmxRequest, pk: int) -> HttpResponse:
    """The conversation; its part that grows is asked for again and again while the session is open."""
    actions.reap_expired_leases()
    user = signed_in(request)
    found = _session(request, pk)
    form = QuestionForm(request.POST or None)
    status = 200
    if request.method == "POST":
        require_role(user, found.job.use_case)
        status = 422
        if form.is_valid():
            try:
                playground.ask(found, question=form.cleaned_data["question"], actor=user)
            except Conflict as conflict:
                form.add_error(None, str(conflict))
                status = 409
            else:
                if not wants_fragment(request):
                    return redirect(f"{found.job.get_absolute_url()}#ask")
                form, status = QuestionForm(), 200
    context = _context(request, found, form)
    if not wants_fragment(request):
        return render(request, "jobs/playground_detail.html", context, status=status)
    if request.method == "POST":
        return render(request, "jobs/_playground.html", context, status=status)
    return _news(request, context)


def _news(request: HtmxRequest, context: dict[str, Any]) -> HttpResponse:
    """Answer the page that asks for news: 204 without any; else the status line and those answers that were not whole
    when it asked last, so that what somebody selects or writes elsewhere stays. 286 ends the asking."""
    if context["job"].is_ended:
        status = HTMX_STOP_POLLING
    elif request.GET.get("seen") == context["marker"]:
        return HttpResponse(status=204)
    else:
        status = 200
    open_before = set(request.GET.get("open", "").split(","))
    turns_before = int(request.GET["turns"]) if is_number(request.GET.get("turns", "")) else 0
    known, new = context["turns"][:turns_before], context["turns"][turns_before:]
    changed = [(row, one) for row in known for one in row.answers if f"{row.turn.number}-{one[0]}" in open_before]
    return render(request, "jobs/_playground_news.html", {**context, "changed": changed, "new": new}, status=status)


@require_POST
def close(request: HtmxRequest, pk: int) -> HttpResponse:
    found = _session(request, pk)
    user = signed_in(request)
    require_role(user, found.job.use_case)
    try:
        if found.job.state == JobState.QUEUED:
            actions.request_cancel(found.job, actor=user)
        else:
            playground.close(found, actor=user)
    except Conflict as conflict:
        messages.error(request, str(conflict))
    return redirect(found.job)


@require_POST
def stop(request: HtmxRequest, pk: int) -> HttpResponse:
    """End the answer that is being written, and keep what was said."""
    found = _session(request, pk)
    user = signed_in(request)
    require_role(user, found.job.use_case)
    try:
        playground.stop_answer(found, actor=user)
    except Conflict as conflict:
        messages.error(request, str(conflict))
    # The worker writes the end; the page that asks for news shows it.
    return HttpResponse(status=204) if wants_fragment(request) else redirect(f"{found.job.get_absolute_url()}#ask")


@require_http_methods(["GET", "HEAD", "POST"])
def save(request: HtmxRequest, pk: int, number: int) -> HttpResponse:
    """Save one turn as a row of a dataset, its answer corrected."""
    user = signed_in(request)
    found = _session(request, pk)
    require_role(user, found.job.use_case)
    turn = get_object_or_404(PlaygroundTurn.objects.select_related("session__job"), session=found, number=number)
    sides = found.job.playground_spec.sides
    side = next((side for side in sides if side == request.GET.get("side")), sides[-1])
    said = turn.answers.filter(side=side).first()
    form = RowForm(
        request.POST or None, use_case=found.job.use_case, initial={"answer": said.text if said is not None else ""}
    )
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            try:
                version = save_turn(turn, side=side, actor=user, **form.cleaned_data)
            except Conflict as conflict:
                form.add_error(None, str(conflict))
                status = 409
            else:
                messages.success(request, f"Saved: {version} has one train row more.")
                return redirect(found.job)
    before = playground.said_before(turn, side)
    context = {"session": found, "job": found.job, "turn": turn, "before": before, "form": form}
    return render(request, "jobs/playground_save.html", context, status=status)


def _session(request: HtmxRequest, pk: int) -> PlaygroundSession:
    sessions = PlaygroundSession.objects.select_related("job__use_case", "job__created_by", "tuned_job")
    return get_visible(signed_in(request), sessions, use_case_path="job__use_case", job_id=pk)


def _context(request: HtmxRequest, found: PlaygroundSession, form: QuestionForm) -> dict[str, Any]:
    job = found.job
    spec = job.playground_spec
    turns = [_shown(turn, spec.sides) for turn in found.turns.select_related("asked_by").prefetch_related("answers")]
    open_answers = [
        f"{row.turn.number}-{side}"
        for row in turns
        for side, _, answer in row.answers
        if not (answer and answer.is_done)
    ]
    answering = bool(open_answers)
    waiting = job.state == JobState.QUEUED
    position = Job.objects.with_position().get(pk=job.pk).position if waiting else None
    nobody_can = waiting and not queries.offers_base_model(job.base_model)
    words = _state_words(found, answering=answering)
    is_stopping = answering and turns[-1].turn.stopped_at is not None
    return {
        "session": found,
        "job": job,
        "spec": spec,
        "turns": turns,
        "answering": answering,
        "open_answers": ",".join(open_answers),
        "is_stopping": is_stopping,
        "state_words": words,
        "is_full": len(turns) >= MAX_TURNS,
        "position": position,
        "nobody_can": nobody_can,
        "form": form,
        "may_write": may_write(job.use_case.roles_of(signed_in(request))),
        "every": "700ms" if answering or job.state != JobState.RUNNING else "3s",
        "marker": _marker(words, job.state, position, nobody_can, is_stopping, turns),
    }


def _state_words(found: PlaygroundSession, *, answering: bool) -> str:
    """Return what the session does, in the words of somebody who talks to it."""
    state = found.job.state
    if found.closed_at and not found.job.is_ended:
        return "closing"
    if state == JobState.VALIDATING_FILES:
        return "loading the model"
    if state == JobState.RUNNING:
        return "answering" if answering else "ready"
    return str(state).replace("_", " ")


def _marker(*seen: Any) -> str:
    """Return a short digest of everything on the page that changes while nobody writes."""
    *line, turns = seen
    said = [
        (row.turn.number, side, answer and (answer.text, answer.tokens, answer.is_done, answer.error))
        for row in turns
        for side, _, answer in row.answers
    ]
    return sha256(repr((line, said)).encode()).hexdigest()[:16]


def _shown(turn: PlaygroundTurn, sides: Iterable[Side]) -> ShownTurn:
    answers = {answer.side: answer for answer in turn.answers.all()}
    return ShownTurn(turn, tuple((side, LABELS[side], answers.get(side)) for side in sides))


def _prompt_of(tuned: Job | None) -> dict[str, str]:
    """Return what the form starts with: the prompt that a tuned model was trained with."""
    template = tuned.run_spec.prompt.user_template if tuned else INPUT
    return {"system": _system_of(tuned), "user_template": template}


def _system_of(tuned: Job | None) -> str:
    """Return the system message that a tuned model was trained with: the prompt's, or that of its first train row."""
    if tuned is None:
        return ""
    spec = tuned.run_spec
    if spec.prompt.system is not None:
        return spec.prompt.system
    path = blobs.path_of(spec.input(Split.TRAIN).sha256)
    if not path.is_file():
        return ""
    first = rows_from(path, 1, 1)[0].example.messages[0]
    return first.content if first.role == "system" else ""


def _with_adapters(use_case: UseCase) -> list[Job]:
    jobs = Job.objects.for_use_case(use_case).runs().filter(artifacts__name=playground.ADAPTER)
    return list(jobs.distinct()[:20])
