"""Lists that a text holds as JSON: messages and tools in the cells of a table, read as strictly as lines are."""

from collections.abc import Mapping as Fields
from typing import TypeGuard

from playbook.contracts.json_text import decode_strictly

#: How such a list begins.
_BEGINS = ("[{", "[ ", "[]")


def may_hold_list(value: object) -> TypeGuard[str]:
    """True when the value is a text that begins as a list of objects does."""
    return isinstance(value, str) and value.lstrip()[:2] in _BEGINS


def as_list(value: object) -> object:
    """Return the list that a CSV cell or text column holds as JSON; anything else unchanged."""
    found, wrong = list_in(value)
    return value if found is None or wrong else found


def list_in(value: object) -> tuple[list[object] | None, str]:
    """Return (the list that a text holds as JSON, None without one; what is wrong with it, "" for nothing)."""
    if not may_hold_list(value):
        return None, ""
    text = value.strip()
    try:
        found, end, wrong = decode_strictly(text)
    except (ValueError, RecursionError):
        return None, ""
    return (found, wrong) if isinstance(found, list) and end == len(text) else (None, "")


def object_in(text: str) -> dict[str, object] | None:
    """Return the object that a text holds as JSON, None without one.

    >>> object_in('{"id": 7}')
    {'id': 7}
    """
    text = text.strip()
    if text[:1] != "{":
        return None
    try:
        found, end, wrong = decode_strictly(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and end == len(text) and not wrong else None


def as_messages(value: object) -> object:
    """Return the messages that a text holds as JSON; anything else unchanged, such as an answer that is a JSON list.

    >>> as_messages('[{"item": "lamp"}]')
    '[{"item": "lamp"}]'
    """
    if not may_hold_list(value):
        return value
    found = as_list(value)
    if found is value or not isinstance(found, list) or not found:
        return value
    return found if are_turns(found) else value


def are_turns(found: list[object]) -> bool:
    return all(isinstance(turn, dict) and _is_turn(turn) for turn in found)


def _is_turn(found: Fields[str, object]) -> bool:
    return {"from", "value"} <= found.keys() or ("role" in found and bool({"content", "tool_calls"} & found.keys()))
