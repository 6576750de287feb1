"""Checklist rules: CEL expressions over answers, compiled once. Never `eval`.

CEL (https://cel.dev) has no loops without bounds, no attribute access into Python and no side effects; here it sees
the answers as strings ("" where a question was not asked) and nothing else.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import cel

MAX_EXPRESSION_CHARACTERS = 1_000
#: `x` in `[a, b].filter(x, x == "yes")`.
_LOOP_NAME = re.compile(r"\.\s*(?:all|exists|exists_one|filter|map)\(\s*([A-Za-z_]\w*)\s*,")


class RuleError(ValueError):
    """An expression that cannot be compiled or does not answer true or false. The message names the expression."""


@dataclass(frozen=True)
class Rule:
    """A compiled condition over answers."""

    source: str
    names: frozenset[str]
    """Every name that the expression reads, the loop names of its macros included."""
    _program: cel.Program

    def holds(self, answers: Mapping[str, str]) -> bool:
        """Return whether the condition is met; every name of the rule must be in `answers`. Raises RuleError."""
        try:
            value = self._program.execute(dict(answers))
        except (RuntimeError, TypeError, ValueError) as error:
            raise RuleError(f"rule {self.source!r} fails: {_first_sentence(error)}") from error
        if not isinstance(value, bool):
            raise RuleError(f"rule {self.source!r} gives {value!r}; write a comparison that is true or false")
        return value


@lru_cache(maxsize=4096)
def compile_rule(source: str) -> Rule:
    """Compile an expression. Raises RuleError when it is too long or no CEL.

    >>> rule = compile_rule('prompting == "yes" && examples in ["no", "unknown"]')
    >>> sorted(rule.names), rule.holds({"prompting": "yes", "examples": "no"})
    (['examples', 'prompting'], True)
    """
    if len(source) > MAX_EXPRESSION_CHARACTERS:
        raise RuleError(f"rule of {len(source):,} characters; keep it under {MAX_EXPRESSION_CHARACTERS:,}")
    try:
        program = cel.compile(source)
    except ValueError as error:
        raise RuleError(f"rule {source!r} is not CEL: {_syntax_error(error)}") from error
    return Rule(source=source, names=frozenset(program.variables()), _program=program)


def unknown_names(rule: Rule, allowed: Iterable[str]) -> list[str]:
    """Return the names in a rule that are neither allowed there nor its own loop names, sorted."""
    return sorted(rule.names - set(allowed) - set(_LOOP_NAME.findall(rule.source)))


def _first_sentence(error: Exception) -> str:
    return str(error).split(". ")[0].split("\n")[0]


def _syntax_error(error: ValueError) -> str:
    """Return the parser's own words, without the copy of the expression and the list of all tokens."""
    text = str(error)
    start = text.find("Syntax error:")
    return text[start:].split("\n")[0].split(" expecting ")[0] if start >= 0 else text.split("\n")[0][:120]
