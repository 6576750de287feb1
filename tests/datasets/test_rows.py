"""Rows read back: pages, searches, single rows."""

import json
from pathlib import Path
from unicodedata import normalize

import pytest

from playbook.datasets import rows
from playbook.datasets.rows import Query, rows_at, rows_from, search
from tests.datasets.conftest import chat, jsonl


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "train.jsonl"
    made = [chat(f"Prompt {n}", json.dumps({"issue": "ab"[n % 2]}), metadata={"id": f"é{n}"}) for n in range(1, 31)]
    path.write_bytes(b"\n" + jsonl(made))
    return path


def numbers(found: rows.Found) -> list[int]:
    return [row.number for row in found.rows]


def test_a_page_and_single_rows(file: Path) -> None:
    assert [(row.number, row.example.prompt[0].content) for row in rows_from(file, 29, 10)] == [
        (29, "Prompt 29"),
        (30, "Prompt 30"),
    ]
    assert {number: example.prompt[0].content for number, example in rows_at(file, [3, 1]).items()} == {
        1: "Prompt 1",
        3: "Prompt 3",
    }


def test_a_search_goes_on_where_it_stopped(file: Path) -> None:
    first = search(file, Query(text="prompt 2"), after=0, count=5)
    assert (numbers(first), first.is_end) == ([2, 20, 21, 22, 23], False)
    rest = search(file, Query(text="prompt 2"), after=first.reached, count=50)
    assert (numbers(rest), rest.reached, rest.is_end) == ([24, 25, 26, 27, 28, 29], 30, True)


def test_a_search_finds_metadata_and_values_of_the_answer(file: Path) -> None:
    assert numbers(search(file, Query(text="É7"), after=0, count=9)) == [7]
    assert numbers(search(file, Query(field="issue", value="a"), after=24, count=9)) == [26, 28, 30]
    assert numbers(search(file, Query(field="nothing", value="a"), after=0, count=9)) == []
    assert numbers(search(file, Query(field="answer", value='{"issue": "b"}'), after=26, count=9)) == [27, 29]


def test_a_search_finds_calls_of_tools(tmp_path: Path) -> None:
    call = {"type": "function", "function": {"name": "weather", "arguments": '{"city": "Łódź"}'}}
    row = chat("q", "")
    row["messages"][1]["tool_calls"] = [call]  # type: ignore[index]
    (tmp_path / "rows").write_bytes(jsonl([chat("a", "b"), row]))
    assert numbers(search(tmp_path / "rows", Query(text="łódź"), after=0, count=9)) == [2]


def test_a_search_reads_a_bounded_part_at_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "SEARCH_BYTES", 500)
    found = search(file, Query(text="prompt 30"), after=0, count=5)
    assert (numbers(found), found.is_end) == ([], False)
    assert 0 < found.reached < 30


def test_a_search_finds_letters_whose_marks_stand_apart(tmp_path: Path) -> None:
    (tmp_path / "rows").write_bytes(jsonl([chat("a", "b"), chat(normalize("NFD", "Wo ist das Café?"), "c")]))
    assert numbers(search(tmp_path / "rows", Query(text="CAFÉ"), after=0, count=9)) == [2]
