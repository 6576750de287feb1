"""The published JSON Schema: the same as the model says, and it refuses what the model refuses."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from pydantic import ValidationError

from playbook.library.checklist_schema import SCHEMA_PATH, checklist_schema
from playbook.library.definition import Checklist
from playbook.library.yaml_text import read_yaml
from tests.library.kinds import every_kind, question

CONTENT = Path(__file__).parent.parent.parent / "content"
SHIPPED = sorted((CONTENT / "checklists").glob("*.yaml"))
VALIDATOR = Draft202012Validator(checklist_schema())


def errors_in(value: object) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(value)]


def with_question(**changes: Any) -> dict[str, Any]:
    return every_kind().model_dump(mode="json", exclude_defaults=True) | {"questions": [question("a", **changes)]}


def test_the_schema_is_itself_valid_and_the_file_in_the_library_is_the_same() -> None:
    Draft202012Validator.check_schema(checklist_schema())
    assert json.loads((CONTENT / SCHEMA_PATH).read_text()) == checklist_schema()


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_each_shipped_checklist_fits_and_names_the_schema(path: Path) -> None:
    assert errors_in(read_yaml(path.read_text()).value) == []
    assert path.read_text().startswith(f"# yaml-language-server: $schema=../{SCHEMA_PATH}\n")


def test_a_checklist_of_every_kind_fits() -> None:
    assert errors_in(every_kind().model_dump(mode="json", exclude_defaults=True)) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "essay"},
        {"kind": "choice"},
        {"kind": "choice", "choices": [{"id": "x", "label": "X"}]},
        {"choices": [{"id": "x", "label": "X"}, {"id": "y", "label": "Y"}]},
        {"kind": "number"},
        {"unit": "rows"},
        {"kind": "measured"},
        {"measured": {"arm": "lora", "metric": "exact_match"}},
        {"measured": {"arm": "lora", "metric": "exact_match", "at_least": 0.8, "below": 0.9}},
        {"measured": {"arm": "lora", "metric": "exact_match", "at_least": 80}},
        {"colour": "red"},
        {"kind": "number", "unit": "rows", "measured": {"arm": "lora", "metric": "exact_match", "at_least": 0.8}},
        {"measured": {"arm": "lora", "metric": "perplexity", "at_least": 0.8}},
        {"kind": "choice", "choices": [{"id": "unknown", "label": "X"}, {"id": "y", "label": "Y"}]},
    ],
)
def test_what_the_model_refuses_the_schema_refuses_too(changes: dict[str, Any]) -> None:
    assert errors_in(with_question(**changes)) != []


@pytest.mark.parametrize(
    "changes",
    [
        {"review_in": 90},  # seconds, to Python
        {"review_in": True},
        {"version": True},
        {"order": "3"},
        {"title": "  "},
        {"criterion": {"metric": "exact_match", "arm": "lora", "threshold": "0.8"}},
        {"signing": [{"role": "ml_lead", "quorum": True}]},
        {"questions": [question("a", text="\n")]},
        {"questions": [question("a", kind="number", unit="rows", minimum="0")]},
        {"questions": [question("a", kind="number", unit="rows", whole="yes")]},
        {"questions": [question("a", kind="number", unit=None)]},
        {"questions": [question("a", kind="measured", measured=None)]},
        {"questions": [question("a", measured={"arm": "lora", "metric": "exact_match", "at_least": None})]},
    ],
)
def test_model_and_schema_refuse_the_same(changes: dict[str, Any]) -> None:
    """Each of these was taken by one of the two."""
    value = every_kind().model_dump(mode="json", exclude_defaults=True) | changes
    assert errors_in(value) != []
    with pytest.raises(ValidationError):
        Checklist.model_validate(value)


def test_every_field_that_people_write_says_what_it_is() -> None:
    definitions = {"Checklist": checklist_schema()} | checklist_schema()["$defs"]
    silent = [
        f"{name}.{field}"
        for name in ("Question", "Choice", "ChecklistOutcome")
        for field, entry in definitions[name]["properties"].items()
        if "description" not in entry
    ]
    assert silent == []
