"""Where a message stands in a rendered conversation, told by the text alone, for each chat template has its own way.

For the prompt builder; must not import torch.
"""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from playbook.contracts.dataset import Message

#: Renders messages by a chat template.
Render = Callable[[Sequence[Message]], str]
#: Two characters that no row has: where a message stands shows by what changes with it.
_MARKS = ("\ue000", "\ue001")


def place_of(render: Render, messages: Sequence[Message], at: int, text: str) -> tuple[int, int] | None:
    """Return where what message `at` says begins in `text`, the messages rendered, and where it is over.

    Found by rendering them with something else said. None when that does not show.
    """

    def with_text(content: str) -> str:
        other = messages[at].model_copy(update={"content": content})
        return render([*messages[:at], other, *messages[at + 1 :]])

    one, other = map(with_text, _MARKS)
    begin = shared(one, other)
    if begin == len(one) or one[:begin] != text[:begin]:
        return None
    return begin, max(begin, shared(text, with_text(messages[at].content + _MARKS[0])))


def mend(roles: Sequence[str]) -> str:
    """Return what to change in a row whose roles a template refuses. Some know no system message."""
    if "user" not in roles:
        return "give the row a prompt: name the field that is asked, or write what the user says"
    if "system" in roles:
        return "reorder or remove messages, or write the system message into the first one of the user"
    return "reorder or remove messages"


def shared(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def shows(text: str, said: str) -> bool:
    """Tell whether a text holds all that was said, whatever the white space."""
    return said.strip() in text or "".join(said.split()) in "".join(text.split())


def with_objects(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message whose calls name their arguments as an object, where their text is one."""
    calls = []
    for call in message.get("tool_calls") or ():
        function = call.get("function")
        text = function.get("arguments") if isinstance(function, dict) else None
        arguments = None
        if isinstance(text, str):
            with contextlib.suppress(ValueError, RecursionError):
                arguments = json.loads(text)
        calls.append(call | {"function": function | {"arguments": arguments}} if isinstance(arguments, dict) else call)
    return message | {"tool_calls": calls} if calls else message


def texts_in(value: object) -> Iterator[str]:
    """Yield the texts of a JSON value, names of fields too, for templates write both.

    >>> list(texts_in({"city": ["Rome", 3]}))
    ['city', 'Rome']
    """
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from (name, *texts_in(inner))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_in(inner)
