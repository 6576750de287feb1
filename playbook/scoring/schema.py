"""JSON Schema for answers: checked once, then applied to each, without network and in bounded time.

jsonschema does the work. It is kept from three things: fetching what a $ref names, following a $ref that never ends,
and running patterns without a limit. Imported when a schema is compiled, so that other runs do not load it.
"""

import graphlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from playbook.scoring.patterns import BoundedPattern, PatternError

#: References followed while one answer is checked. A schema that doubles at each of 40 levels would follow 10^12.
MAX_REFERENCES = 20_000
#: Keywords whose schemas look at the same value: a circle through these alone never ends.
_IN_PLACE_ONE = ("not", "if", "then", "else")
_IN_PLACE_MANY = ("allOf", "anyOf", "oneOf")
_IN_PLACE_NAMED = ("dependentSchemas", "dependencies")
_REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


class SchemaError(ValueError):
    """A value that is no usable JSON Schema. The message says where, and what to do."""


class _TooManyReferences(Exception):
    pass


class CompiledSchema:
    """A schema ready to be applied. Raises SchemaError when it is none, loops, or refers to anything outside itself."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        from jsonschema import validators
        from jsonschema_specifications import REGISTRY

        self._patterns: dict[str, BoundedPattern] = {}
        self._followed = 0
        known = isinstance(schema.get("$schema", ""), str)
        found = validators.validator_for(schema, default=None if "$schema" in schema else _draft()) if known else None
        if found is None:
            raise SchemaError(
                f"$schema {schema['$schema']!r} is no JSON Schema draft that is known here; "
                "use https://json-schema.org/draft/2020-12/schema"
            )
        _check_is_schema(found, schema)
        # Validators of parts are chosen by $schema, which would lead past ours.
        schema = {key: value for key, value in schema.items() if key != "$schema"}
        parts = _reachable(found, schema, REGISTRY)
        if any("$schema" in part and "$vocabulary" not in part for part in parts):
            raise SchemaError("json_schema names a $schema in one of its parts; name it once, at the top")
        for pattern in _patterns_in(parts):
            self._pattern(pattern)
        bounded = validators.extend(found, self._bounded_keywords(found))
        # The registry holds the drafts' own schemas and fetches nothing.
        self._validator = bounded(schema, registry=REGISTRY)

    def is_valid(self, value: object) -> bool:
        """Tell whether a JSON value is valid. Raises PatternError when a pattern or a reference takes too long."""
        self._followed = 0
        try:
            return bool(self._validator.is_valid(value))
        except _TooManyReferences:
            raise PatternError(
                f"json_schema followed more than {MAX_REFERENCES:,} references for one answer; simplify it"
            ) from None
        except PatternError:
            raise
        except (RecursionError, ArithmeticError, ValueError):
            # Nested beyond what can be followed; or a number beyond what a multiple can be taken of.
            return False

    def _pattern(self, pattern: str) -> BoundedPattern:
        if pattern not in self._patterns:
            try:
                self._patterns[pattern] = BoundedPattern(pattern)
            except PatternError as error:
                raise SchemaError(f"json_schema: {error}") from None
        return self._patterns[pattern]

    def _bounded_keywords(self, draft: Any) -> dict[str, Any]:
        """Return our versions of the keywords that search a pattern or follow a reference."""
        from jsonschema.exceptions import ValidationError

        def pattern(validator: Any, wanted: str, instance: object, schema: object) -> Iterator[Any]:
            if validator.is_type(instance, "string") and not self._pattern(wanted).search(str(instance)):
                yield ValidationError(f"does not match {wanted!r}")

        def pattern_properties(validator: Any, wanted: Mapping[str, Any], instance: object, schema: object) -> Any:
            if not isinstance(instance, dict):
                return
            for text, inner in wanted.items():
                for key, value in instance.items():
                    if self._pattern(text).search(key):
                        yield from validator.descend(value, inner, path=key, schema_path=text)

        def additional_properties(validator: Any, wanted: Any, instance: object, schema: Mapping[str, Any]) -> Any:
            if not isinstance(instance, dict):
                return
            patterns = [self._pattern(text) for text in schema.get("patternProperties", {})]
            for key, value in instance.items():
                if key in schema.get("properties", {}) or any(one.search(key) for one in patterns):
                    continue
                if wanted is False:
                    yield ValidationError(f"{key!r} is not allowed")
                elif wanted is not True:
                    yield from validator.descend(value, wanted, path=key)

        def counted(keyword: str) -> Any:
            follow = draft.VALIDATORS[keyword]

            def reference(validator: Any, wanted: str, instance: object, schema: object) -> Any:
                self._followed += 1
                if self._followed > MAX_REFERENCES:
                    raise _TooManyReferences
                yield from follow(validator, wanted, instance, schema) or ()

            return reference

        return {
            "pattern": pattern,
            "patternProperties": pattern_properties,
            "additionalProperties": additional_properties,
            **{keyword: counted(keyword) for keyword in _REFERENCES if keyword in draft.VALIDATORS},
        }


def _check_is_schema(draft: Any, schema: object, *, where: str = "") -> None:
    """Raise SchemaError unless `schema` is one; `where`: the reference that leads to it, for the message."""
    from jsonschema import exceptions

    try:
        draft.check_schema(schema)
    except exceptions.SchemaError as error:
        place = error.json_path.removeprefix("$").lstrip(".") or where or "the schema"
        raise SchemaError(f"json_schema is no JSON Schema: {place}: {error.message[:300]}") from None
    except RecursionError:
        raise SchemaError("json_schema is nested too deeply; flatten it") from None


def _draft() -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator


def _reachable(draft: Any, schema: Mapping[str, Any], registry: Any) -> list[Mapping[str, Any]]:
    """Return every schema that an answer may meet, the given one first.

    Raises SchemaError for a reference that leads nowhere or outside, and for a circle of them.
    """
    from referencing import exceptions
    from referencing.jsonschema import specification_with

    specification = specification_with(draft.META_SCHEMA.get("$id") or draft.META_SCHEMA["id"])
    root = specification.create_resource(schema)
    found: dict[int, Mapping[str, Any]] = {}
    #: Schema → those that look at the same value, both by identity: they are parts of one document.
    in_place: dict[int, list[int]] = {}
    waiting = [(root, registry.resolver_with_root(root))]
    while waiting:
        resource, resolver = waiting.pop()
        one = resource.contents
        if not isinstance(one, Mapping) or id(one) in found:
            continue
        found[id(one)] = one
        edges = in_place.setdefault(id(one), [])
        for keyword in _REFERENCES:
            if isinstance(named := one.get(keyword), str):
                try:
                    target = resolver.lookup(named)
                except (exceptions.Unresolvable, ValueError):
                    raise SchemaError(
                        f"json_schema: {keyword} {named!r} leads to nothing inside the schema, and nothing is fetched; "
                        "copy what it names into $defs"
                    ) from None
                edges.append(id(target.contents))
                if id(target.contents) not in found:
                    _check_is_schema(draft, target.contents, where=named)
                waiting.append((specification.create_resource(target.contents), target.resolver))
        edges.extend(id(inner) for inner in _in_place(one))
        waiting.extend((inner, resolver.in_subresource(inner)) for inner in resource.subresources())
    try:
        graphlib.TopologicalSorter(in_place).prepare()
    except graphlib.CycleError:
        raise SchemaError(
            "json_schema loops: a $ref comes back to itself without going deeper into the answer; "
            "put properties or items between"
        ) from None
    return list(found.values())


def _in_place(one: Mapping[str, Any]) -> Iterator[Any]:
    yield from (one[keyword] for keyword in _IN_PLACE_ONE if keyword in one)
    for keyword in _IN_PLACE_MANY:
        yield from one.get(keyword) or ()
    for keyword in _IN_PLACE_NAMED:
        yield from (one.get(keyword) or {}).values()


def _patterns_in(schemas: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    for one in schemas:
        if isinstance(one.get("pattern"), str):
            yield one["pattern"]
        if isinstance(one.get("patternProperties"), Mapping):
            yield from one["patternProperties"]
            if "unevaluatedProperties" in one:
                raise SchemaError(
                    "json_schema: unevaluatedProperties beside patternProperties cannot be bounded in time here; "
                    "write additionalProperties"
                )
