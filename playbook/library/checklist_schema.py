"""The JSON Schema of a checklist file, for editors that check while somebody types.

Made from the model that reads the files, so the two cannot differ; what only a rule's path shows is `check_content`'s.
"""

from typing import Any

from playbook.contracts.metrics import CRITERION_METRICS
from playbook.contracts.roles import SIGNING_ROLES
from playbook.library.definition import UNKNOWN, Checklist

#: Where the schema lies, relative to the content folder; each checklist names it in its first line.
SCHEMA_PATH = "checklist.schema.json"


def checklist_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of `content/checklists/<slug>.yaml`."""
    schema = Checklist.model_json_schema(mode="validation")
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "A checklist"
    definitions = schema["$defs"]
    definitions["Question"]["allOf"] = [
        _when("choice", required=["choices"], only=["choices"]),
        _when("number", required=["unit"], only=["unit", "minimum", "maximum", "whole"]),
        _when("measured", required=["measured"], only=[]),
        {
            "if": {"properties": {"kind": {"enum": ["choice", "number", "text"]}}, "required": ["kind"]},
            "then": {"properties": {"measured": {"type": "null"}}},
        },
    ]
    shares = {"enum": sorted(metric.value for metric in CRITERION_METRICS)}
    definitions["Measured"]["properties"]["metric"] = definitions["Criterion"]["properties"]["metric"] = shares
    definitions["Choice"]["properties"]["id"]["not"] = {"const": UNKNOWN}
    definitions["Question"]["properties"]["choices"]["minItems"] = 2
    definitions["Measured"]["oneOf"] = [_given("at_least"), _given("below")]
    definitions["Signing"]["properties"]["role"] = {"enum": sorted(role.value for role in SIGNING_ROLES)}
    _refuse_blanks(schema)
    return schema


def _given(*names: str) -> dict[str, Any]:
    """Return the rule that fields stand there, and not as null."""
    return {"required": list(names), "properties": {name: {"not": {"type": "null"}} for name in names}}


def _refuse_blanks(schema: Any) -> None:
    """Have every text that must not be empty hold more than blanks, which the model strips first."""
    if isinstance(schema, dict):
        if schema.get("minLength") == 1:
            schema.setdefault("pattern", r"\S")
        for part in schema.values():
            _refuse_blanks(part)
    elif isinstance(schema, list):
        for part in schema:
            _refuse_blanks(part)


def _when(kind: str, *, required: list[str], only: list[str]) -> dict[str, Any]:
    """Return the rule that a question of `kind` needs some fields, and that others may not have `only`."""
    return {
        "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
        "then": _given(*required),
        "else": {"properties": dict.fromkeys(only, False)},
    }
