"""Problems of a chat row in the words of the file that it was made from: its fields, its roles."""

from collections.abc import Mapping as Fields

from playbook.contracts.dataset import says_nothing
from playbook.contracts.dataset_problems import Problem, ProblemCode, shown
from playbook.datasets.embedded import as_list, as_messages
from playbook.datasets.spec import Format, Mapping

#: Turns of ShareGPT exports in which the assistant calls a function: the value is the call as JSON.
CALL_TURNS = ("function_call", "tool_call")


def in_words_of_the_file(problem: Problem, mapping: Mapping, value: Fields[str, object]) -> Problem:
    """Name the field and the role that the file has, rather than those of the chat row made from it."""
    field, fix = problem.field, problem.fix
    if problem.code is ProblemCode.UNRECOGNIZED_ROLE and problem.value in CALL_TURNS:
        fix = 'Write the call as JSON in the value of the turn: {"name": "…", "arguments": {…}}.'
    if field.startswith("messages["):
        field = _field_behind(field, mapping, value)
    elif field == "messages":
        field = mapping.messages or mapping.answer
        fix = fix.replace('"messages"', f'"{field}"')
    said = _role_behind(field, value) if field.endswith(".role") else problem.value
    if mapping.format is Format.SHAREGPT:
        field = field.replace(".role", ".from").replace(".content", ".value")
        fix = fix.replace('"role"', '"from"').replace('"content"', '"value"')
    return problem.model_copy(update={"field": field, "fix": fix, "value": said or problem.value})


def _role_behind(field: str, value: Fields[str, object]) -> str:
    """Return the role as the turn of the file calls it, "" where it has none."""
    name, _, at = field.removesuffix("].role").rpartition("[")
    turns = as_list(value.get(name))
    turn = turns[int(at)] if isinstance(turns, list) else None
    role = turn.get("role", turn.get("from")) if isinstance(turn, dict) else None
    return shown(role) if isinstance(role, str) else ""


def _field_behind(field: str, mapping: Mapping, value: Fields[str, object]) -> str:
    """Return where in the file the message lies that `messages[n]` of a row made from single fields is.

    >>> mapping = Mapping(format=Format.PROMPT_COMPLETION, prompt="prompt", answer="completion")
    >>> _field_behind("messages[1].role", mapping, {"prompt": "a", "completion": [{"role": "user"}]})
    'completion[0].role'
    """
    at, _, rest = field.removeprefix("messages[").partition("]")
    place = int(at)
    if mapping.system and not is_blank(value.get(mapping.system)):
        if place == 0:
            return mapping.system
        place -= 1
    if mapping.messages:
        return f"{mapping.messages}[{place}]{rest}"
    history = value.get("history") if mapping.format is Format.ALPACA else None
    if isinstance(history, list):
        if place < 2 * len(history):
            return f"history[{place // 2}][{place % 2}]"
        place -= 2 * len(history)
    for name in filter(None, (mapping.prompt, mapping.answer)):
        content = as_messages(value.get(name))
        if not isinstance(content, list):
            content, where = [content] * (not is_blank(content)), name
        else:
            where = f"{name}[{place}]{rest}"
        if place < len(content):
            return where
        place -= len(content)
    return mapping.answer


def is_blank(value: object) -> bool:
    """Tell whether a field says nothing: it is missing, shows nothing, or is a list of no messages."""
    if isinstance(value, str):
        return says_nothing(value)
    return value is None or value == []
