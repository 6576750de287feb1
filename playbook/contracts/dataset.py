"""Training examples in the chat format, one JSON object a line, and the problems a line can have.

The site writes split files of such lines, the trainer reads them with `read_examples`: one reader, one set of messages.
The optional fields are OpenAI's: `weight` and `tool_calls` of a message, `tools` of a row. They are left out of the
dump when a row does not use them, so a plain row stays {"role", "content"}.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from typing import Literal
from unicodedata import category

from pydantic import Field, JsonValue

from playbook.contracts.dataset_problems import Problem, ProblemCode, shown
from playbook.contracts.json_text import decode_strictly, half_character, why_no_arguments, why_no_json
from playbook.contracts.model import Frozen

MAX_LINE_BYTES = 1_000_000
_JSON_SPACE = " \t\r\n"
#: Unicode categories: marks of format, such as the space without width, and control characters.
_INVISIBLE = ("Cf", "Cc")
ROLES = ("system", "user", "assistant", "tool")
MESSAGE_KEYS = ("role", "content", "weight", "name", "tool_calls", "tool_call_id")
ROW_KEYS = ("messages", "metadata", "tools")


def _is_none(value: object) -> bool:
    return value is None


class Message(Frozen):
    """One turn. `weight` 0: context, not learned; None says nothing and means 1. An assistant may call tools."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str
    weight: Literal[0, 1] | None = Field(default=None, exclude_if=_is_none)
    name: str | None = Field(default=None, exclude_if=_is_none)
    tool_calls: tuple[dict[str, JsonValue], ...] | None = Field(default=None, exclude_if=_is_none)
    tool_call_id: str | None = Field(default=None, exclude_if=_is_none)


class Example(Frozen):
    """One conversation; the last message is the assistant's answer. It is learned, and so is every earlier message of
    the assistant whose weight is not 0.

    `tools`: the functions that the assistant may call, as OpenAI writes them.
    """

    messages: tuple[Message, ...]
    metadata: dict[str, str] = Field(default_factory=dict)
    tools: tuple[dict[str, JsonValue], ...] | None = Field(default=None, exclude_if=_is_none)

    @property
    def prompt(self) -> tuple[Message, ...]:
        return self.messages[:-1]

    @property
    def answer(self) -> str:
        return self.messages[-1].content


class Split(StrEnum):
    TRAIN = "train"
    VALIDATION = "validation"
    TEST = "test"


class ReadResult(Frozen):
    examples: tuple[Example, ...]
    problems: tuple[Problem, ...]


def read_examples(lines: Iterable[bytes]) -> ReadResult:
    """Parse JSONL lines into examples and collect every problem in one pass. Blank lines are skipped.

    Never raises on bad input. An empty file is itself a problem (`no_examples`, line 1).

    >>> result = read_examples([b'{"messages": [{"role": "user", "content": "hi"}]}'])
    >>> result.problems[0].code
    <ProblemCode.EXAMPLE_MISSING_ASSISTANT_MESSAGE: 'example_missing_assistant_message'>
    """
    examples: list[Example] = []
    problems: list[Problem] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        found = read_line(number, line)
        if isinstance(found, Example):
            examples.append(found)
        else:
            problems.extend(found)
    if not examples and not problems:
        problems.append(
            Problem(
                line=1,
                field="file",
                value="no line with content",
                code=ProblemCode.NO_EXAMPLES,
                fix="Write one JSON object per line, each with a messages list.",
            )
        )
    return ReadResult(examples=tuple(examples), problems=tuple(problems))


_ONLY_JSON = (
    "Use text, numbers, true, false and null alone: a date, a decimal, bytes and NaN cannot be written as JSON."
)
_TOO_DEEP = "Flatten it: it is nested in more than 100 levels."
#: Levels of lists and objects in each other; the reader of types goes no deeper than 255.
_MOST_LEVELS = 100
_MakeProblem = Callable[[str, object, ProblemCode, str], Problem]


def read_line(number: int, line: bytes) -> Example | list[Problem]:
    """Return the example that line `number` (from 1) holds, or everything that is wrong with it."""
    row = parse_line(number, line)
    return [row] if isinstance(row, Problem) else check_row(number, row)


def parse_line(number: int, line: bytes) -> object | Problem:
    """Return the JSON value of a line, or why it holds none."""
    problem = _maker(number)
    if len(line) > MAX_LINE_BYTES:
        return problem(
            "line",
            f"{len(line):,} bytes",
            ProblemCode.LINE_TOO_LONG,
            f"Keep a line under {MAX_LINE_BYTES:,} bytes; no small model reads that much.",
        )
    try:
        text = line.decode().removeprefix("\ufeff")  # also where files with such a mark were put together
    except UnicodeDecodeError as error:
        return problem(
            "line",
            line[error.start : error.start + 8],
            ProblemCode.NOT_UTF8,
            f"Save the file as UTF-8; byte {error.start + 1} of the line is not.",
        )
    begin = len(text) - len(text.lstrip(_JSON_SPACE))
    try:
        value, end, wrong = decode_strictly(text, begin)
        if text[end:].strip(_JSON_SPACE):
            raise json.JSONDecodeError("Extra data", text, end)
    except (ValueError, RecursionError) as error:
        fix = f"Write one complete JSON object per line ({why_no_json(error)})."
        if isinstance(error, json.JSONDecodeError) and text[error.pos :].strip(_JSON_SPACE) == ",":
            fix = "Remove the comma at the end of the line: JSONL has none between its rows."
        return problem("line", text.strip(), ProblemCode.NOT_JSON, fix)
    if wrong and (where := half_character(value)) is not None:
        return problem(where or "line", "half a character", ProblemCode.NOT_UTF8, f"Remove it: {wrong}.")
    if wrong:
        return problem("line", text.strip(), ProblemCode.NOT_JSON, f"Mend the row: {wrong}.")
    return value


def check_row(number: int, row: object) -> Example | list[Problem]:
    """Return the example that a JSON value in the chat format says, or everything that is wrong with it."""
    problems = row_problems(number, row)
    if problems or not isinstance(row, dict):
        return problems
    read = [message if message.get("content") else message | {"content": ""} for message in row["messages"]]
    return Example.model_validate({"messages": read, "metadata": row.get("metadata", {}), "tools": row.get("tools")})


def row_problems(number: int, row: object) -> list[Problem]:
    """Return everything that is wrong with a JSON value in the chat format; where nothing is, it is an example."""
    problem = _maker(number)
    if not isinstance(row, dict):
        return [problem("line", row, ProblemCode.DATA_TYPE, 'Wrap the row in an object: {"messages": [...]}.')]
    messages = row.get("messages")
    problems = _list_problems(problem, row)
    metadata, tools = row.get("metadata", {}), row.get("tools")
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        problems.append(
            problem("metadata", metadata, ProblemCode.DATA_TYPE, "Make metadata an object whose values are text.")
        )
    if tools is not None and not _are_objects(tools):
        problems.append(problem("tools", tools, ProblemCode.DATA_TYPE, "Make tools a list of objects, or remove it."))
    elif not _is_json(tools):
        problems.append(problem("tools", tools, ProblemCode.DATA_TYPE, _ONLY_JSON))
    elif _is_deep(tools):
        problems.append(problem("tools", tools, ProblemCode.DATA_TYPE, _TOO_DEEP))
    if not isinstance(messages, list) or not messages:
        return problems
    unsound = [index for index, message in enumerate(messages) if not _is_sound(message)]
    for index in unsound:
        problems.extend(_message_problems(problem, index, messages[index]))
    return problems + _learned_problems(problem, messages, unsound)


def _list_problems(problem: _MakeProblem, row: dict[str, object]) -> list[Problem]:
    """Return why a row has no list of messages, or what it has beside one. Without one, a field that is not known may
    be the list under another name, which should not be called superfluous."""
    messages = row.get("messages")
    if isinstance(messages, list) and messages:
        return [
            problem(key, row[key], ProblemCode.MESSAGE_UNRECOGNIZED_KEY, 'Remove it, or move it into "metadata".')
            for key in row
            if key not in ROW_KEYS
        ]
    fix = 'Add "messages": a list of {"role": ..., "content": ...} objects.'
    if isinstance(messages, str):
        fix = "Write the list as JSON, with double quotes: this is text."
    value = "missing" if "messages" not in row else messages
    return [problem("messages", value, ProblemCode.MISSING_MESSAGES_LIST, fix)]


def _is_sound(message: object) -> bool:
    """Tell quickly what is true of nearly every message: a role and some text, of which nothing is wrong."""
    if not isinstance(message, dict) or len(message) != 2:
        return False
    role, content = message.get("role"), message.get("content")
    if not isinstance(role, str) or role not in ROLES or not isinstance(content, str):
        return False
    return not says_nothing(content) and _is_unicode(content)


def _learned_problems(problem: _MakeProblem, messages: list[object], unsound: list[int]) -> list[Problem]:
    """Return why messages teach nothing, as far as that shows. `unsound`: where those are that may say nothing."""
    last, field = messages[-1], f"messages[{len(messages) - 1}]"
    found = []
    if isinstance(last, dict) and last.get("role") in ROLES:
        if last["role"] != "assistant":
            fix = "End the example with the assistant message that the model should learn."
            code = ProblemCode.EXAMPLE_MISSING_ASSISTANT_MESSAGE
            found.append(problem(f"{field}.role", last["role"], code, fix))
        elif last.get("weight") == 0:
            fix = "Give the last assistant message weight 1, or end the row at the message to learn."
            found.append(problem(f"{field}.weight", 0, ProblemCode.ANSWER_NOT_LEARNED, fix))
    fix = "Write the answer, or remove the row: an empty answer teaches the model to say nothing."
    for at in unsound:
        message = messages[at]
        if isinstance(message, dict) and _is_learned(message) and _says_nothing(message):
            found.append(problem(f"messages[{at}].content", message["content"], ProblemCode.EMPTY_ANSWER, fix))
    return found


def _is_learned(message: dict[str, object]) -> bool:
    """Tell whether the model learns to say this text; content that is no text is a problem of its own."""
    is_text = isinstance(message.get("content"), str)
    return is_text and message.get("role") == "assistant" and message.get("weight") != 0


def _says_nothing(message: dict[str, object]) -> bool:
    return says_nothing(str(message.get("content") or "")) and not message.get("tool_calls")


def says_nothing(text: str) -> bool:
    """Tell whether a text shows nothing: blanks, line breaks, marks without width, as text copied from pages has them.

    >>> says_nothing("\\u200b\\n"), says_nothing("\\u200bno")
    (True, False)
    """
    if text and text[0].isprintable() and text[0] != " ":
        return False  # nearly every text
    return all(character.isspace() or category(character) in _INVISIBLE for character in text)


def _message_problems(problem: _MakeProblem, index: int, message: object) -> list[Problem]:
    field = f"messages[{index}]"
    if not isinstance(message, dict):
        return [problem(field, message, ProblemCode.DATA_TYPE, 'Write {"role": ..., "content": ...}.')]
    # As in OpenAI's API, a message that calls tools needs no content.
    found = [
        problem(f"{field}.{key}", "missing", ProblemCode.MESSAGE_MISSING_KEY, f'Add "{key}" to the message.')
        for key in ("role", "content")
        if key not in message and not (key == "content" and message.get("tool_calls"))
    ]
    found += [
        problem(
            f"{field}.{key}",
            message[key],
            ProblemCode.MESSAGE_UNRECOGNIZED_KEY,
            f"Remove it: only {', '.join(MESSAGE_KEYS)} are read.",
        )
        for key in message
        if key not in MESSAGE_KEYS
    ]
    if "role" in message and message["role"] not in ROLES:
        found.append(
            problem(f"{field}.role", message["role"], ProblemCode.UNRECOGNIZED_ROLE, f"Use one of {', '.join(ROLES)}.")
        )
    calls, content = message.get("tool_calls"), message.get("content", "")
    if calls is not None and not _are_objects(calls):
        found.append(problem(f"{field}.tool_calls", calls, ProblemCode.DATA_TYPE, "Make it a list of objects."))
    elif not _is_json(calls):
        found.append(problem(f"{field}.tool_calls", calls, ProblemCode.DATA_TYPE, _ONLY_JSON))
    elif _is_deep(calls):
        found.append(problem(f"{field}.tool_calls", calls, ProblemCode.DATA_TYPE, _TOO_DEEP))
    else:
        found += _call_problems(problem, f"{field}.tool_calls", calls or ())
    if not isinstance(content, str) and not (content is None and calls):
        found.append(
            problem(
                f"{field}.content",
                content,
                ProblemCode.MISSING_CONTENT,
                "Only text is read: leave out parts that are no text, such as images."
                if content and _are_objects(content)
                else "Write the content as text; an answer that is JSON goes in as a string.",
            )
        )
    elif message.get("role") == "user" and "content" in message and _says_nothing(message):
        fix = "Write what the user says, or remove the message."
        found.append(problem(f"{field}.content", content, ProblemCode.MISSING_CONTENT, fix))
    elif isinstance(content, str) and not _is_unicode(content):
        found.append(
            problem(
                f"{field}.content",
                content.encode(errors="replace").decode(),
                ProblemCode.NOT_UTF8,
                "Remove the half of a surrogate pair (\\ud800 to \\udfff): it is no character.",
            )
        )
    if (weight := message.get("weight")) is not None and (isinstance(weight, bool) or weight not in (0, 1)):
        found.append(problem(f"{field}.weight", weight, ProblemCode.DATA_TYPE, "Use 0 (context) or 1 (learned)."))
    for key in ("name", "tool_call_id"):
        if not isinstance(message.get(key), str | None):
            found.append(problem(f"{field}.{key}", message[key], ProblemCode.DATA_TYPE, "Write it as text."))
    return found


def _call_problems(problem: _MakeProblem, field: str, calls: Iterable[dict[str, object]]) -> Iterator[Problem]:
    """Yield which calls name no function, or hand it what is no JSON object: chat templates could not write them."""
    for at, call in enumerate(calls):
        function = call.get("function", call)
        if not isinstance(function, dict) or not isinstance(name := function.get("name"), str) or not name.strip():
            fix = 'Name the function that is called: {"function": {"name": "…", "arguments": {…}}}.'
            yield problem(f"{field}[{at}]", call, ProblemCode.MESSAGE_MISSING_KEY, fix)
        elif why := why_no_arguments(arguments := function.get("arguments")):
            fix = f'Write the arguments as a JSON object, such as {{"city": "Rome"}}: {why}.'
            yield problem(f"{field}[{at}].arguments", arguments, ProblemCode.NOT_JSON, fix)


def _maker(number: int) -> _MakeProblem:
    def problem(field: str, value: object, code: ProblemCode, fix: str) -> Problem:
        return Problem(line=number, field=field, value=shown(value), code=code, fix=fix)

    return problem


def _are_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _is_json(value: object) -> bool:
    """Tell whether a value of a table can be written as JSON: a date, a decimal, bytes and NaN cannot."""
    try:
        return not value or bool(json.dumps(value, allow_nan=False, ensure_ascii=False).encode())
    except (TypeError, ValueError, RecursionError):
        return False


def _is_deep(value: object) -> bool:
    level = [value]
    for _ in range(_MOST_LEVELS):
        level = [part for one in level if isinstance(one, list | dict) for part in _parts(one)]
        if not level:
            return False
    return True


def _parts(value: list[object] | dict[str, object]) -> Iterable[object]:
    return value.values() if isinstance(value, dict) else value


def _is_unicode(text: str) -> bool:
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
