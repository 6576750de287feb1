"""Pages of prompts: the list, a new one, the workbench, one version beside another.

The workbench is one form. Its buttons say what is to be done with it: `save`, or change what is being edited and show
the page again (`preview`, `add`, `remove-3`, `take-12`). Measuring belongs to jobs: their panel stands below the form.
"""

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from playbook.contracts.asking import question_of
from playbook.contracts.prompting import PromptSettings
from playbook.web.common.panels import panels_for
from playbook.web.common.permissions import Conflict
from playbook.web.common.requests import HtmxRequest, wants_fragment
from playbook.web.prompts import actions, queries
from playbook.web.prompts.differences import differences
from playbook.web.prompts.forms import PromptForm, WorkbenchForm, workbench_data
from playbook.web.prompts.models import Prompt
from playbook.web.prompts.preview import preview_of
from playbook.web.usecases.models import UseCase, may_write
from playbook.web.usecases.permissions import get_use_case, require_role, signed_in


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    context = {"prompts": queries.visible_prompts(user), "use_cases": UseCase.objects.for_member(user)}
    return render(request, "prompts/prompt_list.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest, use_case: str) -> HttpResponse:
    user = signed_in(request)
    owner = get_use_case(user, use_case)
    require_role(user, owner)
    form = PromptForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(actions.create_prompt(use_case=owner, name=form.cleaned_data["name"], created_by=user))
        except Conflict as conflict:
            form.add_error("name", str(conflict))
    status = 422 if request.method == "POST" else 200
    return render(request, "prompts/prompt_form.html", {"form": form, "use_case": owner}, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def workbench(request: HtmxRequest, pk: int) -> HttpResponse:
    """Edit the prompt beside what the model will see; start from the latest version, or from `?version=`."""
    user = signed_in(request)
    prompt = queries.get_prompt(user, pk)
    datasets = queries.dataset_versions(prompt.use_case)
    if request.method == "POST":
        require_role(user, prompt.use_case)
        form = WorkbenchForm(request.POST, datasets=datasets)
        wanted = request.POST.get("do", "")
        if wanted == "save":
            return _save(request, prompt, form)
        _change(form, wanted)
    else:
        version = queries.version_of(prompt, request.GET.get("version", ""))
        data = workbench_data(version.prompt_settings if version else PromptSettings())
        for name in ("dataset", "row"):
            data[name] = request.GET.get(name, "")
        form = WorkbenchForm(data, datasets=datasets)
    template = "prompts/_preview.html" if _wants_preview(request) else "prompts/prompt_workbench.html"
    return render(request, template, _context(request, prompt, form))


@require_safe
def version(request: HttpRequest, pk: int, number: int) -> HttpResponse:
    """One version, and what it changed: from the one before it, or from `?against=`."""
    prompt = queries.get_prompt(signed_in(request), pk)
    found = queries.version_of(prompt, str(number))
    assert found is not None  # noqa: S101 - only an empty number may find none
    earlier = [other for other in prompt.versions.all() if other.number < found.number]
    against = request.GET.get("against", "")
    other = queries.version_of(prompt, against) if against else (earlier[0] if earlier else None)
    context = {
        "prompt": prompt,
        "version": found,
        "settings": found.prompt_settings,
        "other": other,
        "others": [version for version in prompt.versions.all() if version != found],
        "differences": differences(other.prompt_settings, found.prompt_settings) if other else [],
    }
    return render(request, "prompts/prompt_version.html", context)


def _save(request: HtmxRequest, prompt: Prompt, form: WorkbenchForm) -> HttpResponse:
    status = 422
    if form.is_valid() and form.settings is not None:
        try:
            saved = actions.save_version(
                prompt, settings=form.settings, note=form.cleaned_data["note"], author=signed_in(request)
            )
        except Conflict as conflict:
            form.add_error(None, str(conflict))
            status = 409
        else:
            messages.success(request, f"Saved as version {saved.number}.")
            chosen = form.dataset_version
            query = f"?dataset={chosen.dataset_id}&row={form.row_number}" if chosen else ""
            return HttpResponseRedirect(f"{prompt.get_absolute_url()}{query}")
    return render(request, "prompts/prompt_workbench.html", _context(request, prompt, form), status=status)


def _change(form: WorkbenchForm, wanted: str) -> None:
    """Do what a button of the form asks; anything unknown changes nothing."""
    verb, _, number = wanted.partition("-")
    at = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else 0
    if verb == "add":
        form.add_example()
    elif verb == "remove" and at:
        form.remove_example(at)
    elif verb == "row" and at:
        form.row_number = at
    elif verb == "take" and at and (source := form.dataset_version) is not None:
        row = queries.train_row(source, at)
        if row is not None:
            form.add_example(question_of(row.example) or "", row.example.answer)


def _wants_preview(request: HtmxRequest) -> bool:
    return wants_fragment(request) and request.htmx.target == "preview"


def _context(request: HtmxRequest, prompt: Prompt, form: WorkbenchForm) -> dict[str, Any]:
    user = signed_in(request)
    source = form.dataset_version
    context: dict[str, Any] = {"prompt": prompt, "form": form, "source": source}
    # What was posted is judged on each change, but a half-written form is no fault before it is saved.
    valid = form.is_valid()
    if source is not None and valid and form.settings is not None:
        context["preview"] = preview_of(form.settings, source, form.row_number)
    if _wants_preview(request):
        return context
    text = form.data.get("q", "")[:200]
    return context | {
        "use_case": prompt.use_case,
        "versions": prompt.versions.all(),
        "train_query": text,
        "train_rows": queries.train_rows(source, text) if source else (),
        "may_write": may_write(prompt.use_case.roles_of(user)),
        "panels": panels_for("prompt", prompt, user),
    }
