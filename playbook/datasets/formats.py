"""What a row means: the known formats are recognised by their fields, others are mapped by hand; all become chat rows.

Sources of the field names: OpenAI's fine-tuning guide (`messages`, `weight`, `tools`), TRL's dataset formats
(`prompt`/`completion`, `text`), Stanford Alpaca (`instruction`, `input`, `output`), ShareGPT exports (`conversations`).
"""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable
from collections.abc import Mapping as Fields
from typing import Any

from playbook.contracts.dataset import ROLES, ROW_KEYS, row_problems
from playbook.contracts.dataset_problems import Problem, ProblemCode, as_text, shown
from playbook.contracts.json_text import decode_strictly
from playbook.datasets.embedded import are_turns, as_list, as_messages, list_in, may_hold_list, object_in
from playbook.datasets.file_words import CALL_TURNS, in_words_of_the_file, is_blank
from playbook.datasets.spec import MAX_NAME, Format, Mapping

#: Roles as other formats call them.
_ROLES = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "ai": "assistant",
    "developer": "system",
    "observation": "tool",
    "function_response": "tool",
    "function": "tool",
}
#: Pairs of fields that people use for a question and its answer, for a first guess that a person confirms.
_PAIRS = (
    ("question", "answer"),
    ("question", "response"),
    ("prompt", "response"),
    ("prompt", "answer"),
    ("query", "response"),
    ("query", "answer"),
    ("input", "output"),
    ("source", "target"),
    ("text", "label"),
)
#: Fields of a mapping that a row may lack.
_OPTIONAL = ("system", "input")
_HISTORY_FIX = (
    'Write it as a list of pairs, [["question", "answer"], …], or give the field another name to keep it apart.'
)
_TITLES = {
    Format.CHAT: "Chat messages (OpenAI)",
    Format.PROMPT_COMPLETION: "Prompt and completion (TRL)",
    Format.TEXT: "Plain text",
    Format.ALPACA: "Alpaca (instruction, input, output)",
    Format.SHAREGPT: "ShareGPT conversations",
}


def title_of(mapping: Mapping) -> str:
    """Return the name of the format, or where it has none, which fields are read."""
    if mapping.format is Format.COLUMNS:
        read = (mapping.system, mapping.prompt, mapping.input)
        return f"{' + '.join(filter(None, read)) or 'no prompt'} → {mapping.answer}"
    return _TITLES[mapping.format]


def detect(rows: Iterable[object]) -> Mapping | None:
    """Return the mapping that fits most of the rows, None when no known format fits any.

    >>> detect([{"question": "2+2?", "answer": "4"}])
    Mapping(format=<Format.COLUMNS: 'columns'>, messages='', system='', prompt='question', input='', answer='answer')
    """
    fitting = Counter(mapping for row in rows if isinstance(row, dict) and (mapping := _mapping_of(row)))
    if not fitting:
        return None
    best = fitting.most_common(1)[0][0]
    # A field that only some rows have must not be left out for the others' sake.
    alike = [found for found in fitting if _plain(found) == _plain(best)]
    return best.model_copy(
        update={name: next(filter(None, (getattr(found, name) for found in alike)), "") for name in _OPTIONAL}
    )


def _plain(mapping: Mapping) -> Mapping:
    return mapping.model_copy(update=dict.fromkeys(_OPTIONAL, ""))


def _mapping_of(row: Fields[str, object]) -> Mapping | None:
    name_of = {name.lower(): name for name in row} | {name: name for name in row}
    system = name_of.get("system", "")
    for field in ("messages", "conversations", "conversation"):
        if name := name_of.get(field):
            turns = as_messages(row[name])
            sharegpt = isinstance(turns, list) and any(isinstance(turn, dict) and "from" in turn for turn in turns)
            return Mapping(format=Format.SHAREGPT if sharegpt else Format.CHAT, messages=name, system=system)
    if "prompt" in name_of and "completion" in name_of:
        return Mapping(
            format=Format.PROMPT_COMPLETION, system=system, prompt=name_of["prompt"], answer=name_of["completion"]
        )
    if "instruction" in name_of and "output" in name_of:
        return Mapping(
            format=Format.ALPACA,
            system=system,
            prompt=name_of["instruction"],
            input=name_of.get("input", ""),
            answer=name_of["output"],
        )
    for prompt, answer in _PAIRS:
        if prompt in name_of and answer in name_of:
            return Mapping(format=Format.COLUMNS, system=system, prompt=name_of[prompt], answer=name_of[answer])
    return Mapping(format=Format.TEXT, answer=name_of["text"]) if "text" in name_of else None


Row = dict[str, Any]


def converter(mapping: Mapping) -> Callable[[int, object], Row | list[Problem]]:
    """Return what turns the value of a line of the file into the chat row that it means, or into everything that is
    wrong with it.

    Fields that the mapping does not name become metadata, as text, so that nothing is lost and rows can be grouped by
    them.
    """
    used = used_fields(mapping)
    has_tools = "tools" in used
    lists = tuple(filter(None, (mapping.messages, mapping.prompt, mapping.answer, *(used & {"tools", "functions"}))))

    def convert(line: int, value: object) -> Row | list[Problem]:
        if not isinstance(value, dict):
            return [_problem(line, "line", value, ProblemCode.DATA_TYPE, "Make each row an object with named fields.")]
        if problems := _list_problems(line, value, lists):
            return problems
        if mapping.messages:
            row = _of_messages(value, mapping)
        else:
            if problems := _field_problems(line, value, mapping):
                return problems + _turn_problems(line, value, mapping, {problem.field for problem in problems})
            if "history" in used and _history(value) is None:
                return [_problem(line, "history", value["history"], ProblemCode.DATA_TYPE, _HISTORY_FIX)]
            row = {"messages": _of_fields(value, mapping)}
            if has_tools and (tools := _tools_in(value)) is not None:
                row["tools"] = tools
        _keep_rest(row, value, used)
        problems = row_problems(line, row)
        return [in_words_of_the_file(found, mapping, value) for found in problems] if problems else row

    return convert


def is_plain(value: object) -> bool:
    """True when the value is a chat row already, so that its bytes can be kept as they are."""
    return isinstance(value, dict) and set(value) <= set(ROW_KEYS) and isinstance(value.get("messages"), list)


def used_fields(mapping: Mapping) -> frozenset[str]:
    """Return the fields of the file that the mapping reads; the others become metadata."""
    named = frozenset({mapping.messages, mapping.system, mapping.prompt, mapping.input, mapping.answer} - {""})
    if mapping.messages:
        return named | {"tools", "functions", "metadata"}
    more = {Format.PROMPT_COMPLETION: {"tools"}, Format.ALPACA: {"history"}}
    return named | more.get(mapping.format, set())


def _of_messages(value: dict[str, object], mapping: Mapping) -> dict[str, object]:
    row: dict[str, object] = {"messages": []}
    turns = as_list(value.get(mapping.messages))
    if isinstance(turns, list):
        row["messages"] = [_turn(turn) for turn in turns]
        if mapping.system and not is_blank(value.get(mapping.system)):
            row["messages"] = [{"role": "system", "content": value[mapping.system]}, *row["messages"]]  # type: ignore[misc]
    elif mapping.messages in value:
        row["messages"] = value[mapping.messages]
    else:
        del row["messages"]
    functions = as_list(value.get("functions"))
    if (tools := _tools_in(value)) is not None:
        row["tools"] = tools
    elif isinstance(functions, list):  # as OpenAI named tools before
        row["tools"] = [{"type": "function", "function": function} for function in functions]
    metadata = value.get("metadata")
    if isinstance(metadata, str):  # a cell of a table
        metadata = object_in(metadata) or ({"metadata": metadata} if metadata.strip() else None)
    if metadata is not None:
        row["metadata"] = _as_texts(metadata) if isinstance(metadata, dict) else metadata
    return row


def _tools_in(value: Fields[str, object]) -> object:
    """Return the tools of a row, None for an empty cell."""
    tools = as_list(value.get("tools"))
    return None if isinstance(tools, str) and not tools.strip() else tools


def _as_texts(metadata: dict[str, object]) -> dict[str, str]:
    """Return metadata whose values are text, as those of other fields become; what says nothing is left out."""
    return {name: _text_of(value) for name, value in metadata.items() if value is not None}


def _turn(turn: object) -> object:
    """Return a message with our keys and roles. Keys without a value, as Parquet fills them in, are dropped."""
    if not isinstance(turn, dict):
        return turn
    found = {key: content for key, content in turn.items() if content is not None or key in ("content", "value")}
    if "from" in found and "role" not in found:
        found["role"] = found.pop("from")
    if "value" in found and "content" not in found:
        found["content"] = found.pop("value")
    if isinstance(call := found.get("function_call"), dict):  # as OpenAI wrote the one call of a message before
        found["tool_calls"] = [{"type": "function", "function": call}]
        del found["function_call"]
    if found.get("role") in CALL_TURNS and (calls := _calls_in(found.get("content"))):
        found |= {"role": "assistant", "content": "", "tool_calls": calls}
    if isinstance(role := found.get("role"), str):
        plain = role.strip().lower()
        found["role"] = _ROLES.get(plain, plain if plain in ROLES else role)
    if isinstance(content := found.get("content"), list):
        found["content"] = _joined_parts(content)
    return found


def _calls_in(content: object) -> list[dict[str, object]]:
    """Return the calls that a text holds as JSON, one or a list of them, as OpenAI writes them; none when it is not so.

    >>> _calls_in('{"name": "weather", "arguments": {"city": "Rome"}}')
    [{'type': 'function', 'function': {'name': 'weather', 'arguments': {'city': 'Rome'}}}]
    """
    if not isinstance(content, str):
        return []
    text = content.strip()
    try:
        value, end, wrong = decode_strictly(text)
    except (ValueError, RecursionError):
        return []
    calls = value if isinstance(value, list) else [value]
    named = [call for call in calls if isinstance(call, dict) and isinstance(call.get("name"), str)]
    if wrong or end < len(text) or len(named) < len(calls):
        return []
    return [
        {"type": "function", "function": {"name": call["name"], "arguments": call.get("arguments", {})}}
        for call in named
    ]


def _joined_parts(parts: list[object]) -> object:
    """OpenAI's content parts: text parts are joined; anything else is left for the validation to name."""
    texts = [part.get("text") for part in parts if isinstance(part, dict) and part.get("type") == "text"]
    told = [text for text in texts if isinstance(text, str)]
    return "".join(told) if parts and len(told) == len(parts) else parts


def _field_problems(line: int, value: dict[str, object], mapping: Mapping) -> list[Problem]:
    if _is_filled(value, mapping):
        return []
    found = []
    for field in (mapping.prompt, mapping.answer):
        content = value.get(field)
        if field and (content is None or (isinstance(content, float) and not math.isfinite(content))):
            wrong = "missing" if field not in value else as_text(content)
            found.append(_problem(line, field, wrong, ProblemCode.MISSING_FIELD, f'Give the row "{field}", as text.'))
    for field in (mapping.system, mapping.input):
        if field and not isinstance(value.get(field), str | None):
            found.append(_problem(line, field, value[field], ProblemCode.MISSING_CONTENT, "Write it as text."))
    for field in (mapping.prompt, mapping.answer):
        content = as_messages(value.get(field)) if field else ""
        if content is not None and not isinstance(content, str | int | float | list):
            fix = "Write it as text, or as a list of messages."
            found.append(_problem(line, field, content, ProblemCode.MISSING_CONTENT, fix))
    asked = [field for field in (mapping.prompt, mapping.input) if field]
    if mapping.prompt and value.get(mapping.prompt) is not None and all(is_blank(value.get(field)) for field in asked):
        fix = "Write the prompt, or remove the row. If no row has one, choose “none” as the prompt."
        found.append(_problem(line, mapping.prompt, value[mapping.prompt], ProblemCode.MISSING_CONTENT, fix))
    if value.get(mapping.answer) is not None and is_blank(value[mapping.answer]):
        fix = "Write the answer, or remove the row: an empty answer teaches the model to say nothing."
        found.append(_problem(line, mapping.answer, value[mapping.answer], ProblemCode.EMPTY_ANSWER, fix))
    return found


def _turn_problems(line: int, value: Fields[str, object], mapping: Mapping, told: set[str]) -> list[Problem]:
    """Return what is wrong with the messages in the fields of which nothing was told yet."""
    names = [name for name in (mapping.prompt, mapping.answer) if name and name not in told]
    found = {name: turns for name in names if isinstance(turns := as_messages(value.get(name)), list)}
    messages = [_turn(turn) for turns in found.values() for turn in turns]
    if mapping.answer not in found:
        messages.append({"role": "assistant", "content": "the answer, of which another problem tells"})
    return [in_words_of_the_file(problem, mapping, found) for problem in row_problems(line, {"messages": messages})]


def _is_filled(value: dict[str, object], mapping: Mapping) -> bool:
    """Tell quickly what is true of nearly every row: its fields hold text, and neither question nor answer is blank."""
    for field in (mapping.answer, mapping.prompt):
        content = value.get(field) if field else "none asked for"
        if not isinstance(content, str) or is_blank(content):
            return False
    return all(isinstance(value.get(field), str | None) for field in (mapping.system, mapping.input) if field)


def _of_fields(value: dict[str, object], mapping: Mapping) -> list[object]:
    messages: list[object] = []
    if mapping.system and not is_blank(value.get(mapping.system)):
        messages.append({"role": "system", "content": value[mapping.system]})
    if mapping.format is Format.ALPACA:
        messages += _history(value) or ()
    prompt = as_messages(value[mapping.prompt]) if mapping.prompt else ""
    if isinstance(prompt, list):
        messages += [_turn(turn) for turn in prompt]
    else:
        parts = [_text(prompt), _text(value.get(mapping.input) or "")] if mapping.input else [_text(prompt)]
        if text := "\n\n".join([part for part in parts if not is_blank(part)]):
            messages.append({"role": "user", "content": text})
    answer = as_messages(value[mapping.answer])
    if isinstance(answer, list):
        return messages + [_turn(turn) for turn in answer]
    return [*messages, {"role": "assistant", "content": _text(answer)}]


def _history(value: Fields[str, object]) -> list[object] | None:
    """Return the turns before the instruction, which LLaMA-Factory keeps as pairs; None when they are no such pairs.

    >>> _history({"history": [["hi", "ho"]]})
    [{'role': 'user', 'content': 'hi'}, {'role': 'assistant', 'content': 'ho'}]
    """
    pairs = value.get("history") or []
    if not isinstance(pairs, list) or not all(isinstance(pair, list) and len(pair) == 2 for pair in pairs):
        return None
    turns: list[object] = []
    for question, answer in pairs:
        turns += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return turns


def _text(value: object) -> str:
    """Return a text, or a number or truth value as JSON writes it."""
    return value if isinstance(value, str) else json.dumps(value)


def _list_problems(line: int, value: dict[str, object], lists: tuple[str, ...]) -> list[Problem]:
    """Return what is wrong with lists in text, which would go by in silence: of a name that stands twice in one object
    the last would win. An answer that is some other JSON is text."""
    problems = []
    for field in lists:
        content = value.get(field)
        if not may_hold_list(content):
            continue
        found, wrong = list_in(content)
        if found and wrong and (field in ("tools", "functions") or are_turns(found)):
            problems.append(_problem(line, field, content, ProblemCode.NOT_JSON, f"Mend the list: {wrong}."))
    return problems


def _text_of(value: object) -> str:
    return value if isinstance(value, str) else as_text(value)


def _keep_rest(row: dict[str, object], value: dict[str, object], used: frozenset[str]) -> None:
    rest = {
        key[:MAX_NAME]: _text_of(content)
        for key, content in value.items()
        if key not in used and content is not None and content != ""
    }
    if rest:
        given = row.get("metadata", {})
        if isinstance(given, dict):
            # Of two values by one name neither may be lost.
            both = {f"{key} of the row": rest[key] for key in rest.keys() & given.keys() if rest[key] != given[key]}
            given = rest | given | both
        row["metadata"] = given


def _problem(line: int, field: str, value: object, code: ProblemCode, fix: str) -> Problem:
    return Problem(line=line, field=field, value=shown(value), code=code, fix=fix)
