"""What a spec is refused for, in one wording for the launch form and the trainer: the value, and what it must be."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from types import NoneType
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

#: How people write and read that a setting has no value.
NONE = "none"
_LIMITS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_OF_A_RANGE = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
#: What pydantic says of a value that is no number at all, or none that the field takes.
_OF_A_NUMBER = ("finite_number", "float_parsing", "float_type", "int_from_float", "int_parsing", "int_type")
_LONGEST_VALUE = 80


@dataclass(frozen=True)
class Refusal:
    """`path`: the names of the field, outermost first; empty for the spec as a whole. `text`: why, without the name."""

    path: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return f"{'.'.join(self.path)} {self.text}" if self.path else self.text


def refusals(error: ValidationError, model: type[BaseModel]) -> Iterator[Refusal]:
    """Yield what `model` refuses, a field once.

    >>> from playbook.contracts.run_spec import LoraSettings
    >>> try:
    ...     LoraSettings(r=0)
    ... except ValidationError as error:
    ...     print(*refusals(error, LoraSettings))
    r is 0; it must be from 1 to 1,024.
    """
    told = set()
    for problem in error.errors():
        path = tuple(map(str, problem["loc"]))
        if path in told:
            continue
        told.add(path)
        info = _field_at(model, path)
        why = (info and _number_wanted(info, problem["type"])) or problem["msg"]
        if problem["type"] == "extra_forbidden":
            yield Refusal(path, "is no setting of this version; remove it.")
        elif not path or problem["type"] == "missing":
            yield Refusal(path, f"is missing: {why}." if path else f"{why}.")
        else:
            yield Refusal(path, f"is {setting_text(problem['input'])[:_LONGEST_VALUE]}; {why}.")


def _number_wanted(info: FieldInfo, problem: str) -> str:
    """Say which numbers a field takes, when the problem is that the value is none of them; "" otherwise."""
    limits = range_text(info.metadata)
    if problem in _OF_A_RANGE:
        return f"it must be {limits}" if limits else ""
    if not problem.startswith(_OF_A_NUMBER):
        return ""
    kinds = get_args(info.annotation) or (info.annotation,)
    kind = "a whole number" if int in kinds else "a finite number"
    return " ".join(part for part in (f"it must be {kind}", limits, f"or {NONE}" if NoneType in kinds else "") if part)


def range_text(metadata: Iterable[Any]) -> str:
    """Say the limits (ge, gt, le, lt) that pydantic keeps in a field's metadata.

    >>> from pydantic import Field
    >>> range_text(Field(ge=1, le=1024).metadata)
    'from 1 to 1,024'
    >>> range_text(Field(gt=0).metadata)
    'above 0'
    """
    found = {name: getattr(limit, name) for limit in metadata for name in _LIMITS if hasattr(limit, name)}
    if "ge" in found and "le" in found:
        return f"from {found['ge']:,} to {found['le']:,}"
    return ", ".join(f"{words} {found[name]:,}" for name, words in _LIMITS.items() if name in found)


def setting_text(value: Any) -> str:
    """Write a value as people type it into the form: lists with commas, None as a word."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return ", ".join(map(setting_text, value))
    if isinstance(value, float):
        short = f"{value:g}"
        return short if float(short) == value else repr(value)
    return str(value)


def _field_at(model: type[BaseModel], path: tuple[str, ...]) -> FieldInfo | None:
    """Return the field that a path of names leads to, None where it leads elsewhere, such as into a list."""
    info = None
    at: Any = model
    for name in path:
        if not (isinstance(at, type) and issubclass(at, BaseModel)) or name not in at.model_fields:
            return None
        info = at.model_fields[name]
        at = info.annotation
    return info
