"""Training examples in the chat format, one JSON object a line, and the problems a line can have.

The site calls `read_examples` at upload, the trainer again before it trains: one reader, one set of messages.
"""

import json
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Literal

from pydantic import Field

from playbook.contracts.model import Frozen

MAX_LINE_BYTES = 1_000_000
ROLES = ("system", "user", "assistant")


class Message(Frozen):
    role: Literal["system", "user", "assistant"]
    content: str


class Example(Frozen):
    """One conversation; the last message is the assistant's answer, the only part that is learned."""

    messages: tuple[Message, ...]
    metadata: dict[str, str] = Field(default_factory=dict)

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


class ProblemCode(StrEnum):
    """Names follow the OpenAI cookbook's data checks where one exists."""

    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    DATA_TYPE = "data_type"
    LINE_TOO_LONG = "line_too_long"
    MISSING_MESSAGES_LIST = "missing_messages_list"
    MESSAGE_MISSING_KEY = "message_missing_key"
    MESSAGE_UNRECOGNIZED_KEY = "message_unrecognized_key"
    UNRECOGNIZED_ROLE = "unrecognized_role"
    MISSING_CONTENT = "missing_content"
    EXAMPLE_MISSING_ASSISTANT_MESSAGE = "example_missing_assistant_message"
    EMPTY_ANSWER = "empty_answer"
    NO_EXAMPLES = "no_examples"


class Problem(Frozen):
    """What is wrong with one line: where, which field, which value, and how to mend it."""

    line: int
    field: str
    value: str
    code: ProblemCode
    fix: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.field}: {self.value} ({self.code}). {self.fix}"


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
        found = _read_line(number, line)
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


_MakeProblem = Callable[[str, object, ProblemCode, str], Problem]


def _read_line(number: int, line: bytes) -> Example | list[Problem]:
    def problem(field: str, value: object, code: ProblemCode, fix: str) -> Problem:
        return Problem(line=number, field=field, value=_shown(value), code=code, fix=fix)

    if len(line) > MAX_LINE_BYTES:
        return [
            problem(
                "line",
                f"{len(line):,} bytes",
                ProblemCode.LINE_TOO_LONG,
                f"Keep a line under {MAX_LINE_BYTES:,} bytes; no small model reads that much.",
            )
        ]
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        return [
            problem(
                "line",
                line[error.start : error.start + 8],
                ProblemCode.NOT_UTF8,
                f"Save the file as UTF-8; byte {error.start + 1} of the line is not.",
            )
        ]
    try:
        row = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        where = f" (column {error.colno}: {error.msg})" if isinstance(error, json.JSONDecodeError) else ""
        return [
            problem(
                "line",
                text.strip(),
                ProblemCode.NOT_JSON,
                f"Write one complete JSON object per line{where}.",
            )
        ]
    if not isinstance(row, dict):
        return [
            problem("line", row, ProblemCode.DATA_TYPE, 'Wrap the row in an object: {"messages": [...]}.'),
        ]
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        value = "missing" if "messages" not in row else messages
        return [
            problem(
                "messages",
                value,
                ProblemCode.MISSING_MESSAGES_LIST,
                'Add "messages": a list of {"role": ..., "content": ...} objects.',
            )
        ]
    problems: list[Problem] = []
    for key in row:
        if key not in ("messages", "metadata"):
            problems.append(
                problem(
                    key,
                    row[key],
                    ProblemCode.MESSAGE_UNRECOGNIZED_KEY,
                    'Remove it, or move it into "metadata" (text values).',
                )
            )
    metadata = row.get("metadata", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        problems.append(
            problem("metadata", metadata, ProblemCode.DATA_TYPE, "Make metadata an object whose values are text.")
        )
    for index, message in enumerate(messages):
        problems.extend(_message_problems(problem, index, message))
    if problems:
        return problems
    if messages[-1]["role"] != "assistant":
        return [
            problem(
                f"messages[{len(messages) - 1}].role",
                messages[-1]["role"],
                ProblemCode.EXAMPLE_MISSING_ASSISTANT_MESSAGE,
                "End the example with the assistant message that the model should learn.",
            )
        ]
    if not messages[-1]["content"].strip():
        return [
            problem(
                f"messages[{len(messages) - 1}].content",
                messages[-1]["content"],
                ProblemCode.EMPTY_ANSWER,
                "Write the answer, or remove the row: an empty answer teaches the model to say nothing.",
            )
        ]
    return Example.model_validate({"messages": messages, "metadata": metadata})


def _message_problems(problem: _MakeProblem, index: int, message: object) -> list[Problem]:
    field = f"messages[{index}]"
    if not isinstance(message, dict):
        return [problem(field, message, ProblemCode.DATA_TYPE, 'Write {"role": ..., "content": ...}.')]
    found: list[Problem] = []
    for key in ("role", "content"):
        if key not in message:
            found.append(
                problem(f"{field}.{key}", "missing", ProblemCode.MESSAGE_MISSING_KEY, f'Add "{key}" to the message.')
            )
    for key in message:
        if key not in ("role", "content"):
            found.append(
                problem(
                    f"{field}.{key}",
                    message[key],
                    ProblemCode.MESSAGE_UNRECOGNIZED_KEY,
                    "Remove it: only role and content are read.",
                )
            )
    if "role" in message and message["role"] not in ROLES:
        found.append(
            problem(
                f"{field}.role",
                message["role"],
                ProblemCode.UNRECOGNIZED_ROLE,
                f"Use one of {', '.join(ROLES)}.",
            )
        )
    if "content" in message and not isinstance(message["content"], str):
        found.append(
            problem(
                f"{field}.content",
                message["content"],
                ProblemCode.MISSING_CONTENT,
                "Write the content as text; an answer that is JSON goes in as a string.",
            )
        )
    return found


def _shown(value: object, *, limit: int = 80) -> str:
    """Return `value` as it stands in the file, shortened so that one bad line cannot fill a page."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
