"""Answers as values: JSON parsed strictly, text normalised, fields by path. Never raises on what a model wrote."""

import json
import math
import unicodedata
from collections import Counter
from collections.abc import Iterator
from typing import Any

#: Deeper JSON is not read, as RFC 8259 (section 9) allows: every walk through a value then ends well before Python's
#: limit. No expected answer is nested like that; a model that repeats "[" is.
MAX_DEPTH = 100
#: What `parse_json` returns for text that is no JSON; None would be the JSON value null.
NOT_JSON = object()
#: Path of a leaf, and its value with its type: true is not 1, "1" is not 1, but 1 is 1.0.
Leaf = tuple[str, str, object]


class NotJudged(ValueError):
    """An answer that could not be judged. The message says why; the row counts as wrong and is shown as failed."""


def parse_json(text: str) -> Any:
    """Return the one JSON value that is the whole of `text` (RFC 8259: no NaN, no Infinity), or NOT_JSON.

    What is nested more than `MAX_DEPTH` deep is not read.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return NOT_JSON
    return NOT_JSON if _is_too_deep(value) else value


def _is_too_deep(value: object) -> bool:
    layer = [value]
    for _ in range(MAX_DEPTH + 1):
        layer = [
            inner
            for one in layer
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not layer:
            return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def normalised(text: str, *, ignore_case: bool = False, ignore_punctuation: bool = False) -> str:
    """Return text as exact match compares it: NFC, runs of white space folded, then as the settings say.

    Source: the normalisation of SQuAD (Rajpurkar et al. 2016), with its steps as choices; articles stay, they mean
    something in other languages.

    >>> normalised(" Yes,  please. ", ignore_case=True, ignore_punctuation=True)
    'yes please'
    """
    text = unicodedata.normalize("NFC", text)
    if ignore_punctuation:
        text = "".join(" " if unicodedata.category(letter)[0] == "P" else letter for letter in text)
    return " ".join((text.casefold() if ignore_case else text).split())


def same_value(left: object, right: object, *, ignore_case: bool = False, ignore_punctuation: bool = False) -> bool:
    """Tell whether two JSON values are equal: key order does not count, list order does, true is not 1."""

    def same(one: object, other: object) -> bool:
        if isinstance(one, bool) or isinstance(other, bool):
            return one is other
        if isinstance(one, dict) and isinstance(other, dict):
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        if isinstance(one, list) and isinstance(other, list):
            return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
        if isinstance(one, str) and isinstance(other, str) and (ignore_case or ignore_punctuation):
            settings = {"ignore_case": ignore_case, "ignore_punctuation": ignore_punctuation}
            return normalised(one, **settings) == normalised(other, **settings)
        return one == other

    return same(left, right)


def leaves(value: object, *, ignore_case: bool = False) -> Counter[Leaf]:
    """Return every value that is not a container, under its path; the elements of a list share one path.

    >>> sorted(leaves({"tags": ["a", "b"], "order": {"id": 7}}))
    [('order.id', 'number', 7.0), ('tags[]', 'text', 'a'), ('tags[]', 'text', 'b')]
    """
    return Counter(_leaves(value, "", ignore_case))


def _leaves(value: object, path: str, ignore_case: bool) -> Iterator[Leaf]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{path}.{key}" if path else str(key), ignore_case)
    elif isinstance(value, list) and value:
        for inner in value:
            yield from _leaves(inner, f"{path}[]", ignore_case)
    elif isinstance(value, str):
        yield path, "text", normalised(value, ignore_case=ignore_case)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, "number", value if isinstance(value, int) and abs(value) > 2**53 else float(value)
    else:
        yield path, "other", json.dumps(value)


def is_within(path: str, fields: tuple[str, ...]) -> bool:
    """Tell whether a leaf belongs to one of the named fields: the field itself, or what lies in it. None: to all."""
    return not fields or any(path == field or path.startswith((f"{field}.", f"{field}[")) for field in fields)


def field_of(value: object, path: str) -> object:
    """Return what stands at `path` ("order.id") in a JSON object, or NOT_JSON when nothing does."""
    for key in path.split("."):
        if not isinstance(value, dict) or key not in value:
            return NOT_JSON
        value = value[key]
    return value


def f1(matched: float, given: float, wanted: float) -> float:
    """Return the harmonic mean of precision (matched / given) and recall (matched / wanted); 1 when both are empty.

    Source: van Rijsbergen, Information Retrieval, 2nd ed. 1979, chapter 7.

    >>> f1(2, 2, 4)
    0.6666666666666666
    """
    if given == wanted == 0:
        return 1.0
    return 2 * matched / (given + wanted)


def probability(nats: float, tokens: int) -> float:
    """Return the geometric mean of the tokens' probabilities, which is 1 / perplexity."""
    return math.exp(-nats / tokens)
