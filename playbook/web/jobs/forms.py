"""The launch form: a dataset, a recipe or a job to clone, and every setting of the run spec."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

from django import forms
from django.core.exceptions import ValidationError as FieldError
from django.db.models import QuerySet
from django.utils.functional import cached_property
from pydantic import ValidationError

from playbook.contracts.dataset import Split
from playbook.contracts.metrics import MetricSettings
from playbook.contracts.prompting import DocumentsFile
from playbook.contracts.refusals import refusals, setting_text
from playbook.contracts.run_spec import InputFile, Recipe, RunSettings, RunSpec
from playbook.web.datasets.models import Dataset, DocumentSet
from playbook.web.jobs import launch_checks
from playbook.web.jobs.compare import is_number
from playbook.web.jobs.costs import today_costs
from playbook.web.jobs.models import MAX_PRIORITY, MIN_PRIORITY, Job, Worker
from playbook.web.jobs.queries import dataset_version
from playbook.web.jobs.setting_fields import TITLES, UNCHANGED, form_field, run_settings, setting_value
from playbook.web.prompts.models import PromptVersion
from playbook.web.usecases.models import UseCase

SETTINGS = {setting.name: setting for setting in run_settings()}


@dataclass(frozen=True)
class Change:
    """A setting that differs from the recipe's, or from that of the cloned job."""

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class SettingRow:
    """One field as the form shows it. `before`: what it is left at when empty."""

    field: forms.BoundField
    before: str
    changed: bool


@dataclass(frozen=True)
class SettingGroup:
    title: str
    rows: tuple[SettingRow, ...]
    changed: int
    open: bool


class LaunchForm(forms.Form):
    """Recipes are content files, datasets are rows; the form joins the two into a validated run spec.

    A setting left empty is the recipe's own. With `source`, a job to clone, it is that job's, and so are recipe and,
    when no dataset is chosen, the files.
    """

    title = forms.CharField(max_length=200, error_messages={"required": "Give the job a title."})
    recipe = forms.ChoiceField(help_text="A preset: base model, LoRA rank, learning rate, what is measured.")
    dataset = forms.ModelChoiceField(
        queryset=Dataset.objects.none(),
        empty_label=None,
        error_messages={"required": "Choose a dataset: nothing can be measured without one."},
        help_text="Three splits. The test split is locked: it measures, it never trains.",
    )
    documents = forms.ModelChoiceField(
        queryset=DocumentSet.objects.none(),
        required=False,
        empty_label="None",
        help_text="What the arms with retrieval, RAG and RAG+LoRA, search for passages.",
    )
    prompt_version = forms.ModelChoiceField(
        queryset=PromptVersion.objects.none(),
        required=False,
        label="Prompt",
        help_text="A version from the workbench, with its worked examples, in place of the recipe’s prompt.",
    )
    priority = forms.IntegerField(
        required=False,
        min_value=MIN_PRIORITY,
        max_value=MAX_PRIORITY,
        help_text=f"Higher runs first, {MIN_PRIORITY} to {MAX_PRIORITY}; empty is 0. All use cases share one queue.",
    )

    def __init__(
        self, *args: Any, use_case: UseCase, recipes: dict[str, Recipe], source: Job | None = None, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self.recipes = recipes
        self.source = source
        self.warning = ""
        recipe_field, dataset_field = self.fields["recipe"], self.fields["dataset"]
        assert isinstance(recipe_field, forms.ChoiceField)  # noqa: S101 - declared above
        assert isinstance(dataset_field, forms.ModelChoiceField)  # noqa: S101 - declared above
        recipe_field.choices = [(slug, recipe.title) for slug, recipe in recipes.items()]
        dataset_field.queryset = (
            Dataset.objects.for_use_case(use_case)
            .filter(versions__isnull=False)
            .distinct()
            .prefetch_related("versions__files")
        )
        documents_field = self.fields["documents"]
        assert isinstance(documents_field, forms.ModelChoiceField)  # noqa: S101 - declared above
        documents_field.queryset = DocumentSet.objects.for_use_case(use_case)
        prompt_field = self.fields["prompt_version"]
        assert isinstance(prompt_field, forms.ModelChoiceField)  # noqa: S101 - declared above
        prompt_field.queryset = PromptVersion.objects.filter(prompt__use_case=use_case).select_related("prompt")
        prompt_field.empty_label = f"As in job {source.pk}" if source else "The recipe’s own"
        self._prompt = _chosen_prompt(prompt_field.queryset, self.data.get("prompt_version", ""))
        if source is not None:
            del self.fields["recipe"]
            if source.run_spec.documents is not None:
                documents_field.empty_label = f"The same as job {source.pk}"
            dataset_field.required = False
            dataset_field.empty_label = f"The same files as job {source.pk}"
            dataset_field.help_text = _about_the_files(source)
        before = self.before
        for name, setting in SETTINGS.items():
            field = form_field(setting)
            old = setting_text(setting.value_in(before)) if before else ""
            if isinstance(field, forms.ChoiceField) and not isinstance(field, forms.MultipleChoiceField):
                field.choices = [
                    ("", f"{old} (unchanged)" if old else "Unchanged"),
                    *cast("list[tuple[str, str]]", field.choices),
                ]
            elif not isinstance(field, forms.MultipleChoiceField):
                field.widget.attrs["placeholder"] = old
            self.fields[name] = field

    @property
    def before(self) -> dict[str, Any]:
        """The settings that empty fields leave as they are, as a dumped `RunSettings`; empty without a recipe.

        How answers are judged is the dataset's to say, where somebody chose it there.
        """
        if self.source is not None:
            found = self.source.run_spec.model_dump(mode="json", include=set(RunSettings.model_fields))
        else:
            recipe = self.recipes.get(self.data.get("recipe", ""))
            found = recipe.settings.model_dump(mode="json") if recipe else {}
        if found and self._prompt:
            found["prompt"] = self._prompt
        if found and self._metric:
            found["evaluation"] |= self._metric.model_dump(mode="json")
        return found

    @cached_property
    def _metric(self) -> MetricSettings | None:
        """The metric of the dataset that is chosen, None when there is none or nobody chose."""
        given, field = str(self.data.get("dataset", "")), self.fields["dataset"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101 - declared above
        if not is_number(given) or field.queryset is None:
            return None
        found: Dataset | None = field.queryset.filter(pk=given).first()
        return found.metric_settings if found else None

    @property
    def spec(self) -> RunSpec | None:
        """What would be launched; None while the form cannot be. Kept when the launch itself is refused afterwards."""
        self.is_valid()
        return cast("RunSpec | None", self.cleaned_data.get("spec"))

    @property
    def changes(self) -> list[Change]:
        """The settings that were changed, once the form has been validated."""
        return list(self._changes())

    def _changes(self) -> Iterator[Change]:
        before = self.before
        for name, setting in SETTINGS.items():
            value = setting_value(setting, getattr(self, "cleaned_data", {}).get(name))
            old = setting_text(setting.value_in(before)) if before else ""
            if value is not UNCHANGED and setting_text(value) != old:
                yield Change(name, old, setting_text(value))

    @property
    def groups(self) -> list[SettingGroup]:
        """Every setting, in the groups of the contract; a group with a change or an error is open."""
        before = self.before
        changed = {change.name for change in self.changes}
        rows: dict[str, list[SettingRow]] = {}
        for name, setting in SETTINGS.items():
            old = setting_text(setting.value_in(before)) if before else ""
            rows.setdefault(setting.group, []).append(SettingRow(self[name], old, name in changed))
        return [
            SettingGroup(
                title=TITLES.get(group, group.replace("_", " ").capitalize()),
                rows=tuple(found),
                changed=sum(row.changed for row in found),
                open=any(row.changed or row.field.errors for row in found),
            )
            for group, found in rows.items()
        ]

    def clean_dataset(self) -> Dataset | None:
        dataset: Dataset | None = self.cleaned_data["dataset"]
        version = dataset.latest if dataset else None
        if version is None:
            return dataset
        missing = [split.value for split in Split if split not in {file.split for file in version.files.all()}]
        if missing:
            named = "locked test" if Split.TEST in missing else missing[0]
            raise FieldError(
                f"“{version}” has no {named} split, and a job cannot start without one: nothing could be measured. "
                "Import it again with all three splits, or choose another dataset."
            )
        return dataset

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        try:
            spec = self._spec(cleaned)
        except ValidationError as error:
            self._add_problems(error)
            return cleaned
        if spec.trains and (problem := spec.training.warmup_problem):
            self.add_error("warmup_steps", problem)
        if problem := launch_checks.unknown_base_model(spec):
            self.add_error("base_model", problem)
        workers = list(Worker.objects.filter(disabled_at=None))
        self.warning, refuses = launch_checks.gpu_problem(spec, workers) or (
            launch_checks.absent_base_model(spec, workers),
            False,
        )
        if refuses:
            self.add_error(None, self.warning)
        if not self.errors:
            cleaned["spec"] = spec
        return cleaned

    def _spec(self, cleaned: dict[str, Any]) -> RunSpec:
        settings = self.before
        for name, setting in SETTINGS.items():
            value = setting_value(setting, cleaned.get(name))
            if value is not UNCHANGED:
                setting.put_into(settings, value)
        training = settings["training"]
        if cleaned.get("warmup_steps") is None and isinstance(training["max_steps"], int):
            # A recipe's warm-up is meant for its own number of steps.
            training["warmup_steps"] = min(training["warmup_steps"], max(training["max_steps"], 0))
        inputs = {"inputs": self._inputs(cleaned), "documents": self._documents(cleaned), "cost": today_costs()}
        return RunSpec.model_validate(settings | inputs)

    def _documents(self, cleaned: dict[str, Any]) -> DocumentsFile | None:
        chosen: DocumentSet | None = cleaned["documents"]
        if chosen is not None:
            return chosen.as_input()
        return self.source.run_spec.documents if self.source else None

    def _inputs(self, cleaned: dict[str, Any]) -> tuple[InputFile, ...]:
        dataset: Dataset | None = cleaned["dataset"]
        if dataset is not None and dataset.latest is not None:
            return dataset.latest.inputs()
        assert self.source is not None  # noqa: S101 - without one a dataset is required
        return self.source.run_spec.inputs

    def _add_problems(self, error: ValidationError) -> None:
        """Turn what the contract refuses into sentences beside their fields."""
        fields = {setting.path: name for name, setting in SETTINGS.items()}
        for found in refusals(error, RunSpec):
            path = found.path
            name = next((fields[path[:length]] for length in (2, 1) if path[:length] in fields), None)
            if not path and "no documents to search" in found.text:
                self.add_error("documents", "The arms RAG and RAG+LoRA search documents; choose which.")
            elif name is None:
                self.add_error(None, str(found))
            elif name not in self.errors:
                self.add_error(name, f"{name} {found.text}")


def _about_the_files(source: Job) -> str:
    """Say which version the files of a job to clone are, and whether the dataset has gone on since."""
    used = dataset_version(source, source.run_spec)
    if used is None:
        return f"The files of job {source.pk} are no dataset’s of this use case; the clone takes the very same ones."
    newest = used.dataset.latest
    if newest is None or newest.number == used.number:
        return f"Job {source.pk} took {used}, which is the newest version. The test split is locked: it never trains."
    return (
        f"Job {source.pk} took {used}; the newest is v{newest.number}. Choose “{used.dataset}” to take it: unless its "
        "test split is the same, the scores of the two jobs cannot be compared."
    )


def _chosen_prompt(versions: QuerySet[PromptVersion], given: object) -> dict[str, Any] | None:
    """Return the prompt that the form names, as a dumped `PromptSettings`; None for none, or one of somebody else's."""
    text = str(given)
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        return None
    found = versions.filter(pk=int(text)).first()
    return found.prompt_settings.model_dump(mode="json") if found else None
