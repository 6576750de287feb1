"""Form fields for every setting of a run, made from the contract: names, descriptions, ranges and defaults are its own.

A setting that the contract gains appears in the launch form without a change here. Validation is the contract's too:
a field only turns text into a number or a choice.
"""

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Literal, Union, get_args, get_origin

from django import forms
from django.core.exceptions import ValidationError
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from playbook.contracts.metrics import MetricSettings
from playbook.contracts.refusals import NONE, range_text, setting_text
from playbook.contracts.run_spec import RunSettings

TITLES = {
    "lora": "Adapter",
    "training": "Training",
    "evaluation": "Measurement",
    "prompt": "Prompt",
    "retrieval": "Retrieval",
    "base_model": "Base model",
    "": "Run",
}
#: What `setting_value` returns for a field that was left empty.
UNCHANGED = object()
#: Longer texts, such as a system prompt, get a field of several lines.
LINE_CHARACTERS = 1000
BOOLEANS = [("true", "true"), ("false", "false")]
#: Chosen on the dataset, where its rows are at hand; the form offers the metric alone.
_OF_THE_DATASET = frozenset(MetricSettings.model_fields) - {"metric"}


@dataclass(frozen=True)
class RunSetting:
    """One setting. `path` is its place in the run spec, `name` that of its form field: the upstream name."""

    path: tuple[str, ...]
    info: FieldInfo

    @property
    def group(self) -> str:
        return self.path[0] if len(self.path) > 1 else ""

    @property
    def name(self) -> str:
        if self.group == "base_model":
            return "base_model" if self.path[-1] == "id" else f"base_model_{self.path[-1]}"
        return self.path[-1]

    @property
    def may_be_none(self) -> bool:
        return types.NoneType in get_args(self.info.annotation)

    @property
    def range_text(self) -> str:
        """`from 1 to 1,024`, `above 0, at most 1`; empty without limits."""
        return range_text(self.info.metadata)

    @property
    def help_text(self) -> str:
        """What the setting is, with unit, range and default."""
        default = "" if self.info.is_required() else f"default {setting_text(self.info.default)}"
        return "; ".join(part for part in (self.info.description or "", self.range_text, default) if part) + "."

    def value_in(self, settings: Mapping[str, Any]) -> Any:
        """Return the setting's value in a dumped run spec (mode "json")."""
        value: Any = settings
        for part in self.path:
            value = value[part]
        return value

    def put_into(self, settings: dict[str, Any], value: Any) -> None:
        """Set the setting in a dumped run spec."""
        place = settings
        for part in self.path[:-1]:
            place = place[part]
        place[self.path[-1]] = value


def run_settings() -> list[RunSetting]:
    """Return every setting of `RunSettings`, in its order, but those of the metric, which the dataset brings."""

    def found() -> Iterator[RunSetting]:
        for name, info in RunSettings.model_fields.items():
            if isinstance(info.annotation, type) and issubclass(info.annotation, BaseModel):
                for inner, inner_info in info.annotation.model_fields.items():
                    # A list of models is worked on elsewhere, on a page of its own; a clone keeps it.
                    of_the_dataset = name == "evaluation" and inner in _OF_THE_DATASET
                    if not of_the_dataset and not _is_list_of_models(inner_info.annotation):
                        yield RunSetting((name, inner), inner_info)
            else:
                yield RunSetting((name,), info)

    return list(found())


def _is_list_of_models(annotation: Any) -> bool:
    inner = get_args(annotation)[0] if get_origin(annotation) is tuple else None
    return isinstance(inner, type) and issubclass(inner, BaseModel)


def form_field(setting: RunSetting) -> forms.Field:
    """Return the form field of a setting. Empty always means: as the recipe, or the cloned job, has it."""
    shared: dict[str, Any] = {"required": False, "label": setting.name, "help_text": setting.help_text}
    kind = _kind(setting.info.annotation)
    if setting.may_be_none and kind in (int, float):
        return forms.CharField(max_length=40, **shared)  # a number, or the word none
    if kind is bool:
        return forms.ChoiceField(choices=BOOLEANS, **shared)
    if kind is int:
        return _WholeField(**shared)
    if kind is float:
        return _NumberField(widget=forms.NumberInput(attrs={"step": "any"}), **shared)
    if choices := _choices(kind):
        return forms.ChoiceField(choices=choices, **shared)
    if get_origin(kind) is tuple and (choices := _choices(get_args(kind)[0])):
        return forms.MultipleChoiceField(choices=choices, widget=forms.CheckboxSelectMultiple, **shared)
    longest = _longest(setting.info)
    if longest > LINE_CHARACTERS:
        return _LinesField(max_length=longest, strip=False, widget=forms.Textarea(attrs={"rows": 4}), **shared)
    return forms.CharField(max_length=longest, **shared)


class _AsWritten(forms.Field):
    """Keeps a text that is no number as it is: the contract refuses it, as it does in a trainer's spec."""

    def to_python(self, value: Any) -> Any:
        try:
            return super().to_python(value)
        except ValidationError:
            return value


class _WholeField(_AsWritten, forms.IntegerField):
    """A whole number, or the text that is none."""


class _NumberField(_AsWritten, forms.FloatField):
    """A number, NaN and infinity too, or the text that is none."""

    def validate(self, value: Any) -> None:
        """Leave it to the contract; Django has words of its own for what is not finite."""


class _LinesField(forms.CharField):
    """Text as it was: browsers send the line ends CR LF, and a clone must not change what nobody touched."""

    def to_python(self, value: Any) -> str:
        return (super().to_python(value) or "").replace("\r\n", "\n")


def _longest(info: FieldInfo) -> int:
    """Return how many characters a setting may have."""
    limits = [limit.max_length for limit in info.metadata if hasattr(limit, "max_length")]
    return min(limits, default=LINE_CHARACTERS)


def typed_value(setting: RunSetting, value: Any) -> str | list[str]:
    """Return a setting's value as the form would send it, to fill the form in."""
    ticked = isinstance(form_field(setting), forms.MultipleChoiceField)
    return [setting_text(one) for one in value] if ticked else setting_text(value)


def setting_value(setting: RunSetting, cleaned: Any) -> Any:
    """Return what the run spec takes for a cleaned form value; `UNCHANGED` when the field was left empty."""
    if cleaned in (None, "", []):
        return UNCHANGED
    if setting.may_be_none and cleaned == NONE:
        return None
    kind = _kind(setting.info.annotation)
    if kind is bool:
        return cleaned == "true"
    if isinstance(cleaned, str) and "," in cleaned and kind not in (int, float, str):
        return [word.strip() for word in cleaned.split(",") if word.strip()]
    return cleaned


def _kind(annotation: Any) -> Any:
    """Return the type of a setting, without `| None`; of other unions str, for they are typed as text."""
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation
    named = [kind for kind in get_args(annotation) if kind is not types.NoneType]
    return named[0] if len(named) == 1 else Any


def _choices(kind: Any) -> list[tuple[str, str]]:
    if get_origin(kind) is Literal:
        return [(str(value), str(value)) for value in get_args(kind)]
    if isinstance(kind, type) and issubclass(kind, StrEnum):
        return [(member.value, member.value) for member in kind]
    return []
