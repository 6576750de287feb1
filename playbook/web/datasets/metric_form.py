"""How answers to a dataset's prompts are judged, as a form: the settings of `contracts.metrics`, one field each."""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from pydantic import ValidationError

from playbook.contracts.metrics import Metric, MetricSettings
from playbook.scoring.settings import misfits_of, problems_of
from playbook.scoring.words import METRIC_NAMES


def _title(name: str) -> str:
    """Return a name as it begins a line; chrF keeps its small letter."""
    return name if name == "chrF" else name[0].upper() + name[1:]


_CHOICES = [(metric.value, _title(METRIC_NAMES[metric])) for metric in Metric]
_ABOUT = (
    "Exact match: the answer is the expected one. Field F1: the fields of a JSON object, one by one. Label accuracy: "
    "the class is right. chrF and ROUGE-L: likeness of texts. Rubric: rules of your own. Perplexity: how unlikely the "
    "model finds the expected answer; lower is better."
)


class MetricForm(forms.Form):
    """`answers`: the expected answers of the first test rows; settings that none of them could meet are refused."""

    metric = forms.ChoiceField(choices=_CHOICES, help_text=_ABOUT)
    secondary_metrics = forms.MultipleChoiceField(
        choices=_CHOICES,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        label="Measured beside it",
        help_text="On the same answers, at no extra cost.",
    )
    ignore_case = forms.BooleanField(required=False, label="Upper and lower case are the same")
    ignore_punctuation = forms.BooleanField(required=False, label="Punctuation does not count")
    fields_that_count = forms.CharField(
        required=False,
        max_length=5_000,
        help_text="Field F1: paths such as order.id, with commas between. Empty: all fields of the expected answer.",
    )
    label_field = forms.CharField(
        required=False, max_length=300, help_text="Label accuracy: the field that holds the label, in JSON answers."
    )
    labels = forms.CharField(
        required=False,
        max_length=20_000,
        help_text="Label accuracy: the allowed labels, with commas between. Empty: those of the test rows.",
    )
    pass_mark = forms.FloatField(
        required=False,
        min_value=0.01,
        max_value=1,
        widget=forms.NumberInput(attrs={"step": "any"}),
        help_text="A row counts as right from this score on, where a metric gives parts of a point. Empty: 1.",
    )
    json_schema = forms.CharField(
        required=False,
        max_length=100_000,
        strip=True,
        widget=forms.Textarea(attrs={"rows": 6, "class": "mono", "spellcheck": "false"}),
        label="JSON Schema",
        help_text="Valid by schema: what an answer has to look like, draft 2020-12.",
    )
    rules = forms.CharField(
        required=False,
        max_length=100_000,
        widget=forms.Textarea(attrs={"rows": 6, "class": "mono", "spellcheck": "false"}),
        help_text="Rubric: a JSON list of rules with a name and must_match, must_not_match, min_words, max_words, "
        "min_characters or max_characters; and a weight, where rules do not count the same.",
    )

    def __init__(self, settings: MetricSettings, answers: Sequence[str], data: Any = None) -> None:
        super().__init__(data, initial=_initial(settings))
        self._answers = answers

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if self.errors:
            return cleaned
        given = {
            "metric": cleaned["metric"],
            "secondary_metrics": cleaned["secondary_metrics"],
            "ignore_case": cleaned["ignore_case"],
            "ignore_punctuation": cleaned["ignore_punctuation"],
            "fields": _words(cleaned["fields_that_count"]),
            "label_field": cleaned["label_field"].strip() or None,
            "labels": _words(cleaned["labels"]),
            "pass_mark": cleaned["pass_mark"] or 1.0,
            "json_schema": self._json("json_schema", cleaned, {}) or None,
            "rules": self._json("rules", cleaned, []),
        }
        if self.errors:
            return cleaned
        try:
            settings = MetricSettings.model_validate(given)
        except ValidationError as error:
            for problem in error.errors():
                name = str(problem["loc"][0]) if problem["loc"] else ""
                field = {"fields": "fields_that_count"}.get(name, name)
                self.add_error(field if field in self.fields else None, problem["msg"].removeprefix("Value error, "))
            return cleaned
        problems = problems_of(settings)
        for sentence in problems or misfits_of(settings, self._answers):
            self.add_error(None, sentence)
        cleaned["settings"] = settings
        return cleaned

    def settings(self) -> MetricSettings:
        """Return what was chosen. Call it on a valid form."""
        found: MetricSettings = self.cleaned_data["settings"]
        return found

    def _json(self, name: str, cleaned: dict[str, Any], empty: object) -> object:
        text = cleaned[name].strip()
        if not text:
            return empty
        try:
            found = json.loads(text)
        except (ValueError, RecursionError) as error:
            self.add_error(name, f"Not JSON: {error}. Write it as in a .json file, names in double quotes.")
            return empty
        if type(found) is not type(empty):
            self.add_error(name, f"Write a JSON {'object' if isinstance(empty, dict) else 'list'} here.")
            return empty
        return found


def _initial(settings: MetricSettings) -> dict[str, Any]:
    rules = [rule.model_dump(mode="json", exclude_defaults=True) for rule in settings.rules]
    return {
        **settings.model_dump(mode="json"),
        "fields_that_count": ", ".join(settings.fields),
        "label_field": settings.label_field or "",
        "labels": ", ".join(settings.labels),
        "json_schema": json.dumps(settings.json_schema, indent=2) if settings.json_schema else "",
        "rules": json.dumps(rules, indent=2) if rules else "",
    }


def _words(text: str) -> list[str]:
    """Return the words between commas or line breaks, each once.

    >>> _words("a, b,, a")
    ['a', 'b']
    """
    parts: Iterable[str] = (part.strip() for part in text.replace("\n", ",").split(","))
    return list(dict.fromkeys(part for part in parts if part))
