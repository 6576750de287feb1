"""Each format becomes the same chat row, as a file of each kind, plain and in gzip."""

import csv
import io
import json
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from playbook.datasets.formats import detect
from playbook.datasets.spec import Format, Mapping
from tests.datasets.conftest import PACKED, Importing, chat, codes, jsonl

WANTED = [chat(f"question {n}", f"answer {n}") for n in range(3)]


def _qa(prompt: str, answer: str) -> list[dict[str, object]]:
    return [{prompt: f"question {n}", answer: f"answer {n}"} for n in range(3)]


def _turns(role: str, content: str, user: str, assistant: str) -> list[list[dict[str, str]]]:
    return [[{role: user, content: f"question {n}"}, {role: assistant, content: f"answer {n}"}] for n in range(3)]


FORMATS: dict[Format, list[Any]] = {
    Format.CHAT: WANTED,
    Format.PROMPT_COMPLETION: _qa("prompt", "completion"),
    Format.ALPACA: [row | {"input": ""} for row in _qa("instruction", "output")],
    Format.SHAREGPT: [{"conversations": turns} for turns in _turns("from", "value", "human", "gpt")],
    Format.COLUMNS: _qa("Question", "Answer"),
}


def _csv(rows: list[Any]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys(), delimiter=";")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: json.dumps(value) if isinstance(value, list) else value for key, value in row.items()})
    return out.getvalue().encode("utf-8-sig")


def _parquet(rows: list[Any]) -> bytes:
    out = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), out)
    return out.getvalue()


FILES = {
    "rows.jsonl": jsonl,
    "rows.json": lambda rows: json.dumps(rows, indent=1).encode(),
    "rows.csv": _csv,
    "rows.parquet": _parquet,
}


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("format", FORMATS)
def test_every_format_in_every_file_becomes_the_same_rows(
    importing: Importing, format: Format, name: str, packed: str
) -> None:
    report = importing((name + packed, PACKED[packed](FILES[name](FORMATS[format]))))
    assert codes(report) == {}
    assert sorted(importing.all_rows(), key=str) == sorted(WANTED, key=str)
    mapping = report.sources[0].mapping
    assert mapping is not None
    assert mapping.format is format


def test_prompt_and_completion_may_be_messages(importing: Importing) -> None:
    rows = [{"prompt": turns[:1], "completion": turns[1:]} for turns in _turns("role", "content", "user", "assistant")]
    assert not importing(("rows.jsonl", jsonl(rows))).refused
    assert sorted(importing.all_rows(), key=str) == sorted(WANTED, key=str)


def test_plain_text_has_no_prompt(importing: Importing) -> None:
    report = importing(("rows.jsonl", jsonl([{"text": f"text {n}"} for n in range(3)])))
    assert report.sources[0].mapping == Mapping(format=Format.TEXT, answer="text")
    assert sorted(row["messages"][0]["content"] for row in importing.all_rows()) == ["text 0", "text 1", "text 2"]


def test_alpaca_joins_instruction_and_input_and_keeps_the_system_message(importing: Importing) -> None:
    rows = [{"instruction": f"Do {n}", "input": "this", "output": "done", "system": "Be brief."} for n in range(3)]
    importing(("rows.jsonl", jsonl(rows)))
    messages = next(row["messages"] for row in importing.all_rows() if "Do 1" in str(row))
    assert messages == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Do 1\n\nthis"},
        {"role": "assistant", "content": "done"},
    ]


def test_openai_parts_weights_and_tools_are_kept(importing: Importing) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    rows = [
        {
            "messages": [
                {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
                {"role": "user", "content": f"question {n}"},
                {"role": "assistant", "content": "no", "weight": 0},
                {"role": "user", "content": "again"},
                {"role": "assistant", "content": "yes", "weight": 1},
            ],
            "tools": tools,
        }
        for n in range(3)
    ]
    importing(("rows.jsonl", jsonl(rows)))
    row = next(row for row in importing.all_rows() if "question 1" in str(row))
    assert row["tools"] == tools
    assert row["messages"][0] == {"role": "system", "content": "Be brief."}
    assert [message.get("weight") for message in row["messages"]] == [None, None, 0, None, 1]


def test_calls_without_content_and_the_older_function_calls_are_kept(importing: Importing) -> None:
    """OpenAI's own examples leave the content of a calling message out; before tools there were functions."""
    call, function = {"name": "f", "arguments": "{}"}, {"name": "f"}
    new: list[object] = [
        {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": call}]},
        {"role": "tool", "tool_call_id": "1", "content": "4"},
    ]
    old: list[object] = [
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": "f", "content": "4"},
    ]
    rows = []
    for number, (turns, key, value) in enumerate(
        [(new, "tools", [{"type": "function", "function": function}]), (old, "functions", [function])] * 2
    ):
        asked, answer = {"role": "user", "content": f"question {number}"}, {"role": "assistant", "content": "4"}
        rows.append({"messages": [asked, *turns, answer], key: value})
    report = importing(("rows.jsonl", jsonl(rows)))
    assert not report.refused
    assert report.sources[0].kept == ()
    for row in importing.all_rows():
        assert row["tools"] == [{"type": "function", "function": function}]
        assert row["messages"][1]["tool_calls"][0]["function"] == call
        assert row["messages"][2]["role"] == "tool"


@pytest.mark.parametrize("part", [{"type": "text"}, {"type": "text", "text": None}, {"type": "image_url"}])
def test_a_part_that_is_no_text_is_named_and_not_made_up(importing: Importing, part: dict[str, object]) -> None:
    rows = [*WANTED, {"messages": [{"role": "user", "content": [part]}, {"role": "assistant", "content": "x"}]}]
    (group,) = importing(("rows.jsonl", jsonl(rows))).groups
    (finding,) = group.listed
    assert (finding.code, finding.line, finding.field) == ("missing_content", 4, "messages[0].content")
    assert finding.value == json.dumps([part])


@pytest.mark.parametrize("format", [Format.SHAREGPT, Format.CHAT])
def test_a_system_message_beside_the_turns_comes_first(importing: Importing, format: Format) -> None:
    """Also when only some rows have one: it would be metadata else, and nobody would learn it."""
    system = {"role": "system", "content": "Be brief."}
    rows = [row | ({"system": "Be brief."} if number == 2 else {}) for number, row in enumerate(FORMATS[format])]
    report = importing(("rows.jsonl", jsonl(rows)))
    assert report.sources[0].mapping == Mapping(
        format=format, messages="conversations" if format is Format.SHAREGPT else "messages", system="system"
    )
    wanted = [*WANTED[:2], {"messages": [system, *WANTED[2]["messages"]]}]  # type: ignore[misc]
    assert sorted(importing.all_rows(), key=str) == sorted(wanted, key=str)


def test_a_system_message_that_is_no_text_is_named(importing: Importing) -> None:
    rows = [*FORMATS[Format.SHAREGPT], FORMATS[Format.SHAREGPT][0] | {"system": ["a"]}]
    (group,) = importing(("rows.jsonl", jsonl(rows))).groups
    assert [(found.line, found.field, found.value) for found in group.listed] == [(4, "system", '["a"]')]


def test_tools_beside_prompt_and_completion_are_tools(importing: Importing) -> None:
    tools = [{"type": "function", "function": {"name": "f"}}]
    rows = [row | {"tools": tools} for row in FORMATS[Format.PROMPT_COMPLETION]]
    report = importing(("rows.jsonl", jsonl(rows)))
    assert report.sources[0].kept == ()
    assert [row["tools"] for row in importing.all_rows()] == [tools] * 3


@pytest.mark.parametrize("answer", ['[{"item": "lamp"}]', "[ 1, 2 ]", "[]", '[{"role": "manager"}]'])
def test_an_answer_that_is_a_json_list_stays_text(importing: Importing, answer: str) -> None:
    rows = [{"prompt": f"question {n}", "completion": answer} for n in range(3)]
    assert not importing(("rows.jsonl", jsonl(rows))).refused
    assert {row["messages"][1]["content"] for row in importing.all_rows()} == {answer}


@pytest.mark.parametrize(
    ("format", "fields"),
    [
        (Format.CHAT, ("Messages",)),
        (Format.PROMPT_COMPLETION, ("Prompt", "COMPLETION")),
        (Format.ALPACA, ("Instruction", "Output")),
    ],
)
def test_fields_are_known_whatever_their_case(format: Format, fields: tuple[str, ...]) -> None:
    mapping = detect([dict.fromkeys((*fields, "Input"), "x")])
    assert mapping
    assert mapping.format is format
    assert {mapping.messages, mapping.prompt, mapping.answer} - {""} == set(fields)
    assert mapping.input == ("Input" if format is Format.ALPACA else "")


def test_a_problem_in_messages_of_single_fields_names_the_field_and_the_place(importing: Importing) -> None:
    asked = [{"role": "user", "content": "a"}]
    rows = [
        {"system": "s", "prompt": asked, "completion": [{"role": "assistant", "content": "b"}, {"role": "user"}]},
        {"system": "", "prompt": "a", "completion": [{"role": "bot!", "content": "b"}]},
        {"system": "s", "prompt": [{"role": "user"}], "completion": "b"},
        {"system": "s", "prompt": " ", "completion": ""},
        {"system": "s", "prompt": [{"role": "u", "content": "a"}], "completion": ""},
        {"system": "s", "prompt": {"a": 1}, "completion": [{"role": "assistant", "content": "b"}, {"role": "tool"}]},
    ]
    report = importing(("rows.jsonl", jsonl(rows)))
    assert sorted((found.line, found.field, found.code) for group in report.groups for found in group.listed) == [
        (1, "completion[1].content", "message_missing_key"),
        (1, "completion[1].role", "example_missing_assistant_message"),
        (2, "completion[0].role", "unrecognized_role"),
        (3, "prompt[0].content", "message_missing_key"),
        (4, "completion", "empty_answer"),
        (4, "prompt", "missing_content"),
        (5, "completion", "empty_answer"),
        (5, "prompt[0].role", "unrecognized_role"),
        (6, "completion[1].content", "message_missing_key"),
        (6, "completion[1].role", "example_missing_assistant_message"),
        (6, "prompt", "missing_content"),
    ]


def test_a_turn_without_a_value_is_named_in_the_words_of_the_file(importing: Importing) -> None:
    turns = [{"from": "human", "value": "a"}, {"from": "gpt", "value": None}, {"from": "gpt"}]
    report = importing(("rows.jsonl", jsonl([*FORMATS[Format.SHAREGPT], {"conversations": turns}])))
    findings = [found for group in report.groups for found in group.listed]
    assert [(found.field, found.value, found.fix) for found in findings] == [
        (
            "conversations[1].value",
            "null",
            "Write the content as text; an answer that is JSON goes in as a string.",
        ),
        ("conversations[2].value", "missing", 'Add "value" to the message.'),
    ]


def test_missing_turns_are_named_in_the_words_of_the_file(importing: Importing) -> None:
    rows = [*FORMATS[Format.SHAREGPT], {"conversations": []}, {"id": 1}]
    (group,) = importing(("rows.jsonl", jsonl(rows))).groups
    assert [(found.line, found.field, found.value) for found in group.listed] == [
        (4, "conversations", "[]"),
        (5, "conversations", "missing"),
    ]
    assert {found.fix for found in group.listed} == {
        'Add "conversations": a list of {"from": ..., "value": ...} objects.'
    }


def test_values_of_parquet_that_json_lacks_are_kept_as_plain_text(importing: Importing) -> None:
    rows = [row | {"price": Decimal("1.20"), "day": date(2026, 1, 2)} for row in FORMATS[Format.PROMPT_COMPLETION]]
    importing(("rows.parquet", _parquet(rows)))
    assert [row["metadata"] for row in importing.all_rows()] == [{"price": "1.20", "day": "2026-01-02"}] * 3


def test_a_pasted_table_of_one_column_is_a_table(importing: Importing) -> None:
    report = importing(("pasted rows", b"text\nOne line.\nAnother line\nA third\n"))
    assert (report.sources[0].container, report.rows, report.problems) == ("CSV", 3, 0)
    for content in (b"text\n{}\n", b"text\n", b"oops\n[1]\n"):
        assert importing(("pasted rows", content)).sources[0].container == "JSONL"


def test_a_mapping_says_what_is_learned() -> None:
    with pytest.raises(ValidationError, match="name the field of the messages, or that of the answer"):
        Mapping(format=Format.COLUMNS, prompt="question")


def _calling(value: str, number: int = 0) -> dict[str, object]:
    turns = [("human", f"Weather {number}?"), ("function_call", value), ("observation", "sun"), ("gpt", "Sunny.")]
    return {"conversations": [{"from": who, "value": text} for who, text in turns]}


def test_calls_of_sharegpt_become_tool_calls(importing: Importing) -> None:
    call = '{"name": "weather", "arguments": {"city": "Rome"}}'
    rows = [_calling(call), _calling(f" [{call}] ", 1), _calling(call, 2)]
    assert not importing(("rows.jsonl", jsonl(rows))).refused
    calls = [{"type": "function", "function": {"name": "weather", "arguments": {"city": "Rome"}}}]
    assert [row["messages"][1:] for row in importing.all_rows()] == [
        [
            {"role": "assistant", "content": "", "tool_calls": calls},
            {"role": "tool", "content": "sun"},
            {"role": "assistant", "content": "Sunny."},
        ]
    ] * 3


def test_a_call_of_sharegpt_that_is_no_call_is_named(importing: Importing) -> None:
    values = ["weather(Rome)", '{"city": "Rome"}', '{"name": "f"} {}', '{"name": "f", "arguments": {"n": NaN}}']
    report = importing(("rows.jsonl", jsonl([_calling(value) for value in values])))
    (group,) = report.groups
    assert [(found.line, found.field, found.code) for found in group.listed] == [
        (line, "conversations[1].from", "unrecognized_role") for line in (1, 2, 3, 4)
    ]
    assert {found.fix for found in group.listed} == {
        'Write the call as JSON in the value of the turn: {"name": "…", "arguments": {…}}.'
    }


def test_other_fields_become_metadata_as_text(importing: Importing) -> None:
    rows = [row | {"source": "help desk", "score": 3, "tags": ["a"], "none": None} for row in WANTED]
    report = importing(("rows.jsonl", jsonl(rows)))
    assert report.sources[0].kept == ("source", "score", "tags", "none")
    assert importing.all_rows()[0]["metadata"] == {"source": "help desk", "score": "3", "tags": '["a"]'}
    assert report.group_fields == ("source", "score", "tags")


def test_a_field_beside_metadata_that_has_its_name_is_not_lost(importing: Importing) -> None:
    rows = [chat(f"q{n}", "a", metadata={"id": "7", "at": "1"}, id=n, at=1) for n in range(3)]
    assert not importing(("rows.jsonl", jsonl(rows))).refused
    kept = sorted(row["metadata"]["id of the row"] for row in importing.all_rows())
    assert kept == ["0", "1", "2"]
    assert importing.all_rows()[0]["metadata"].keys() == {"id", "at", "id of the row"}


def test_values_of_metadata_become_text_too(importing: Importing) -> None:
    rows = [chat(f"q{n}", "a", metadata={"score": 0.5, "day": "Monday", "none": None, "tags": ["a"]}) for n in range(3)]
    importing(("rows.jsonl", jsonl(rows)))
    assert importing.all_rows()[0]["metadata"] == {"score": "0.5", "day": "Monday", "tags": '["a"]'}
    assert codes(importing(("rows.jsonl", jsonl([*rows, chat("q", "a", metadata=["x"])])))) == {"data_type": 1}


def test_chat_lines_are_kept_byte_for_byte(importing: Importing) -> None:
    content = b'{"messages":[{"role":"user","content":"\\u00e9 %d"},{"role":"assistant","content":"x"}]}\n'
    importing(("rows.jsonl", b"".join(content % n for n in range(3))))
    lines = [line for split in ("train", "validation", "test") for line in open_lines(importing, split)]
    assert sorted(lines) == [content % n for n in range(3)]


def open_lines(importing: Importing, split: str) -> list[bytes]:
    return (importing.folder / f"{split}.jsonl").read_bytes().splitlines(keepends=True)


@pytest.mark.parametrize(
    ("first", "more"),
    [
        ({"from": "system", "value": "s"}, {}),
        ({"from": "system", "value": "s"}, {"metadata": {}}),
        ({"from": "gpt", "value": "", "weight": 0}, {"metadata": {'a "key"': "\u2028\x07"}}),
        ({"from": "gpt", "value": "x"}, {"tools": [{"n": 1}]}),
    ],
)
def test_other_rows_are_written_as_json_writes_them(
    importing: Importing, first: dict[str, object], more: dict[str, object]
) -> None:
    said = 'say "ä\\" \n\t\x00\x7f😀'
    rows = [
        {"conversations": [first, {"from": "human", "value": f"{said}{n}"}, {"from": "gpt", "value": "y"}], **more}
        for n in range(3)
    ]
    importing(("rows.json", json.dumps(rows).encode()))
    lines = [line for split in ("train", "validation", "test") for line in open_lines(importing, split)]
    assert lines == [json.dumps(json.loads(line), ensure_ascii=False).encode() + b"\n" for line in lines]
    assert sorted(json.loads(line)["messages"][1]["content"] for line in lines) == [f"{said}{n}" for n in range(3)]


def test_unknown_fields_are_named_and_can_be_mapped_by_hand(importing: Importing) -> None:
    content = jsonl([{"frage": f"question {n}", "antwort": f"answer {n}"} for n in range(3)])
    report = importing(("rows.jsonl", content))
    assert report.refused
    assert report.sources[0].columns == ("frage", "antwort")
    (group,) = report.groups
    assert (group.code, group.listed[0].value) == ("unknown_format", "fields frage, antwort")
    mapping = Mapping(format=Format.COLUMNS, prompt="frage", answer="antwort")
    assert not importing(("rows.jsonl", content), mapping=mapping).refused
    assert sorted(importing.all_rows(), key=str) == sorted(WANTED, key=str)


def test_one_odd_row_among_many_does_not_change_the_format(importing: Importing) -> None:
    assert detect([{"text": "x"}, *WANTED]) == Mapping(format=Format.CHAT, messages="messages")
    report = importing(("rows.jsonl", jsonl([{"text": "x"}, *WANTED])))
    assert codes(report) == {"missing_messages_list": 1}


def test_problems_name_the_field_of_the_file(importing: Importing) -> None:
    rows = [
        {"conversations": [{"from": "human", "value": "a"}, {"from": "alien", "value": "b"}]},
        {"conversations": [{"from": "human", "value": "a"}]},
    ]
    report = importing(("rows.jsonl", jsonl(rows)))
    assert [(found.line, found.field) for group in report.groups for found in group.listed] == [
        (1, "conversations[1].from"),
        (2, "conversations[0].from"),
    ]
