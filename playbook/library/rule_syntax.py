"""The part of CEL that checklist rules may use, looked at before CEL sees it.

CEL always ends, but loops inside loops over short lists can take longer than anybody waits, and a comparison of a
number with anything but a number that stands there cannot be checked for all answers. So both are refused, with words.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

#: What runs over a list, and the functions that a rule may call besides.
LOOPS = frozenset({"all", "exists", "exists_one", "filter"})
FUNCTIONS = LOOPS | {"size"}
COMPARISONS = ("<=", ">=", "==", "!=", "<", ">")
_MIRRORED = {"<": ">", ">": "<", "<=": ">=", ">=": "<=", "==": "==", "!=": "!="}
#: What may stand beside a comparison without changing what is compared.
_BEFORE = frozenset({"", "(", "&&", "||", "?", ":", ","})
_AFTER = frozenset({"", ")", "&&", "||", "?", ":", ","})
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    | (?P<number>-?(?:\d+\.\d+|\d+)(?![\w.]))
    | (?P<name>[A-Za-z_]\w*)
    | (?P<mark>&&|\|\||<=|>=|==|!=|[-+*/%<>!?:.,()\[\]])
    )""",
    re.VERBOSE | re.ASCII,
)


class RuleError(ValueError):
    """An expression that cannot be compiled or does not answer true or false. The message names the expression."""


@dataclass(frozen=True)
class Token:
    """A piece of a rule: `kind` is text, number, name or mark."""

    kind: str
    text: str


@dataclass(frozen=True)
class Comparison:
    """A number question against a number that stands in the rule; `operator` as if the name stood first."""

    operator: str
    value: Decimal


def tokens_of(source: str) -> list[Token]:
    """Return the pieces of a rule. Raises RuleError for what no rule needs, such as { } and 0x10."""
    tokens, position, text = list[Token](), 0, source.rstrip()
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            near = text[position:].strip()[:12]
            raise RuleError(f"rule {source!r} has {near!r}, which no rule can hold; compare answers with == < > in")
        kind = str(found.lastgroup)
        tokens.append(Token(kind, found[kind]))
        position = found.end()
    return tokens


def refuse_strange(source: str, tokens: Sequence[Token]) -> None:
    """Raise RuleError for attributes, functions beyond FUNCTIONS, a loop inside another loop, and for texts and
    comments that CEL would end elsewhere than `tokens_of` does: r"…", three quotes, //."""
    open_loops: list[bool] = []
    for index, token in enumerate(tokens):
        before, after = _at(tokens, index - 1), _at(tokens, index + 1)
        if token.kind == "name" and before == "." and after != "(":
            raise RuleError(f"rule {source!r} reads the attribute {token.text!r}; a rule compares answers")
        if token.kind == "name" and after == "(" and token.text not in (*FUNCTIONS, "in"):
            raise RuleError(f"rule {source!r} calls {token.text!r}; a rule compares answers, and may use size()")
        if token.kind == "text" and index and tokens[index - 1].kind in ("text", "name") and before != "in":
            raise RuleError(f"rule {source!r} has {before[:20]} before {token.text[:20]}; write one text in quotes")
        if token.text == "/" == after:
            raise RuleError(f"rule {source!r} has a comment; write it as a YAML comment, after #")
        if token.text == "(" and token.kind == "mark":
            loop = before in LOOPS and _at(tokens, index - 2) == "."
            if loop and any(open_loops):
                raise RuleError(f"rule {source!r} has a loop inside a loop; write two rules or compare one by one")
            open_loops.append(loop)
        if token.text == ")" and token.kind == "mark" and open_loops:
            open_loops.pop()


def loop_names(tokens: Sequence[Token]) -> frozenset[str]:
    """Return the names that loops give to the entries of a list: `x` in `[a, b].filter(x, x == "yes")`."""
    return frozenset(
        token.text
        for index, token in enumerate(tokens)
        if token.kind == "name"
        and _at(tokens, index - 1) == "("
        and _at(tokens, index - 2) in LOOPS
        and _at(tokens, index - 3) == "."
        and _at(tokens, index + 1) == ","
    )


def comparisons(source: str, tokens: Sequence[Token], name: str) -> Iterator[Comparison]:
    """Yield what a rule compares the number `name` with. Comparisons with a text ("unknown") are left out.

    Raises RuleError for any other use of the name: a sum, a list, or another question.
    """
    for index, token in enumerate(tokens):
        if (token.kind, token.text) != ("name", name):
            continue
        found = _compared(tokens, index)
        if found is None:
            raise RuleError(
                f"rule {source!r} uses the number {name!r} in another way than {name} >= 50; "
                'compare it with one number, or with "unknown"'
            )
        if isinstance(found, Comparison):
            yield found


def compared_texts(tokens: Sequence[Token], name: str) -> list[str]:
    """Return the texts that stand beside `name` in a comparison, or in the list after `name in`."""
    found = list[str]()
    for index, token in enumerate(tokens):
        if (token.kind, token.text) != ("name", name):
            continue
        for sign, other in ((index + 1, index + 2), (index - 1, index - 2)):
            if _at(tokens, sign) in ("==", "!=") and 0 <= other < len(tokens) and tokens[other].kind == "text":
                found.append(tokens[other].text[1:-1])
        if _at(tokens, index + 1) == "in" and _at(tokens, index + 2) == "[":
            end = next((place for place in range(index, len(tokens)) if tokens[place].text == "]"), len(tokens))
            found += [entry.text[1:-1] for entry in tokens[index + 3 : end] if entry.kind == "text"]
    return found


def is_only_compared(tokens: Sequence[Token], name: str) -> bool:
    """Return whether a rule does nothing else with `name` than to compare it with texts, one by one or with `in`."""
    places = [index for index, token in enumerate(tokens) if (token.kind, token.text) == ("name", name)]
    return all(_listed(tokens, index) or isinstance(_compared(tokens, index), str) for index in places)


def _listed(tokens: Sequence[Token], index: int) -> bool:
    """Return whether a name stands before `in ["…", "…"]`, and nothing else is done with either."""
    if (_at(tokens, index - 1), _at(tokens, index + 1), _at(tokens, index + 2)) not in {
        (before, "in", "[") for before in _BEFORE
    }:
        return False
    end = next((place for place in range(index, len(tokens)) if tokens[place].text == "]"), len(tokens))
    inside = tokens[index + 3 : end]
    return _at(tokens, end + 1) in _AFTER and all(token.kind == "text" or token.text == "," for token in inside)


def _compared(tokens: Sequence[Token], index: int) -> Comparison | str | None:
    """Return the comparison around a name, the text that it is compared with, or None for another use."""
    for operator, other, edge, mirrored in (
        (index + 1, index + 2, (index - 1, index + 3), False),
        (index - 1, index - 2, (index - 3, index + 1), True),
    ):
        sign = _at(tokens, operator)
        if sign not in COMPARISONS or _at(tokens, edge[0]) not in _BEFORE or _at(tokens, edge[1]) not in _AFTER:
            continue
        against = tokens[other] if 0 <= other < len(tokens) else None
        if against is None:
            continue
        if against.kind == "number" and len(against.text.lstrip("-").replace(".", "")) <= 15:
            return Comparison(_MIRRORED[sign] if mirrored else sign, Decimal(against.text))
        if against.kind == "text" and sign in ("==", "!="):
            return against.text[1:-1]
    return None


def _at(tokens: Sequence[Token], index: int) -> str:
    """Return the text of a token; "" beyond either end. A text in quotes keeps them, so it is never a mark."""
    return tokens[index].text if 0 <= index < len(tokens) else ""
