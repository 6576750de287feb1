"""JSON Schemas that people bring: what is no schema, what loops, what would fetch, what would never end."""

from typing import Any

import pytest

from playbook.scoring.patterns import PatternError
from playbook.scoring.schema import CompiledSchema, SchemaError

DRAFT, DRAFT_7 = "https://json-schema.org/draft/2020-12/schema", "http://json-schema.org/draft-07/schema#"
DRAFT_4 = "http://json-schema.org/draft-04/schema#"
TREE = {
    "$ref": "#/$defs/node",
    "$defs": {"node": {"type": "object", "properties": {"child": {"$ref": "#/$defs/node"}}}},
}


def doubling(levels: int) -> dict[str, Any]:
    """Each level asks the next one twice: 2^levels references for one answer."""
    definitions: dict[str, Any] = {f"l{at}": {"allOf": [{"$ref": f"#/$defs/l{at + 1}"}] * 2} for at in range(levels)}
    return {"$ref": "#/$defs/l0", "$defs": definitions | {f"l{levels}": {"type": "object"}}}


@pytest.mark.parametrize(
    ("schema", "valid", "invalid"),
    [
        ({}, 3, None),
        ({"type": "object", "required": ["a"]}, {"a": 1}, {}),
        (TREE, {"child": {"child": {}}}, {"child": {"child": 1}}),
        ({"type": "array", "items": {"$ref": "#"}}, [[[], []]], [[1]]),
        ({"$schema": DRAFT_7, "definitions": {"a": {"const": 1}}, "$ref": "#/definitions/a"}, 1, 2),
        ({"$schema": DRAFT, "items": {"$ref": "#"}, "type": "array"}, [[]], [1]),
        ({"$id": "https://example.com/a", "$defs": {"b": {"$anchor": "b", "const": 1}}, "$ref": "#b"}, 1, 2),
        ({"$defs": {"b": {"$id": "https://example.com/b", "const": 1}}, "$ref": "https://example.com/b"}, 1, 2),
        ({"patternProperties": {"^x": {"type": "number"}}, "additionalProperties": False}, {"x1": 1}, {"y": 1}),
        ({"properties": {"a": True}, "additionalProperties": {"type": "string"}}, {"a": 1, "b": ""}, {"b": 1}),
        ({"patternProperties": {"^x": {"type": "number"}}}, {"x1": 1, "y": ""}, {"x1": ""}),
        ({"pattern": "^a+$"}, "aa", "b"),
        ({"multipleOf": 0.1}, 1, 1e308 * 10),
        ({"multipleOf": 1e308 * 10}, "text", 1e308 * 10),
        ({"$schema": DRAFT_4, "additionalProperties": {"$ref": "#"}, "type": "object"}, {"a": {}}, {"a": 1}),
        ({"properties": {"$ref": {"const": 1}, "not": {"const": 2}}}, {"$ref": 1, "not": 2}, {"$ref": 2}),
        ({"const": {"$ref": "#/nowhere"}}, {"$ref": "#/nowhere"}, {}),
        ({"$ref": "https://json-schema.org/draft/2020-12/schema"}, {"type": "object"}, {"type": "strange"}),
    ],
)  # fmt: skip
def test_schemas_that_can_be_used(schema: dict[str, Any], valid: object, invalid: object) -> None:
    compiled = CompiledSchema(schema)

    assert compiled.is_valid(valid)
    assert invalid is None or not compiled.is_valid(invalid)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "strange"}, "is no JSON Schema: type: 'strange' is not valid"),
        ({"properties": {"a": {"type": 3}}}, "properties.a.type"),
        ({"properties": []}, "is no JSON Schema: properties"),
        ({"$schema": "https://example.com/mine"}, "no JSON Schema draft that is known"),
        ({"$schema": {}}, "no JSON Schema draft that is known"),
        ({"$schema": True}, "no JSON Schema draft that is known"),
        ({"items": {"$schema": "http://json-schema.org/draft-07/schema#"}}, "in one of its parts"),
        ({"$ref": "#"}, "loops"),
        ({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}, "loops"),
        ({"properties": {"x": {"anyOf": [{"type": "string"}, {"$ref": "#/properties/x"}]}}}, "loops"),
        ({"$defs": {"a": {"not": {"$ref": "#/$defs/a"}}}}, "loops"),
        ({"if": {"$ref": "#"}, "then": {}}, "loops"),
        ({"$ref": "#/$defs/missing"}, "leads to nothing inside the schema"),
        ({"items": {"$ref": "https://example.com/schema.json"}}, "nothing is fetched"),
        ({"items": {"$ref": "file:///etc/passwd"}}, "nothing is fetched"),
        ({"items": {"$ref": "http://["}}, "leads to nothing|nothing is fetched"),
        ({"$ref": "#/examples/0", "examples": [{"dependencies": 3}]}, "is no JSON Schema: dependencies"),
        ({"$ref": "#/examples/0", "examples": [3]}, "is no JSON Schema: #/examples/0"),
        ({"pattern": "("}, "is no (JSON Schema|regular expression)"),
        ({"patternProperties": {"(": {}}}, "is no (JSON Schema|regular expression)"),
        ({"patternProperties": {"a": {}}, "unevaluatedProperties": False}, "write additionalProperties"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(SchemaError, match=message):
        CompiledSchema(schema)


def test_a_schema_nested_a_thousand_deep_is_refused_or_used_but_stops_nothing() -> None:
    schema: dict[str, Any] = {"type": "object"}
    for _ in range(3_000):
        schema = {"items": schema}

    with pytest.raises(SchemaError, match="nested too deeply"):
        CompiledSchema(schema)


@pytest.mark.timeout(120)  # without limits these answers would never be judged
@pytest.mark.parametrize(
    ("schema", "answer", "message"),
    [
        (doubling(40), {}, "followed more than 20,000 references"),
        ({"pattern": "^(a|aa)+$"}, "a" * 80 + "!", "was stopped after"),
        ({"patternProperties": {"^(a|aa)+$": {}}}, {"a" * 80 + "!": 1}, "was stopped after"),
        ({"patternProperties": {"^(a|aa)+$": {}}, "additionalProperties": False}, {"a" * 80 + "!": 1}, "was stopped"),
        ({"propertyNames": {"pattern": "^(a|aa)+$"}}, {"a" * 80 + "!": 1}, "was stopped after"),
        (
            {"$schema": DRAFT, "type": ["string", "array"], "items": {"$ref": "#"}, "pattern": "^(a|aa)+$"},
            ["a" * 80 + "!"],
            "was stopped after",
        ),
    ],
)  # fmt: skip
def test_an_answer_is_checked_in_bounded_time(schema: dict[str, Any], answer: object, message: str) -> None:
    compiled = CompiledSchema(schema)

    with pytest.raises(PatternError, match=message):
        compiled.is_valid(answer)


def test_an_answer_nested_too_deeply_is_not_valid() -> None:
    answer: list[Any] = []
    for _ in range(900):
        answer = [answer]

    assert CompiledSchema({"type": "array", "items": {"$ref": "#"}}).is_valid(answer) is False
