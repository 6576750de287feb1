"""Checklist rules: CEL expressions over answers, compiled once. Never `eval`.

CEL (https://cel.dev) has no loops without bounds, no attribute access into Python and no side effects; here it sees
the answers and nothing else: texts ("" where a question was not asked, "unknown"), and numbers as numbers.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import cel

from playbook.library.rule_syntax import (
    Comparison,
    RuleError,
    Token,
    compared_texts,
    comparisons,
    is_only_compared,
    loop_names,
    refuse_strange,
    tokens_of,
)

__all__ = ["MAX_EXPRESSION_CHARACTERS", "Rule", "RuleError", "compile_rule", "unknown_names"]

MAX_EXPRESSION_CHARACTERS = 1_000


@dataclass(frozen=True)
class Rule:
    """A compiled condition over answers."""

    source: str
    names: frozenset[str]
    """Every name that the expression reads, the loop names of its macros included."""
    _program: cel.Program
    _tokens: tuple[Token, ...]

    def holds(self, answers: Mapping[str, str | float], *, numbers: Collection[str] = ()) -> bool:
        """Return whether the condition is met; every name of the rule must be in `answers`. Raises RuleError.

        `numbers`: the names that are questions for a number. Where such a number is unknown or was not asked for, it
        is a text in `answers`: a comparison with it does not hold, and neither does its opposite.
        """
        try:
            value = self._program.execute(dict(answers))
        except (RuntimeError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            if any(name in numbers and isinstance(answers[name], str) for name in self.names):
                return False
            raise RuleError(f"rule {self.source!r} fails: {_first_sentence(error)}") from error
        if not isinstance(value, bool):
            raise RuleError(f"rule {self.source!r} gives {value!r}; write a comparison that is true or false")
        return value

    def comparisons(self, name: str) -> Iterator[Comparison]:
        """Yield the numbers with which the rule compares the number `name`. Raises RuleError for any other use."""
        return comparisons(self.source, self._tokens, name)

    def only_compares(self, name: str) -> bool:
        """Return whether the question `name` is only compared with texts, so that all others are alike to the rule."""
        return is_only_compared(self._tokens, name)

    def compared_texts(self, name: str) -> list[str]:
        """Return the texts with which the rule compares the question `name`, lists of `in` included."""
        return compared_texts(self._tokens, name)


@lru_cache(maxsize=4096)
def compile_rule(source: str) -> Rule:
    """Compile an expression. Raises RuleError when it is too long, no CEL, or more than a rule may be.

    >>> rule = compile_rule('prompting == "yes" && examples in ["no", "unknown"]')
    >>> sorted(rule.names), rule.holds({"prompting": "yes", "examples": "no"})
    (['examples', 'prompting'], True)
    """
    if len(source) > MAX_EXPRESSION_CHARACTERS:
        raise RuleError(f"rule of {len(source):,} characters; keep it under {MAX_EXPRESSION_CHARACTERS:,}")
    tokens = tuple(tokens_of(source))
    refuse_strange(source, tokens)
    try:
        program = cel.compile(source)
    except ValueError as error:
        raise RuleError(f"rule {source!r} is not CEL: {_syntax_error(error)}") from error
    return Rule(source=source, names=frozenset(program.variables()), _program=program, _tokens=tokens)


def unknown_names(rule: Rule, allowed: Iterable[str]) -> list[str]:
    """Return the names in a rule that are neither allowed there nor its own loop names, sorted."""
    return sorted(rule.names - set(allowed) - loop_names(rule._tokens))


def _first_sentence(error: Exception) -> str:
    return str(error).split(". ")[0].split("\n")[0]


def _syntax_error(error: ValueError) -> str:
    """Return the parser's own words, without the copy of the expression and the list of all tokens."""
    text = str(error)
    start = text.find("Syntax error:")
    return text[start:].split("\n")[0].split(" expecting ")[0] if start >= 0 else text.split("\n")[0][:120]
