"""Files as other programs write them: what differs from ours is read as it was meant, or told for what it is."""

import json

import pyarrow as pa
import pytest

from playbook.datasets.spec import Format, Mapping
from tests.datasets.conftest import Importing, chat, jsonl, parquet


def test_the_turns_before_an_alpaca_instruction_come_before_it(importing: Importing) -> None:
    rows = [{"instruction": f"i{n}", "output": "o", "history": [["q1", "a1"], ["q2", "a2"]]} for n in range(3)]
    importing(("rows.jsonl", jsonl([*rows, {"instruction": "i3", "output": "o", "history": []}])))
    said = [[message["content"] for message in row["messages"]] for row in importing.all_rows()]
    assert sorted(said) == [["i3", "o"], *(["q1", "a1", "q2", "a2", f"i{n}", "o"] for n in range(3))]

    odd = (
        {"instruction": "i", "output": "o", "history": "q1"},
        {"instruction": "i", "output": "o", "history": [["q", 1]]},
    )
    report = importing(("rows.jsonl", jsonl([*rows, *odd])))
    assert [(finding.line, finding.field) for group in report.groups for finding in group.listed] == [
        (4, "history"),
        (5, "history[0][1]"),
    ]


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
@pytest.mark.parametrize("indent", [None, 1])
def test_an_object_around_all_rows_is_told_from_a_long_row(importing: Importing, name: str, indent: int | None) -> None:
    content = json.dumps({"data": [chat(f"q{n} " * 99, "a") for n in range(3_000)]}, indent=indent).encode()
    report = importing((name, content))
    ((finding,),) = (group.listed for group in report.groups)
    assert (finding.code, finding.line) == ("line_too_long", 1)
    assert "bring their list alone, as a JSON array." in finding.fix


def test_a_comparison_of_answers_is_not_told_to_bring_one_of_them(importing: Importing) -> None:
    said = [[{"role": "assistant", "content": answer}] for answer in ("good", "bad")]
    report = importing(("rows.jsonl", jsonl([{"question": "q", "preferred": said[0], "other": said[1]}])))
    ((finding,),) = (group.listed for group in report.groups)
    assert finding.fix == "No known format has these fields. Choose which of them is the prompt and which the answer."


def test_nulls_that_parquet_fills_in_for_other_tools_and_calls_are_left_out(importing: Importing) -> None:
    tools = [
        {"type": "function", "function": {"name": name, "parameters": {"properties": {field: {"type": "string"}}}}}
        for name, field in (("weather", "city"), ("clock", "zone"))
    ]
    calls = [
        [{"type": "function", "function": {"name": name, "arguments": {field: "x"}}}]
        for name, field in (("weather", "city"), ("clock", "zone"))
    ]
    rows = [
        {
            "messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "tool_calls": calls[n % 2]}],
            "tools": tools,
        }
        for n in range(4)
    ]
    importing(("rows.parquet", parquet(pa.Table.from_pylist(rows))))

    read = importing.all_rows()
    assert [row["tools"] for row in read] == [tools] * 4
    assert [row["messages"][1]["tool_calls"] for row in read if row["messages"][0]["content"] == "q1"] == [calls[1]]


def test_a_conversation_under_another_name_is_told_to_be_chosen_and_can_be(importing: Importing) -> None:
    turns = [[{"from": "human", "value": f"q{n}"}, {"from": "gpt", "value": "a"}] for n in range(4)]
    content = jsonl([{"items": said} for said in turns])
    ((finding,),) = (group.listed for group in importing(("rows.jsonl", content)).groups)
    assert finding.fix == "No known format has these fields. Choose “items” as the list of messages."
    assert importing(("rows.jsonl", content), mapping=Mapping(format=Format.CHAT, messages="items")).rows == 4


def test_roles_are_known_whatever_their_case(importing: Importing) -> None:
    rows = [
        {"messages": [{"role": asks, "content": f"{asks} {n}"}, {"role": answers, "content": "a"}]}
        for n, (asks, answers) in enumerate((("Human", "AI"), ("USER", "Assistant"), ("user", "bot")))
    ]
    assert importing(("rows.jsonl", jsonl(rows))).problems == 0
    assert {tuple(message["role"] for message in row["messages"]) for row in importing.all_rows()} == {
        ("user", "assistant")
    }


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"\xff\xff\xff\xffrest", "an Arrow file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel or Word file of old"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"Rar!\x1a\x07", "a RAR archive"),
        (b"\x93NUMPY\x01\0", "a NumPy array"),
        (b"Obj\x01\x04", "an Avro file"),
        (b"{\\rtf1 rows}", "a text with formats (RTF)"),
        (b"\x80\x03}q\0.", "a pickle"),
        (b'\n<?xml version="1.0"?><rows/>', "an XML file"),
    ],
)
def test_files_of_other_formats_are_named_and_not_taken_for_text(
    importing: Importing, content: bytes, value: str
) -> None:
    ((finding,),) = (group.listed for group in importing(("rows.jsonl", content)).groups)
    assert (finding.code, finding.value) == ("unreadable_file", value)
