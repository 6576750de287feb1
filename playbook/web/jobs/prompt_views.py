"""Measuring a prompt: the panel of the workbench, and where its form is sent."""

from typing import Any

from django import forms
from django.http import HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods
from django_htmx.http import HttpResponseStopPolling

from playbook.contracts.metrics import MetricSettings
from playbook.contracts.run_spec import BaseModelRef
from playbook.scoring.words import METRIC_NAMES
from playbook.web.accounts.models import User
from playbook.web.common.content import library
from playbook.web.common.permissions import Conflict
from playbook.web.common.requests import HtmxRequest, wants_fragment
from playbook.web.datasets.models import DatasetVersion
from playbook.web.jobs.models import Worker
from playbook.web.jobs.prompt_trials import TrialGroup, measure_prompt, trials_of
from playbook.web.prompts.models import Prompt
from playbook.web.prompts.queries import dataset_versions, get_prompt
from playbook.web.usecases.models import may_write
from playbook.web.usecases.permissions import require_role, signed_in

DEFAULT_MAX_NEW_TOKENS = 64


class MeasureForm(forms.Form):
    """Which version is measured, on whose validation rows, with which model."""

    version = forms.TypedChoiceField(coerce=int)
    dataset = forms.TypedChoiceField(
        coerce=int, help_text="Its validation rows are answered, and judged by its metric."
    )
    base_model = forms.ChoiceField()
    max_new_tokens = forms.IntegerField(
        min_value=1, max_value=4096, initial=DEFAULT_MAX_NEW_TOKENS, help_text="An answer is cut after so many tokens."
    )

    def __init__(self, *args: Any, prompt: Prompt, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._versions = {version.number: version for version in prompt.versions.all()}
        self._datasets: dict[int, DatasetVersion] = dataset_versions(prompt.use_case)
        choices: dict[str, list[tuple[Any, Any]]] = {
            "version": [(number, f"Version {number}") for number in self._versions],
            "dataset": [(pk, _judged_by(version)) for pk, version in self._datasets.items()],
            "base_model": [(name, name) for name in base_models()],
        }
        for name, offered in choices.items():
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)  # noqa: S101 - declared above
            field.choices = offered

    @property
    def may_measure(self) -> bool:
        """Whether there is anything to choose from."""
        return bool(self._versions and self._datasets)

    def launch(self, actor: User) -> None:
        """Launch the job. Call it on a valid form. Raises Conflict."""
        measure_prompt(
            self._versions[self.cleaned_data["version"]],
            dataset_version=self._datasets[self.cleaned_data["dataset"]],
            base_model=BaseModelRef(id=self.cleaned_data["base_model"]),
            max_new_tokens=self.cleaned_data["max_new_tokens"],
            actor=actor,
        )


@require_http_methods(["GET", "HEAD", "POST"])
def measure(request: HtmxRequest, pk: int) -> HttpResponse:
    """Show the measurements of a prompt's versions; measure one on the validation split."""
    user = signed_in(request)
    prompt = get_prompt(user, pk)
    if request.method != "POST":
        context = panel_context(prompt, user)
        if not (wants_fragment(request) and request.htmx.target == "trials"):
            return render(request, "jobs/prompt_measure.html", {"prompt": prompt, "panel": context})
        response = render(request, "jobs/_prompt_trials.html", {"panel": context})
        return response if context["running"] else HttpResponseStopPolling(response.content)
    require_role(user, prompt.use_case)
    form = MeasureForm(request.POST, prompt=prompt)
    status = 422
    if form.is_valid():
        try:
            form.launch(user)
        except Conflict as conflict:
            form.add_error(None, str(conflict))
            status = 409
        else:
            if not wants_fragment(request):
                return HttpResponseRedirect(f"{prompt.get_absolute_url()}#measure")
            status = 200
    template = "jobs/_prompt_panel.html" if wants_fragment(request) else "jobs/prompt_measure.html"
    context = panel_context(prompt, user, form=form)
    return render(request, template, {"prompt": prompt, "panel": context}, status=status)


def panel_context(prompt: Prompt, user: User, *, form: MeasureForm | None = None) -> dict[str, Any]:
    """Return the context of the panel: the form, filled as the newest trial was, and the trials."""
    groups = trials_of(prompt)
    return {
        "prompt": prompt,
        "groups": groups,
        "running": any(not trial.job.is_ended for group in groups for trial in group.trials),
        "form": form or MeasureForm(prompt=prompt, initial=_as_before(groups)),
        "may_write": may_write(prompt.use_case.roles_of(user)),
    }


def _judged_by(version: DatasetVersion) -> str:
    """`Support tickets, by field F1`."""
    metric = (version.dataset.metric_settings or MetricSettings()).metric
    return f"{version.dataset}, by {METRIC_NAMES[metric]}"


def _as_before(groups: list[TrialGroup]) -> dict[str, Any]:
    if not groups:
        return {}
    newest = groups[0]
    found: dict[str, Any] = {"base_model": newest.base_model, "max_new_tokens": newest.max_new_tokens}
    return found | ({"dataset": newest.dataset.version.dataset_id} if newest.dataset else {})


def base_models() -> list[str]:
    """Return the base models to choose from: those that workers have, then the others of the site's list."""
    offered = {model for worker in Worker.objects.filter(disabled_at=None) for model in worker.base_models}
    listed = [model.id for model in library().base_models.values() if model.status == "active"]
    return [*sorted(offered), *(model for model in listed if model not in offered)]
