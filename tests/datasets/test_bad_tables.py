"""Bad tables: what is wrong in a CSV or Parquet file is named, and takes nothing else with it."""

import base64
import csv
import io
import json
from datetime import date
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.parquet import encryption

from tests.datasets.conftest import Importing, codes, found, parquet
from tests.datasets.test_bad_files import only


def test_a_header_that_is_not_utf8_is_not_taken_from_the_next_line(importing: Importing) -> None:
    code, line, field, value = only(importing(("rows.csv", "prömpt,completion\nprompt,completion\n".encode("latin-1"))))
    assert (code, line, field, value[:7]) == ("not_utf8", 1, "row", "b'\\xf6m")


def test_delimiters_inside_quotes_are_text(importing: Importing) -> None:
    report = importing(("rows.csv", b'"prompt";"answer";"note, in words, at length"\na;b;c\nd;e;f\ng;h;i\n'))
    assert report.sources[0].columns == ("prompt", "answer", "note, in words, at length")
    assert report.rows == 3


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("What, in your words, went wrong?;Mended?\na, b;x\nc;y\n", ("What, in your words, went wrong?", "Mended?")),
        ("question, short\tanswer\na\tx\n", ("question, short", "answer")),
        ("\nquestion;answer\na,b;x\n", ("question", "answer")),
        ("question;answer", ("question", "answer")),
    ],
)
def test_the_delimiter_is_what_cuts_the_rows_as_it_does_the_header(
    importing: Importing, content: str, columns: tuple[str, ...]
) -> None:
    (source,) = importing(("rows.csv", content.encode())).sources
    assert source.columns == (columns if content.count("\n") else ())
    assert not source.rows or source.mapping is None or source.rows == content.strip().count("\n")


@pytest.mark.parametrize("header", ["prompt, completion", '"prompt", "completion"'])
def test_blanks_behind_every_delimiter_are_no_part_of_the_cells(importing: Importing, header: str) -> None:
    importing(("rows.csv", f'{header}\n"a, b", "x, y"\nc,  d\ne, f\n'.encode()))
    said = [tuple(message["content"] for message in row["messages"]) for row in importing.all_rows()]
    assert sorted(said) == [("a, b", "x, y"), ("c", "d"), ("e", "f")]
    importing(("rows.csv", b"prompt,completion\na, x\nb,y\nc,z\n"))
    assert ("a", " x") in [tuple(message["content"] for message in row["messages"]) for row in importing.all_rows()]


def test_what_the_first_readable_row_says_tells_the_format(importing: Importing) -> None:
    """A hundred rows in another encoding made a table one of chat messages, which no other row then was."""
    rows = ["question,answer", *["ä,b"] * 150, *(f"q{n},a" for n in range(5))]
    report = importing(("rows.csv", "\n".join(rows).encode("cp1252")))
    assert (codes(report), report.rows) == ({"not_utf8": 150}, 5)


def test_an_object_of_columns_is_named_for_what_it_is(importing: Importing) -> None:
    """What pandas writes unless it is told otherwise."""
    by_index = {"prompt": {"0": "a", "1": "b"}, "completion": {"0": "x", "1": "y"}}
    for table in (by_index, {name: list(column.values()) for name, column in by_index.items()}):
        report = importing(("rows.json", json.dumps(table).encode()))
        (finding,) = report.groups[0].listed
        assert (finding.code, finding.field) == ("data_type", "file")
        assert finding.fix.startswith("The file is one object of columns. Write one object for each row; pandas")


def test_cells_of_tools_and_metadata_are_read_as_what_they_hold(importing: Importing) -> None:
    """An empty cell is no list of tools, and a table has no other way to hold metadata than as text."""
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    tools = [{"type": "function", "function": {"name": "f"}}]
    out = io.StringIO()
    table = csv.writer(out)
    table.writerow(["messages", "tools", "metadata"])
    for number, (offered, said) in enumerate([("", '{"id": 7}'), ("[]", "plain"), (json.dumps(tools), " ")]):
        turns[0]["content"] = f"q{number}"
        table.writerow([json.dumps(turns), offered, said])
    assert not importing(("rows.csv", out.getvalue().encode())).refused
    rows = sorted(importing.all_rows(), key=lambda row: row["messages"][0]["content"])
    assert [(row.get("tools"), row.get("metadata")) for row in rows] == [
        (None, {"id": "7"}),
        ([], {"metadata": "plain"}),
        (tools, None),
    ]


def test_a_row_with_broken_quotes_does_not_hide_the_next(importing: Importing) -> None:
    content = b'prompt,completion\na,b\n"c" d,e\nf,g\n"h \\"i\\"",j\nk,l\n\xff,m\n'
    report = importing(("rows.csv", content))
    assert [(found.code, found.line) for group in report.groups for found in group.listed] == [
        ("broken_quotes", 3),
        ("broken_quotes", 5),
        ("not_utf8", 7),
    ]
    assert (report.rows, report.left_out, report.is_broken) == (3, 3, False)


@pytest.mark.parametrize(
    ("header", "fix"),
    [
        (b",prompt,completion\n0,", "Column 1 has no name. Name it in the first line, or leave it out; pandas writes"),
        (b"prompt,completion,,\n", "Column 3 has no name."),
        (b"sep=;\nprompt;completion\n", "Column 2 has no name. Remove the first line: it tells Excel the delimiter"),
        (b"a,b,a\n", "Give each column a name of its own in the first line; two are named a."),
    ],
)
def test_a_header_without_a_name_for_each_column_says_which_and_why(
    importing: Importing, header: bytes, fix: str
) -> None:
    (group,) = importing(("rows.csv", header + b"a,b\n")).groups
    assert group.listed[0].fix.startswith(fix)


def test_rows_of_another_width_are_counted_in_words(importing: Importing) -> None:
    (group,) = importing(("rows.csv", b"prompt,completion\na\na,b,c\nd,e\n")).groups
    assert [found.value for found in group.listed] == ["1 cell", "3 cells"]


def _list_cells(*cells: str) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([["conversations"], *([cell] for cell in cells)])
    return out.getvalue().encode()


@pytest.mark.parametrize(
    ("wrong", "fix"),
    [
        ('{"from": "gpt", "value": "x", "value": "y"}', 'the name "value" stands twice in one object'),
        ('{"from": "gpt", "value": "x", "weight": NaN}', "NaN is no JSON"),
        ('{"from": "gpt", "value": "\\ud800"}', "[1].value holds half of a surrogate pair"),
        ('{"from": "gpt", "value": "x", "\\ud800": 1}', "[1].? holds half of a surrogate pair"),
    ],
)
def test_a_list_in_a_cell_is_read_as_strictly_as_a_line(importing: Importing, wrong: str, fix: str) -> None:
    """Of a name that stands twice the last value won, and half a character ended the import when its report was
    written."""
    cells = [f'[{{"from": "human", "value": "q{n}"}}, {{"from": "gpt", "value": "a"}}]' for n in range(3)]
    report = importing(("rows.csv", _list_cells(*cells, f'[{{"from": "human", "value": "q"}}, {wrong}]')))
    (group,) = report.groups
    (finding,) = group.listed
    assert (finding.code, finding.line, finding.field) == ("not_json", 5, "conversations")
    assert finding.fix.startswith(f"Mend the list: {fix}")
    assert report.rows == 3


def test_half_a_character_anywhere_in_a_problem_leaves_the_report_readable(importing: Importing) -> None:
    cell = '[{"from": "human", "value": [["\\ud800"]]}, {"from": "gpt", "value": "a"}]'
    report = importing(("rows.csv", _list_cells(cell[:-1] + ",", cell)))
    assert report.problems == 2
    assert report.model_validate_json(report.model_dump_json()) == report


@pytest.mark.parametrize("value", [date(2026, 1, 1), Decimal("1.2"), b"\xff", float("nan")])
@pytest.mark.parametrize("field", ["tools", "tool_calls"])
def test_values_that_json_lacks_are_named_where_they_cannot_be_kept_as_text(
    importing: Importing, field: str, value: object
) -> None:
    """They ended the whole import, and NaN was stored as a line that is no JSON."""
    listed = [{"function": {"name": "f", "of": value}}]
    said = {"role": "assistant", "content": "x"}
    rows = [
        {"messages": [{"role": "user", "content": f"q{n}"}, said | {"tool_calls": listed}]}
        if field == "tool_calls"
        else {"messages": [{"role": "user", "content": f"q{n}"}, said], "tools": listed}
        for n in range(4)
    ]
    report = importing(("rows.parquet", parquet(pa.Table.from_pylist(rows))))
    assert codes(report) == {"data_type": 4}
    finding = report.groups[0].listed[0]
    assert (finding.number, finding.field) == (1, "tools" if field == "tools" else "messages[1].tool_calls")
    assert finding.fix.endswith("a date, a decimal, bytes and NaN cannot be written as JSON.")


def test_values_of_parquet_that_cannot_be_read_are_named_one_by_one(importing: Importing) -> None:
    """A date beyond the year 9999 and text that is not UTF-8 ended the whole import."""
    answers = pa.Array.from_buffers(
        pa.string(),
        4,
        [None, pa.py_buffer(b"".join(at.to_bytes(4, "little") for at in range(5))), pa.py_buffer(b"a\xffcd")],
    )
    days = pa.array([0, 0, 2**62, 0], pa.timestamp("ms"))
    table = pa.table({"prompt": ["a", "b", "c", "d"], "completion": answers, "day": days})
    report = importing(("rows.parquet", parquet(table)))
    assert [(found.number, found.field, found.code) for group in report.groups for found in group.listed] == [
        (2, "completion", "not_utf8"),
        (3, "day", "data_type"),
    ]
    assert (report.rows, report.left_out, report.is_broken) == (2, 2, False)


def test_equal_names_of_columns_in_parquet_are_refused(importing: Importing) -> None:
    column = pa.array(["a", "b", "c"])
    table = pa.Table.from_arrays([column] * 3, names=["prompt", "prompt", "completion"])
    assert only(importing(("rows.parquet", parquet(table))))[3] == "two columns named prompt"


class _Keys(encryption.KmsClient):  # type: ignore[misc]  # pyarrow has no types
    """Hands keys out as they are: what is encrypted is no secret."""

    def __init__(self, _: object) -> None:
        super().__init__()

    def wrap_key(self, key: bytes, _: str) -> bytes:
        return base64.b64encode(key)

    def unwrap_key(self, key: bytes, _: str) -> bytes:
        return base64.b64decode(key)


@pytest.mark.parametrize("is_footer_plain", [True, False])
def test_an_encrypted_parquet_is_refused(importing: Importing, is_footer_plain: bool) -> None:
    """Arrow ends the whole process when it is asked for the size of an encrypted column."""
    settings = encryption.EncryptionConfiguration("foot", column_keys={"key": ["completion"]})
    settings.plaintext_footer = is_footer_plain
    properties = encryption.CryptoFactory(_Keys).file_encryption_properties(encryption.KmsConnectionConfig(), settings)
    table, out = pa.table({"prompt": ["a"], "completion": ["b"]}), io.BytesIO()
    with pq.ParquetWriter(out, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    assert only(importing(("rows.parquet", out.getvalue())))[3] == "an encrypted Parquet file"


@pytest.mark.parametrize(
    ("cell", "is_formula"),
    [
        ("=1+1", True),
        ("=$A$1", True),
        ("=(A1+B2)", True),
        ('="a"&B1', True),
        ("-2+3+cmd|' /C calc'!A0", True),
        ("\t=SUM(A1)", True),
        ("=> next", False),
        ("= 5", False),
        ("=D nice", False),
        ("-2 degrees", False),
        ("@ada wrote", False),
        ("== title ==", False),
    ],
)
def test_what_a_spreadsheet_would_compute_is_a_formula(importing: Importing, cell: str, is_formula: bool) -> None:
    out = io.StringIO()
    csv.writer(out).writerows([["prompt", "completion"], [cell, "x"], ["a", "y"], ["b", "z"]])
    assert found(importing(("rows.csv", out.getvalue().encode()))) == ({"formula": 1} if is_formula else {})
