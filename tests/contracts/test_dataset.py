"""The chat row: what is accepted, what is refused and why, and what a plain row looks like when it is written again."""

import json

import pytest

from playbook.contracts.dataset import Example, Message, read_examples, read_line
from playbook.contracts.dataset_problems import Problem


def line(*messages: dict[str, object], **more: object) -> bytes:
    return json.dumps({"messages": list(messages), **more}).encode()


USER: dict[str, object] = {"role": "user", "content": "hi"}
CALL: dict[str, object] = {"id": "c1", "type": "function", "function": {"name": "look_up", "arguments": "{}"}}


def problems(content: bytes) -> list[tuple[str, str]]:
    found = read_line(1, content)
    assert not isinstance(found, Example)
    return [(problem.field, problem.code.value) for problem in found]


def test_a_plain_row_is_written_as_it_was_read() -> None:
    content = line(USER, {"role": "assistant", "content": "ho"}, metadata={"a": "b"})
    found = read_line(1, content)
    assert isinstance(found, Example)
    assert found.model_dump() == json.loads(content) | {"messages": tuple(json.loads(content)["messages"])}


def test_weight_tools_and_calls_are_carried() -> None:
    content = line(
        USER,
        {"role": "assistant", "content": None, "tool_calls": [CALL], "weight": 0},
        {"role": "tool", "content": "42", "tool_call_id": "c1"},
        {"role": "assistant", "content": "It is 42.", "weight": 1},
        tools=[{"type": "function", "function": {"name": "look_up"}}],
    )
    found = read_line(1, content)
    assert isinstance(found, Example)
    assert found.messages[1] == Message(role="assistant", content="", weight=0, tool_calls=(CALL,))
    assert found.messages[2] == Message(role="tool", content="42", tool_call_id="c1")
    assert found.messages[3].weight == 1
    assert found.tools == ({"type": "function", "function": {"name": "look_up"}},)


@pytest.mark.parametrize("said", ["\u200bno", " 0", "\u200d\U0001f926", "\u3000。", "\ue000"])
def test_an_answer_that_shows_anything_is_one(said: str) -> None:
    assert isinstance(read_line(1, line(USER, {"role": "assistant", "content": said})), Example)


def test_a_call_of_a_tool_is_an_answer() -> None:
    assert isinstance(read_line(1, line(USER, {"role": "assistant", "content": "", "tool_calls": [CALL]})), Example)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ({"role": "assistant", "content": " "}, [("messages[1].content", "empty_answer")]),
        ({"role": "assistant", "content": "\u200b\u2060 \ufeff"}, [("messages[1].content", "empty_answer")]),
        ({"role": "assistant", "content": "x", "weight": 0}, [("messages[1].weight", "answer_not_learned")]),
        ({"role": "assistant", "content": "x", "weight": 0.5}, [("messages[1].weight", "data_type")]),
        ({"role": "assistant", "content": "x", "weight": True}, [("messages[1].weight", "data_type")]),
        ({"role": "assistant", "content": "x", "name": 3}, [("messages[1].name", "data_type")]),
        ({"role": "assistant", "content": "x", "tool_calls": "c"}, [("messages[1].tool_calls", "data_type")]),
        ({"role": "assistant", "content": "half \ud800"}, [("messages[1].content", "not_utf8")]),
        ({"role": "assistant", "content": None}, [("messages[1].content", "missing_content")]),
        ({"role": "bot", "content": "x"}, [("messages[1].role", "unrecognized_role")]),
        ({"role": "user", "content": "x"}, [("messages[1].role", "example_missing_assistant_message")]),
        ({"role": "assistant"}, [("messages[1].content", "message_missing_key")]),
        ({"role": "assistant", "content": "x", "x": 1}, [("messages[1].x", "message_unrecognized_key")]),
        ({"role": "assistant", "tool_calls": []}, [("messages[1].content", "message_missing_key")]),
    ],
)
def test_a_last_message_that_cannot_be_learned_is_refused(
    last: dict[str, object], expected: list[tuple[str, str]]
) -> None:
    assert problems(line(USER, last)) == expected


def test_a_message_that_calls_tools_needs_no_content() -> None:
    calls = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    (example,) = read_examples([line(USER, {"role": "assistant", "tool_calls": calls})]).examples
    assert example.messages[1].content == ""
    assert example.messages[1].tool_calls == tuple(calls)


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ({}, [("messages[1].tool_calls[0]", "message_missing_key")]),
        ({"function": {"arguments": "{}"}}, [("messages[1].tool_calls[0]", "message_missing_key")]),
        ({"function": {"name": " "}}, [("messages[1].tool_calls[0]", "message_missing_key")]),
        ({"function": "f"}, [("messages[1].tool_calls[0]", "message_missing_key")]),
        ({"function": {"name": "f", "arguments": "{city"}}, [("messages[1].tool_calls[0].arguments", "not_json")]),
        ({"function": {"name": "f", "arguments": "[1]"}}, [("messages[1].tool_calls[0].arguments", "not_json")]),
        ({"function": {"name": "f", "arguments": [1]}}, [("messages[1].tool_calls[0].arguments", "not_json")]),
        ({"function": {"name": "f", "arguments": '{"a":1}}'}}, [("messages[1].tool_calls[0].arguments", "not_json")]),
        ({"name": "f", "arguments": '{"a":1,"a":2}'}, [("messages[1].tool_calls[0].arguments", "not_json")]),
    ],
)
def test_a_call_that_no_template_can_write_is_named(call: dict[str, object], expected: list[tuple[str, str]]) -> None:
    assert problems(line(USER, {"role": "assistant", "content": "", "tool_calls": [call]})) == expected


@pytest.mark.parametrize("arguments", [None, "", "{}", ' {"a": 1} ', {"a": 1}])
def test_a_call_takes_an_object_or_nothing(arguments: object) -> None:
    for call in ({"function": {"name": "f", "arguments": arguments}}, {"name": "f", "arguments": arguments}):
        assert isinstance(read_line(1, line(USER, {"role": "assistant", "content": "", "tool_calls": [call]})), Example)


def test_an_earlier_answer_that_is_learned_must_not_be_empty() -> None:
    silent: dict[str, object] = {"role": "assistant", "content": ""}
    last: dict[str, object] = {"role": "assistant", "content": "x"}
    assert problems(line(USER, silent, USER, last)) == [("messages[1].content", "empty_answer")]
    assert isinstance(read_line(1, line(USER, silent | {"weight": 0}, USER, last)), Example)


def test_a_user_who_says_nothing_is_named() -> None:
    assert problems(line({"role": "user", "content": " "}, {"role": "assistant", "content": "x"})) == [
        ("messages[0].content", "missing_content")
    ]


@pytest.mark.parametrize(
    ("content", "value", "fix"),
    [
        (None, "null", "Write the content as text"),
        ({"a": True}, '{"a": true}', "Write the content as text"),
        ([{"type": "image_url", "image_url": {}}], '[{"type": "image_url", "image_url": {}}]', "Only text is read"),
    ],
)
def test_a_value_is_shown_as_it_stands_in_the_file(content: object, value: str, fix: str) -> None:
    (problem,) = read_examples([line(USER, {"role": "assistant", "content": content})]).problems
    assert problem.value == value
    assert problem.fix.startswith(fix)


def test_the_mark_at_the_beginning_of_a_file_is_no_part_of_a_row() -> None:
    """Nor is it where such files were put together."""
    rows = [b"\xef\xbb\xbf" + line(USER, {"role": "assistant", "content": "x"})] * 2
    assert (len(read_examples(rows).examples), read_examples(rows).problems) == (2, ())


def test_a_comma_after_a_row_is_what_has_to_go() -> None:
    (problem,) = read_examples([line(USER, {"role": "assistant", "content": "x"}) + b" ,\n"]).problems
    assert problem.fix == "Remove the comma at the end of the line: JSONL has none between its rows."


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {"messages": [{"role": "usr", "content": "q"}, {"role": "assistant", "content": ""}]},
            [("messages[0].role", "unrecognized_role"), ("messages[1].content", "empty_answer")],
        ),
        (
            {"messages": [{"role": "user", "content": "q", "extra": 1}, USER], "metadata": {"a": 1}},
            [
                ("metadata", "data_type"),
                ("messages[0].extra", "message_unrecognized_key"),
                ("messages[1].role", "example_missing_assistant_message"),
            ],
        ),
        (
            {"messages": [{"role": "user", "content": 5}, {"role": "assistant", "content": "x", "weight": 0}]},
            [("messages[0].content", "missing_content"), ("messages[1].weight", "answer_not_learned")],
        ),
        (
            {"metadata": 5, "tools": "x"},
            [("messages", "missing_messages_list"), ("metadata", "data_type"), ("tools", "data_type")],
        ),
        (
            {"messages": ["nope", {"content": "x"}]},
            [("messages[0]", "data_type"), ("messages[1].role", "message_missing_key")],
        ),
        ({"messages": [USER, {"role": "assistant", "content": None}]}, [("messages[1].content", "missing_content")]),
    ],
)
def test_one_problem_of_a_row_hides_no_other(row: object, expected: list[tuple[str, str]]) -> None:
    assert problems(json.dumps(row).encode()) == expected


def test_tools_must_be_objects() -> None:
    assert problems(line(USER, {"role": "assistant", "content": "x"}, tools="search")) == [("tools", "data_type")]


def nested(levels: int) -> object:
    value: object = {}
    for _ in range(levels):
        value = [value]
    return value


def test_what_is_nested_too_deeply_for_a_row_is_named() -> None:
    calling: dict[str, object] = {"role": "assistant", "content": None, "tool_calls": [{"a": nested(300)}]}

    assert problems(line(USER, {"role": "assistant", "content": "x"}, tools=[{"a": nested(300)}])) == [
        ("tools", "data_type")
    ]
    assert problems(line(USER, calling)) == [("messages[1].tool_calls", "data_type")]
    assert (
        len(read_examples([line(USER, {"role": "assistant", "content": "x"}, tools=[{"a": nested(90)}])]).examples) == 1
    )


@pytest.mark.parametrize("content", [b"[" * 100_000, b"[" + b"9" * 5_000 + b"]", b"{", b"nope"])
def test_no_line_stops_the_reader(content: bytes) -> None:
    result = read_examples([content])
    assert [type(problem) for problem in result.problems] == [Problem]
    assert result.examples == ()
