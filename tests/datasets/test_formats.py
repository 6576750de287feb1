"""Each format becomes the same chat row, as a file of each kind, plain and in gzip."""

import csv
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

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
    if name == "rows.parquet" and packed:
        assert codes(report) == {"unreadable_file": 1}
        return
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


def test_chat_lines_are_kept_byte_for_byte(importing: Importing) -> None:
    content = b'{"messages":[{"role":"user","content":"\\u00e9 %d"},{"role":"assistant","content":"x"}]}\n'
    importing(("rows.jsonl", b"".join(content % n for n in range(3))))
    lines = [line for split in ("train", "validation", "test") for line in open_lines(importing, split)]
    assert sorted(lines) == [content % n for n in range(3)]


def open_lines(importing: Importing, split: str) -> list[bytes]:
    return (importing.folder / f"{split}.jsonl").read_bytes().splitlines(keepends=True)


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
