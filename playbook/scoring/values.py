"""Answers as values: JSON parsed strictly, text normalised, fields by path. Never raises on what a model wrote."""

import json
import math
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

#: Deeper JSON is not read, as RFC 8259 (section 9) allows: every walk through a value then ends well before Python's
#: limit. No expected answer is nested like that; a model that repeats "[" is.
MAX_DEPTH = 100
#: What `parse_json` returns for text that is no JSON; None would be the JSON value null.
NOT_JSON = object()
#: Path of a leaf, its value with its type (true is not 1, "1" is not 1, but 1 is 1.0), and which elements of lists of
#: objects or lists it lies in.
Leaf = tuple[str, str, object, tuple[int, ...]]
#: Lists with more pairs of elements than this are paired in their order alone.
_MOST_PAIRS = 10_000


class NotJudged(ValueError):
    """An answer that could not be judged. The message says why; the row counts as wrong and is shown as failed."""


def parse_json(text: str) -> Any:
    """Return the one JSON value that is the whole of `text` (RFC 8259: no NaN, no Infinity), or NOT_JSON.

    Not read: what is nested more than `MAX_DEPTH` deep, numbers beyond a float, and objects that hold a name twice, of
    which one reader takes the first value and another the last (RFC 7493, sections 2.2 and 2.3).
    """
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_finite, object_pairs_hook=_each_name_once)
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


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits} is beyond a float")
    return number


def _each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("an object holds a name twice")
    return found


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
    """Tell whether two JSON values are equal: key order does not count, list order does, true is not 1.

    Text is compared as `normalised`; names of fields count in full, but for how Unicode writes them.
    """

    def same(one: object, other: object) -> bool:
        if isinstance(one, bool) or isinstance(other, bool):
            return one is other
        if isinstance(one, dict) and isinstance(other, dict):
            one, other = ({_name(key): value for key, value in each.items()} for each in (one, other))
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        if isinstance(one, list) and isinstance(other, list):
            return len(one) == len(other) and all(same(a, b) for a, b in zip(one, other, strict=True))
        if isinstance(one, str) and isinstance(other, str):
            settings = {"ignore_case": ignore_case, "ignore_punctuation": ignore_punctuation}
            return normalised(one, **settings) == normalised(other, **settings)
        return one == other

    return same(left, right)


def _name(key: str) -> str:
    return unicodedata.normalize("NFC", key)


def leaves(value: object, *, ignore_case: bool = False, beside: object = NOT_JSON) -> Counter[Leaf]:
    """Return every value that is not a container, under its path; the elements of a list share one path.

    Objects and lists in a list stay apart: the quantity of one item is not that of the next. `beside`: the expected
    value; each of them then stands for the one there that it shares the most with, in whatever order they come.

    >>> sorted(leaves({"tags": ["a", "b"], "order": {"id": 7}}))
    [('order.id', 'number', 7.0, ()), ('tags[]', 'text', 'a', ()), ('tags[]', 'text', 'b', ())]
    """
    return Counter(_leaves(value, beside, "", (), ignore_case))


def _leaves(value: object, beside: object, path: str, places: tuple[int, ...], ignore_case: bool) -> Iterator[Leaf]:
    if isinstance(value, dict) and value:
        named = {_name(key): inner for key, inner in beside.items()} if isinstance(beside, dict) else {}
        for key, inner in value.items():
            name = _name(key)
            # A field called "order.id" is not the field id of an order.
            step = f'"{name}"' if "." in name or "[" in name else name
            yield from _leaves(
                inner, named.get(name, NOT_JSON), f"{path}.{step}" if path else step, places, ignore_case
            )
    elif isinstance(value, list) and value:
        there = beside if isinstance(beside, list) else []
        for inner, place in zip(value, _places(value, there), strict=True):
            deeper = places if place is None else (*places, place)
            partner = there[place] if place is not None and place < len(there) else NOT_JSON
            yield from _leaves(inner, partner, f"{path}[]", deeper, ignore_case)
    elif isinstance(value, str):
        yield path, "text", normalised(value, ignore_case=ignore_case), places
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, "number", value if isinstance(value, int) and abs(value) > 2**53 else float(value), places
    else:
        yield path, "other", json.dumps(value), places


def _places(given: Sequence[object], wanted: Sequence[object]) -> list[int | None]:
    """Return the element of `wanted` that each container in `given` stands for, the best pairs first; further numbers
    for what is too many, None for plain values."""
    free = [at for at, one in enumerate(wanted) if isinstance(one, dict | list)]
    waiting = [at for at, one in enumerate(given) if isinstance(one, dict | list)]
    found: list[int | None] = [None] * len(given)
    if free and max(len(free), len(waiting)) > 1 and len(free) * len(waiting) <= _MOST_PAIRS:
        here, there = ({at: leaves(each[at]) for at in ats} for each, ats in ((given, waiting), (wanted, free)))
        pairs = sorted((-(here[at] & there[to]).total(), abs(at - to), at, to) for at in waiting for to in free)
        taken = set[int]()
        for shared, _, at, to in pairs:
            if shared and found[at] is None and to not in taken:
                found[at] = to
                taken.add(to)
        free = [to for to in free if to not in taken]
        waiting = [at for at in waiting if found[at] is None]
    for number, at in enumerate(waiting):
        found[at] = free[number] if number < len(free) else len(wanted) + at
    return found


def is_within(path: str, fields: tuple[str, ...]) -> bool:
    """Tell whether a leaf belongs to one of the named fields: the field itself, or what lies in it. None: to all."""
    path = path.replace('"', "")
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
