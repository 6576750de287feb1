"""Pages of the playground: start a session, talk, save a turn as a dataset row."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST
from django_htmx.http import HttpResponseClientRefresh

from playbook.contracts.dataset import Split
from playbook.contracts.playground import MAX_QUESTION_CHARACTERS, MAX_TURNS, Side
from playbook.contracts.prompting import MAX_PROMPT_CHARACTERS, PromptSettings
from playbook.contracts.run_spec import BaseModelRef
from playbook.contracts.states import JobState
from playbook.datasets.rows import rows_from
from playbook.web.common import blobs
from playbook.web.common.permissions import Conflict
from playbook.web.common.requests import HtmxRequest, wants_fragment
from playbook.web.datasets.models import Dataset
from playbook.web.jobs import actions, playground, queries
from playbook.web.jobs.compare import is_number
from playbook.web.jobs.models import Job, JobKind, PlaygroundAnswer, PlaygroundSession, PlaygroundTurn
from playbook.web.jobs.playground_rows import save_turn
from playbook.web.jobs.prompt_views import base_models
from playbook.web.usecases.models import UseCase, may_write
from playbook.web.usecases.permissions import get_use_case, get_visible, require_role, signed_in

LABELS = {Side.BASE: "Base model", Side.TUNED: "With the adapter"}
DEFAULT_MAX_NEW_TOKENS = 128


@dataclass(frozen=True)
class ShownTurn:
    """A question and, for each side, its name, its label and its answer; None before the first word."""

    turn: PlaygroundTurn
    answers: tuple[tuple[Side, str, PlaygroundAnswer | None], ...]


class SessionForm(forms.Form):
    """With a job, the base model is that of its adapter."""

    base_model = forms.ChoiceField()
    system = forms.CharField(
        required=False,
        label="System message",
        max_length=MAX_PROMPT_CHARACTERS,
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text="Both sides are asked with it. A tuned model answers best with the words that it was trained with.",
    )
    max_new_tokens = forms.IntegerField(
        min_value=1, max_value=1024, initial=DEFAULT_MAX_NEW_TOKENS, help_text="An answer is cut after so many tokens."
    )

    def __init__(self, *args: Any, tuned_job: Job | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if tuned_job is not None:
            del self.fields["base_model"]
            return
        field = self.fields["base_model"]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
        field.choices = [(name, name) for name in base_models()]


class QuestionForm(forms.Form):
    question = forms.CharField(
        max_length=MAX_QUESTION_CHARACTERS, widget=forms.Textarea(attrs={"rows": 3}), label="Your message"
    )

    def clean_question(self) -> str:
        return str(self.cleaned_data["question"]).replace("\r\n", "\n")


class RowForm(forms.Form):
    """The dataset of the use case that gets the row, and the answer to learn."""

    dataset = forms.ModelChoiceField(queryset=Dataset.objects.none(), empty_label=None)
    answer = forms.CharField(
        max_length=100_000,
        widget=forms.Textarea(attrs={"rows": 6}),
        help_text="What the model should have said. Correct it before you save it.",
    )

    def __init__(self, *args: Any, use_case: UseCase, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["dataset"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - declared above
        field.queryset = Dataset.objects.filter(use_case=use_case).prefetch_related("versions__files")

    def clean_answer(self) -> str:
        return str(self.cleaned_data["answer"]).replace("\r\n", "\n")


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HtmxRequest) -> HttpResponse:
    """Start a session: `?job=` with an adapter beside its base model, or `?use_case=` with a base model alone."""
    user = signed_in(request)
    tuned = None
    if is_number(request.GET.get("job", "")):
        tuned = get_visible(user, Job.objects.runs().select_related("use_case"), pk=int(request.GET["job"]))
    use_case = tuned.use_case if tuned else get_use_case(user, request.GET.get("use_case", ""))
    require_role(user, use_case)
    form = SessionForm(request.POST or None, tuned_job=tuned, initial={"system": _system_of(tuned)})
    status = 200
    if request.method == "POST":
        status = 422
        if form.is_valid():
            cleaned = form.cleaned_data
            prompt = tuned.run_spec.prompt if tuned else PromptSettings()
            try:
                session = playground.start_session(
                    use_case=use_case,
                    base_model=tuned.run_spec.base_model if tuned else BaseModelRef(id=cleaned["base_model"]),
                    tuned_job=tuned,
                    prompt=prompt.model_copy(update={"system": cleaned["system"], "examples": ()}),
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
    if wants_fragment(request):
        if found.job.is_ended and request.method != "POST":
            return HttpResponseClientRefresh()
        return render(request, "jobs/_playground.html", _context(request, found, form), status=status)
    return render(request, "jobs/playground_detail.html", _context(request, found, form), status=status)


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
    answering = any(answer is None or not answer.is_done for turn in turns for _, _, answer in turn.answers)
    waiting = job.state == JobState.QUEUED
    return {
        "session": found,
        "job": job,
        "spec": spec,
        "turns": turns,
        "answering": answering,
        "is_full": len(turns) >= MAX_TURNS,
        "position": Job.objects.with_position().get(pk=job.pk).position if waiting else None,
        "nobody_can": waiting and not queries.offers_base_model(job.base_model),
        "form": form,
        "may_write": may_write(job.use_case.roles_of(signed_in(request))),
        "every": "700ms" if answering or job.state != JobState.RUNNING else "3s",
    }


def _shown(turn: PlaygroundTurn, sides: Iterable[Side]) -> ShownTurn:
    answers = {answer.side: answer for answer in turn.answers.all()}
    return ShownTurn(turn, tuple((side, LABELS[side], answers.get(side)) for side in sides))


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
