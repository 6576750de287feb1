"""YAML text → plain values with line numbers. Bounded, so that no file can exhaust memory or the stack.

Aliases are refused (they are what a YAML bomb is made of), so are keys written twice, deep nesting and tags. Booleans
are `true` and `false` alone, as in YAML 1.2: the answers `yes` and `no` stay text.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from playbook.library.problems import ContentError

MAX_YAML_BYTES = 256 * 1024
MAX_DEPTH = 20

Model = TypeVar("Model", bound=BaseModel)
#: What can open a level of nesting in block style: columns, and "- " or "? " before a value.
_LINE_START = re.compile(r"^[ \t?:-]*", re.MULTILINE)
Path = tuple[str | int, ...]


class _Loader(yaml.CSafeLoader):
    """libyaml's safe loader with the booleans of YAML 1.2, and without numbers to the base of sixty: 1:30 stays text,
    and no long one keeps the parser busy."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag.rpartition(":")[2] not in ("bool", "int", "float")]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        """Say where a value is that cannot be made, such as a 13th month."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, OverflowError) as error:
            raise yaml.constructor.ConstructorError(None, None, str(error), node.start_mark) from error


_DIGITS = list("-+0123456789")
_FLOAT = r"^[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?$|^[-+]?\.(?:inf|Inf|INF)$|^\.(?:nan|NaN|NAN)$"
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile("^(?:true|false)$"), list("tf"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(_FLOAT), [*_DIGITS, "."])
_Loader.add_implicit_resolver("tag:yaml.org,2002:int", re.compile("^[-+]?(?:0|[1-9][0-9_]{0,30})$"), _DIGITS)


@dataclass(frozen=True)
class YamlText:
    """A parsed document: its value, and the line on which each part of it begins."""

    value: Any
    lines: dict[Path, int] = field(repr=False)

    def line(self, path: Sequence[str | int]) -> int:
        """Return the line of `path`, or of its nearest parent that the file holds."""
        parts = tuple(path)
        while parts and parts not in self.lines:
            parts = parts[:-1]
        return self.lines.get(parts, 1)

    def parse(self, model: type[Model]) -> Model:
        """Return the value as `model`. Raises ContentError with one entry for each field that does not fit."""
        if not isinstance(self.value, dict):
            raise ContentError((self.line(()), f"expected fields ('name: value'), got {_shown(self.value)}"))
        try:
            return model.model_validate(self.value)
        except ValidationError as error:
            raise ContentError(*[self._explain(found) for found in _at_their_root(error)]) from error

    def entries(self) -> list["YamlText"]:
        """Return the entries of a list, each with its lines. Raises ContentError when it is no list."""
        if not isinstance(self.value, list):
            raise ContentError((self.line(()), f"expected a list of entries ('- id: ...'), got {_shown(self.value)}"))
        lines: list[dict[Path, int]] = [{} for _ in self.value]
        for path, line in self.lines.items():
            if path:
                lines[int(path[0])][path[1:]] = line
        return [YamlText(entry, own) for entry, own in zip(self.value, lines, strict=True)]

    def inside(self, name: str) -> "YamlText":
        """Return the value of one field, with its lines."""
        return YamlText(self.value[name], {path[1:]: line for path, line in self.lines.items() if path[:1] == (name,)})

    def _explain(self, found: dict[str, Any]) -> tuple[int, str]:
        where = ".".join(str(part) for part in found["loc"])
        if found["type"] == "extra_forbidden":
            return self.line(found["loc"]), f"unknown field {where!r}; remove it or correct its name"
        if found["type"] == "missing":
            return self.line(found["loc"]), f"field {where!r} is missing; add it"
        message = "write a list, as [one, two]" if found["type"] == "tuple_type" else str(found["msg"])
        message = message.removeprefix("Value error, ")
        return self.line(found["loc"]), f"{where or 'file'}: {message} (got {_shown(found['input'])})"


def _at_their_root(error: ValidationError) -> list[dict[str, Any]]:
    """Return what was found, but for lists that are too short only because their entries are wrong."""
    found: list[dict[str, Any]] = [dict(one) for one in error.errors()]
    inner = {one["loc"][:depth] for one in found for depth in range(len(one["loc"]))}
    return [one for one in found if one["type"] != "too_short" or one["loc"] not in inner]


def read_yaml(text: str, *, first_line: int = 1) -> YamlText:
    """Parse `text`; lines are counted from `first_line`. Raises ContentError naming the line and the fix.

    >>> read_yaml("answer: yes").value
    {'answer': 'yes'}
    """
    if len(text.encode()) > MAX_YAML_BYTES:
        raise ContentError((first_line, f"{len(text):,} characters of YAML; keep it under {MAX_YAML_BYTES:,} bytes"))
    loader = _Loader(text)
    try:
        if _may_be_bomb(text):
            _refuse_bombs(text, first_line)
        node = loader.get_single_node()
        lines: dict[Path, int] = {(): first_line}
        _note_lines(node, (), lines, first_line)
        return YamlText(value=None if node is None else loader.construct_document(node), lines=lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ContentError(
            (first_line + (mark.line if mark else 0), f"not YAML: {error.problem}{_fix(error.problem)}")
        ) from error
    except yaml.reader.ReaderError as error:
        line = first_line + text.encode()[: error.position].count(b"\n")
        raise ContentError((line, f"not YAML: {str(error).splitlines()[0]}")) from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise ContentError((first_line, f"not YAML: {str(error).splitlines()[0]}")) from error
    finally:
        loader.dispose()


#: What people who do not write YAML every day get wrong, and what to do about it.
_FIXES = {
    "cannot start any token": "; indent with spaces, not with tabs, and put a text that begins with @ or ` in quotes",
    "mapping values are not allowed": "; put a text that holds a colon and a space in quotes",
    "did not find expected '-' indicator": "; begin this line in the same column as the lines above it",
    "did not find expected key": "; begin this line in the same column as the lines above it, and close every quote",
}


def _fix(problem: str | None) -> str:
    return next((fix for words, fix in _FIXES.items() if words in (problem or "")), "")


def _may_be_bomb(text: str) -> bool:
    """Return whether a closer look is due: a bomb needs anchors, or more nesting than these counts allow. Most front
    matter needs no second pass of the parser."""
    if "&" in text or "*" in text:
        return True
    widest = max((len(found[0]) for found in _LINE_START.finditer(text)), default=0)
    return 2 * (widest + 1) + text.count("[") + text.count("{") > MAX_DEPTH


def _refuse_bombs(text: str, first_line: int) -> None:
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        line = first_line + (event.start_mark.line if event.start_mark else 0)
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise ContentError((line, "anchors and aliases (& and *) are refused; write the value out"))
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ContentError((line, f"nested more than {MAX_DEPTH} deep; flatten it"))


def _note_lines(node: yaml.Node | None, path: Path, lines: dict[Path, int], first_line: int) -> None:
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            lines[(*path, index)] = first_line + child.start_mark.line
            _note_lines(child, (*path, index), lines, first_line)
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, child in node.value:
            line = first_line + key.start_mark.line
            if not isinstance(key, yaml.ScalarNode):
                raise ContentError((line, "a field name must be plain text"))
            if key.value in seen:
                raise ContentError((line, f"field {key.value!r} is written twice; keep one"))
            seen.add(key.value)
            lines[(*path, key.value)] = line
            _note_lines(child, (*path, key.value), lines, first_line)


def _shown(value: object, *, limit: int = 60) -> str:
    try:
        text = str(value) if isinstance(value, date) else repr(value)
    except ValueError:  # a whole number of more digits than Python writes
        text = type(value).__name__
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
