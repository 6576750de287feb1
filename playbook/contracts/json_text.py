"""JSON as RFC 8259 and 8785 mean it: no NaN, no name twice in one object, no half of a character, no number beyond a
double.

Python's reader takes all four in silence: the first becomes the word “nan”, of two values the last one wins, half a
character cannot be written again, and 1e400 becomes infinite.
"""

import json
import math
import threading
from collections.abc import Iterator


class _Strict(threading.local):
    """One decoder a thread, for making one takes longer than a row; `wrong` is what it stumbled over last."""

    def __init__(self) -> None:
        self.wrong = ""
        self.decoder = json.JSONDecoder(
            object_pairs_hook=self._object, parse_constant=self._constant, parse_float=self._float
        )

    def _object(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            self.wrong = f'the name "{_written(twice)[:80]}" stands twice in one object'
        return found

    def _float(self, text: str) -> float:
        found = float(text)
        if math.isinf(found):
            self.wrong = f"the number {text[:40]} is beyond any that can be kept; write it as text"
        return found

    def _constant(self, name: str) -> float:
        self.wrong = f"{name} is no JSON; write a number, null or text"
        return float(name.replace("Infinity", "inf"))


_STRICT = _Strict()


def decode_strictly(text: str, at: int = 0) -> tuple[object, int, str]:
    """Return (the value that begins at `at`, where it ends, what is wrong with it or "").

    Raises ValueError where no value is, or a number has thousands of digits; RecursionError where it is too deep.
    """
    _STRICT.wrong = ""
    value, end = _STRICT.decoder.raw_decode(text, at)
    wrong = _STRICT.wrong
    if not wrong and text.find("\\u", at, end) >= 0 and (where := half_character(value)) is not None:
        wrong = f"{where or 'the text'} holds half of a surrogate pair (\\ud800 to \\udfff), which is no character"
    return value, end, wrong


def why_no_json(error: Exception) -> str:
    """Return in words why a text could not be decoded."""
    if isinstance(error, json.JSONDecodeError):
        return f"column {error.colno}: {error.msg}"
    return "nested too deeply" if isinstance(error, RecursionError) else "a number has thousands of digits"


def why_no_arguments(value: object) -> str:
    """Return why a value is nothing that a function can be called with, "" where it is: an object, or a text that holds
    one, or nothing.

    >>> why_no_arguments('{"city": "Rome"}'), why_no_arguments("[1]")
    ('', 'this is no object')
    """
    if isinstance(value, str):
        text = value.strip()
        if not text:
            return ""
        try:
            value, end, wrong = decode_strictly(text)
        except (ValueError, RecursionError) as error:
            return why_no_json(error)
        if wrong or end < len(text):
            return wrong or f"column {end + 1}: something follows the object"
    return "" if value is None or isinstance(value, dict) else "this is no object"


def half_character(value: object) -> str | None:
    """Return the path of the first text that cannot be written as UTF-8, "" for the value itself, None without any.

    >>> half_character({"messages": [{"content": "\\ud800"}]})
    'messages[0].content'
    """
    return next(_half_characters(value, ""), None)


def _half_characters(value: object, path: str) -> Iterator[str]:
    if isinstance(value, str):
        if value != _written(value):
            yield path
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name != _written(name):
                yield f"{path}.{_written(name)}".lstrip(".")
            yield from _half_characters(inner, f"{path}.{name}".lstrip("."))
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            yield from _half_characters(inner, f"{path}[{at}]")


def _written(text: str) -> str:
    return text.encode(errors="replace").decode()
