"""What a rule may not be: loops in loops, attributes, calls, and texts that CEL would end elsewhere than we do."""

import re

import pytest

from playbook.library.rules import RuleError, compile_rule

NESTED = "[1, 2].all(a, " * 30 + "true" + ")" * 30


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (NESTED, "has a loop inside a loop"),
        ("[a].exists(x, [b].exists(y, x == y))", "has a loop inside a loop"),
        ("a.__class__ == 1", "reads the attribute '__class__'"),
        ("a.b.c == 1", "reads the attribute 'b'"),
        ('__import__("os").system("id") == 1', "calls '__import__'"),
        ('a.matches("(x+)+y")', "calls 'matches'"),
        ("[1, 2].map(x, [x, x]).size() > 1", "calls 'map'"),
        ("has(a.b)", "calls 'has'"),
        ('{"a": 1} == {}', "which no rule can hold"),
        ("`a` == 1", "which no rule can hold"),
        (r'r"\" == "" || [1].all(x, [1].all(y, true)) || "" == "', 'has r before "'),
        ('a == """x"""', "write one text in quotes"),
        ('a == "x" // [1].all(', "has a comment"),
        ("a == 'x\ny'", "which no rule can hold"),
        ("a" * 1_001, "rule of 1,001 characters"),
    ],
)
def test_what_a_rule_may_not_be(source: str, message: str) -> None:
    """Refused before it runs: the nested loops alone would take until the sun is gone."""
    with pytest.raises(RuleError, match=re.escape(message)):
        compile_rule(source)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('[a, b].filter(x, x == "yes").size() == 1 && [a, b].exists(x, x == "no")', True),
        ("size([a, b]) == 2 && !(a in [\"no\", 'unknown'])", True),
        ('(a == "yes" ? 1 : 0) + (b == "yes" ? 1 : 0) >= 2', False),
        (r'a == "y\"es"', False),
    ],
)
def test_what_a_rule_may_be(source: str, expected: bool) -> None:
    assert compile_rule(source).holds({"a": "yes", "b": "no"}) is expected
