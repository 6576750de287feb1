"""The launch form: a dataset, a recipe, and the few settings that people change."""

from typing import Any

from django import forms
from pydantic import ValidationError

from playbook.contracts.run_spec import OverLength, Recipe, RunSpec
from playbook.web.datasets.models import Dataset
from playbook.web.usecases.models import UseCase


class LaunchForm(forms.Form):
    """Recipes are content files, datasets are rows; `spec()` joins the two into a validated run spec.

    A setting left empty is the recipe's own.
    """

    title = forms.CharField(max_length=200)
    recipe = forms.ChoiceField(help_text="A preset: base model, LoRA rank, learning rate, what is measured.")
    dataset = forms.ModelChoiceField(
        queryset=Dataset.objects.none(),
        empty_label=None,
        help_text="Three splits. The test split is locked: it measures, it never trains.",
    )
    max_steps = forms.IntegerField(required=False, min_value=1, max_value=100_000, label="Training steps")
    learning_rate = forms.FloatField(required=False, min_value=1e-7, max_value=1, label="Learning rate")
    over_length = forms.ChoiceField(
        required=False,
        label="Rows over the maximum length",
        choices=[("", "As the recipe says")] + [(choice.value, choice.value.capitalize()) for choice in OverLength],
        help_text="Never cut in silence: the log counts what was dropped or truncated.",
    )
    seed = forms.IntegerField(required=False, min_value=0, max_value=2**32 - 1, label="Seed")

    def __init__(self, *args: Any, use_case: UseCase, recipes: dict[str, Recipe], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.recipes = recipes
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

    @property
    def adjustable(self) -> list[forms.BoundField]:
        """The fields behind “Change the recipe's settings”."""
        return [self[name] for name in ("max_steps", "learning_rate", "over_length", "seed")]

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if not self.errors:
            try:
                cleaned["spec"] = self._spec(cleaned)
            except ValidationError as error:
                for problem in error.errors():
                    self.add_error(None, f"{'.'.join(map(str, problem['loc'])) or 'run spec'}: {problem['msg']}")
        return cleaned

    def _spec(self, cleaned: dict[str, Any]) -> RunSpec:
        settings = self.recipes[cleaned["recipe"]].settings.model_dump()
        for name in ("max_steps", "learning_rate", "over_length"):
            if cleaned[name] not in (None, ""):
                settings["training"][name] = cleaned[name]
        steps = settings["training"]["max_steps"]
        settings["training"]["warmup_steps"] = min(settings["training"]["warmup_steps"], steps)
        if cleaned["seed"] is not None:
            settings["seed"] = cleaned["seed"]
        return RunSpec(**settings, inputs=cleaned["dataset"].latest.inputs())
