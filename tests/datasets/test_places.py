"""Where a problem or a row is said to be: the line that an editor shows, or the number of the row."""

import csv
import gzip
import io
import json

import pyarrow as pa
import pytest

from playbook.contracts.dataset import Split
from playbook.datasets.spec import Report
from tests.datasets.conftest import Importing, chat, jsonl, parquet, rows_of

EMPTY = {"prompt": "a prompt", "completion": ""}


def rows(count: int = 4) -> list[dict[str, str]]:
    return [{"prompt": f"prompt {n}", "completion": f"completion {n}"} for n in range(count)]


def table(found: list[dict[str, str]]) -> bytes:
    return parquet(pa.Table.from_pylist(found))


def places(report: Report) -> list[str]:
    return [found.place for group in report.groups for found in group.listed]


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("rows.jsonl", jsonl([rows()[0], EMPTY]), "line 2"),
        ("rows.jsonl", b"\n\n" + jsonl([EMPTY, *rows()]), "line 3"),
        ("rows.json", json.dumps([*rows(2), EMPTY]).encode(), "row 3, line 1"),
        ("rows.json", json.dumps([*rows(2), EMPTY], indent=1).encode(), "row 3, line 10"),
        ("rows.parquet", table([*rows(2), EMPTY]), "row 3"),
        ("rows.parquet.gz", gzip.compress(table([*rows(2), EMPTY])), "row 3"),
    ],
)
def test_a_problem_is_where_its_file_counts(importing: Importing, name: str, content: bytes, place: str) -> None:
    assert places(importing((name, content))) == [place]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_lines_of_a_table_are_those_of_an_editor(importing: Importing, end: str) -> None:
    """A quoted cell of three lines and an empty line come before the row that is wrong."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=end)
    writer.writerows([["prompt", "completion"], ["one\ntwo\nthree", "yes"]])
    out.write(end)
    writer.writerows([["the prompt of a row\nof two lines", ""], ["fine", "no"], ["short"]])
    content = out.getvalue()
    in_editor = content.replace("\r\n", "\n").split("\n")
    wrong = [f"line {in_editor.index(begin) + 1}" for begin in ('"the prompt of a row', "short")]
    assert places(importing(("rows.csv", content.encode()))) == wrong == ["line 6", "line 9"]


@pytest.mark.parametrize(
    ("name", "content", "place"),
    [
        ("rows.parquet", b"PAR1 and nothing else", ""),
        ("rows.jsonl", b"\x89PNG", ""),
        ("rows.csv", b"\n\nprompt,prompt\na,b\n", "line 3"),
        ("rows.json", b'[{"prompt": "a",\n"completion": "b"},\n\n{"prompt"', "line 4"),
        ("rows.json", b'[{"prompt": "a", "completion": "b"},\n\n{"prompt": "\xff"}]', "line 3"),
    ],
)
def test_what_ends_a_file_is_at_a_line_only_where_there_is_one(
    importing: Importing, name: str, content: bytes, place: str
) -> None:
    assert places(importing((name, content))) == [place]


def test_the_last_row_that_was_read_is_named_as_the_file_counts(importing: Importing) -> None:
    report = importing(("rows.json", b'[{"prompt": "a", "completion": "b"}, {"prompt"'))
    assert "Rows after row 1 were not read" in report.groups[0].listed[0].fix


def test_rows_behind_a_check_are_found_in_their_file(importing: Importing) -> None:
    same = {"prompt": "the same", "completion": "the same"}
    of_a_table = importing(("rows.parquet", table([*rows(8), same, same])))
    of_lines = importing(("rows.csv", b"prompt,completion\n" + b"the same,the same\n" * 2 + b"a,b\nc,d\ne,f\n"))
    for report, expected in (
        (of_a_table, ["row 9 of rows.parquet", "row 10 of rows.parquet"]),
        (of_lines, ["line 2 of rows.csv", "line 3 of rows.csv"]),
    ):
        (group,) = next(check for check in report.checks if check.code == "duplicate").groups
        assert sorted((report.place_of(ref) for ref in group.rows), key=len) == expected


def test_a_test_row_that_train_has_is_named_as_each_file_counts(importing: Importing) -> None:
    train = json.dumps([chat("a", "b"), chat("shared", "b")]).encode()
    test = jsonl([chat("c", "d"), chat("e", "f"), chat("shared", "b")])
    for (train_file, test_file), (place, fix) in {
        (("train.json", train), ("test.jsonl", test)): ("line 3", "Row 2 of train.json"),
        (("train.jsonl", test), ("test.json", train)): ("row 2", "Line 3 of train.jsonl"),
    }.items():
        report = importing(
            (*train_file, Split.TRAIN),
            ("validation.jsonl", jsonl(rows_of(1)), Split.VALIDATION),
            (*test_file, Split.TEST),
        )
        (found,) = report.groups[0].listed
        assert (found.file, found.place) == (test_file[0], place)
        assert found.fix.startswith(fix)


def test_a_role_is_named_as_the_file_calls_it(importing: Importing) -> None:
    turns = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}, {"from": "human", "value": "thanks"}]
    asked, said = [{"role": "user", "content": "q"}], [{"role": "developer", "content": "a"}]
    for row, place in (
        ({"conversations": turns}, ("conversations[2].from", "human")),
        ({"prompt": asked, "completion": said}, ("completion[0].role", "developer")),
    ):
        (group,) = importing(("rows.jsonl", jsonl([row]))).groups
        assert [(found.field, found.value) for found in group.listed] == [place]
