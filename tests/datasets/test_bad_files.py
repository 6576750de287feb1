"""Bad input: each file is refused with a line, a field, the value and what to do; nothing is written for a job."""

import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from playbook.contracts.dataset import Split
from playbook.datasets.importing import run_import
from playbook.datasets.problems import MAX_LISTED
from playbook.datasets.spec import Format, Limits, Mapping, Report
from tests.datasets.conftest import Importing, chat, codes, found, jsonl, parquet, rows_of, three


def only(report: Report) -> tuple[str, int, str, str]:
    """Return code, line or number of the row, field and value of the one problem of a refused import."""
    assert report.refused
    assert report.splits == ()
    (group,) = report.groups
    (finding,) = group.listed
    assert finding.fix
    return finding.code, finding.line or finding.number, finding.field, finding.value


def test_all_problems_are_found_in_one_pass_with_their_lines(importing: Importing) -> None:
    content = jsonl(rows_of(2)) + b"{not json\n\n[1]\n" + jsonl([chat("q", ""), {"messages": []}]) + b'"\xff"\n'
    report = importing(("rows.jsonl", content))
    assert [(found.line, found.field, found.code) for group in report.groups for found in group.listed] == [
        (3, "line", "not_json"),
        (5, "line", "data_type"),
        (6, "messages[1].content", "empty_answer"),
        (7, "messages", "missing_messages_list"),
        (8, "line", "not_utf8"),
    ]
    assert (report.rows, report.left_out, report.problems) == (2, 5, 5)
    assert all(found.fix for group in report.groups for found in group.listed)


def test_the_first_thousand_are_listed_and_the_totals_are_right(importing: Importing) -> None:
    report = importing(("rows.jsonl", b"oops\n" * (MAX_LISTED + 500) + b"[1]\n" * 3))
    assert [(group.code, group.total, len(group.listed)) for group in report.groups] == [
        ("not_json", MAX_LISTED + 500, MAX_LISTED),
        ("data_type", 3, 1),  # of each kind at least the first
    ]


def test_bad_rows_can_be_left_out_and_are_counted(importing: Importing) -> None:
    content = jsonl(rows_of(10)) + b"oops\n"
    assert importing(("rows.jsonl", content)).refused
    report = importing(("rows.jsonl", content), leave_out_bad_rows=True)
    assert not report.refused
    assert (report.rows, report.left_out, codes(report)) == (10, 1, {"not_json": 1})


def test_a_dataset_of_one_row_has_no_test_rows(importing: Importing) -> None:
    assert only(importing(("rows.jsonl", jsonl(rows_of(1))))) == ("no_test_rows", 1, "file", "1 different prompt")


def test_test_rows_equal_to_train_rows_are_refused_with_both_lines(importing: Importing) -> None:
    report = importing(*three([chat("a", "x"), chat("B  b", "y")], [chat("d", "z"), chat("b b", "y")]))
    assert only(report) == ("row_in_train_and_test", 2, "prompt", "the same prompt as a row of train")
    assert report.groups[0].listed[0].fix.startswith("Line 2 of train.jsonl has the same prompt")


def test_test_rows_equal_to_train_rows_can_be_left_out(importing: Importing) -> None:
    files = three([chat("a", "x"), chat("b", "y")], [chat("d", "z"), chat("b", "y")])
    report = importing(*files, leave_out_bad_rows=True)
    assert [split.rows for split in report.splits] == [2, 1, 1]
    assert (report.rows, report.left_out) == (4, 1)
    files = three([chat("a", "x")], [chat("a", "x")])
    assert importing(*files, leave_out_bad_rows=True).refused


def test_an_empty_answer_column_is_one_group_of_every_row(importing: Importing) -> None:
    content = b"question,answer\n" + b"".join(b"q%d,\n" % n for n in range(1_500))
    report = importing(("rows.csv", content))
    assert report.refused
    assert codes(report) == {"empty_answer": 1_500}
    assert (report.groups[0].listed[0].line, report.groups[0].listed[0].field) == (2, "answer")


def test_a_row_of_a_hundred_thousand_tokens_is_warned_of(importing: Importing) -> None:
    report = importing(("rows.jsonl", jsonl([*rows_of(9), chat("token " * 100_000, "short")])))
    assert not report.refused
    assert found(report) == {"long_row": 1}
    (group,) = next(check for check in report.checks if check.code == "long_row").groups
    assert group.note == "600,005 characters, some 150,001 tokens"


def test_a_line_over_the_limit_is_named_and_the_next_is_read(importing: Importing) -> None:
    content = b"x" * 3_000_000 + b"\n" + jsonl(rows_of(3))
    assert only(importing(("rows.jsonl", content))) == ("line_too_long", 1, "line", "3,000,000 bytes")


def test_a_row_that_only_grows_too_long_when_mapped_is_refused(importing: Importing) -> None:
    content = json.dumps([{"prompt": "é" * 600_000, "completion": "x"}, {"prompt": "a", "completion": "x"}]).encode()
    report = importing(("rows.json", content), limits=Limits(row_bytes=10_000_000))
    assert codes(report) == {"line_too_long": 1}


def test_a_gzip_bomb_is_refused(importing: Importing) -> None:
    bomb = gzip.compress(b" " * 60_000_000)
    assert len(bomb) < 100_000
    code, line, field, value = only(importing(("rows.jsonl.gz", bomb)))
    assert (code, line, field) == ("unpacks_too_large", 0, "file")
    assert value == f"{len(bomb):,} bytes unpack to more than 200 times as much"


def test_a_file_that_unpacks_to_more_than_the_limit_is_refused(importing: Importing) -> None:
    packed = gzip.compress(jsonl(rows_of(500)))
    code, *_, value = only(importing(("rows.jsonl.gz", packed), limits=Limits(unpacked_bytes=10_000)))
    assert (code, value) == ("unpacks_too_large", "more than 10,000 bytes unpacked")


def test_a_gzip_in_a_gzip_and_a_broken_gzip_are_refused(importing: Importing) -> None:
    packed = gzip.compress(jsonl(rows_of(5)))
    assert only(importing(("rows.jsonl.gz", gzip.compress(packed))))[3] == "gzip within gzip"
    assert only(importing(("rows.jsonl.gz", packed[:-20])))[3].startswith("broken gzip")


def test_a_parquet_bomb_of_one_long_value_a_million_times_is_refused_in_bounded_memory(importing: Importing) -> None:
    dictionary = pa.array(["long text " * 20_000])
    values = pa.DictionaryArray.from_arrays(pa.array([0] * 900_000, pa.int32()), dictionary)
    bomb = parquet(pa.table({"prompt": values, "completion": values}))
    assert len(bomb) < 100_000  # it would be 360 GB
    code, _, _, value = only(importing(("rows.parquet", bomb)))
    assert (code, value) == ("unpacks_too_large", "more than 20,000,000 bytes of rows")


def test_a_parquet_bomb_of_zeros_is_refused_before_it_is_unpacked(importing: Importing) -> None:
    bomb = parquet(pa.table({"text": pa.array(["\0" * 50_000_000])}))
    assert len(bomb) < 100_000
    assert only(importing(("rows.parquet", bomb)))[0] == "unpacks_too_large"


def test_parquet_in_gzip_is_held_against_the_bytes_that_came(importing: Importing) -> None:
    """Else each of the two could unpack as far as is allowed, one after the other."""
    questions = [f"question {n} {'long ' * 40}" for n in range(2_000)]
    out = io.BytesIO()
    pq.write_table(pa.table({"prompt": questions, "completion": questions}), out, use_dictionary=False)
    packed, limits = gzip.compress(out.getvalue()), Limits(free_bytes=100, ratio=30)
    assert len(out.getvalue()) < 30 * len(packed)
    code, _, _, value = only(importing(("rows.parquet.gz", packed), limits=limits))
    assert code == "unpacks_too_large"
    assert value.startswith(f"{len(packed):,} bytes unpack to ")
    assert only(importing(("rows.parquet.gz", gzip.compress(b"PAR1" + b"\0" * 60_000_000))))[0] == "unpacks_too_large"
    whole = gzip.compress(parquet(pa.table({"prompt": ["a"], "completion": ["b"]})))
    assert only(importing(("rows.parquet.gz", whole[:-20])))[3].startswith("broken gzip")
    assert list(importing.folder.glob("**/*.parquet")) == []


def test_too_many_rows_are_refused(importing: Importing) -> None:
    content = jsonl(rows_of(12))
    assert only(importing(("rows.jsonl", content), limits=Limits(rows=10)))[0] == "too_many_rows"
    table = parquet(pa.table({"text": [str(n) for n in range(12)]}))
    assert only(importing(("rows.parquet", table), limits=Limits(rows=10)))[0] == "too_many_rows"


def test_bad_rows_count_as_rows_so_that_a_packed_file_of_them_ends(importing: Importing) -> None:
    content = gzip.compress(jsonl(rows_of(2)) + b"{}\n" * 500_000)
    report = importing(("rows.jsonl.gz", content), limits=Limits(rows=1_000))
    assert codes(report) == {"too_many_rows": 1, "missing_messages_list": 998}
    assert report.groups[0].listed[0].line == 1_001


def test_a_csv_with_formulas_is_read_as_text_and_warned_of(importing: Importing) -> None:
    rows = [
        '"=HYPERLINK(""http://evil.example"",""x"")",ok',
        "\"=cmd|' /C calc'!A0\",ok",
        "-5 degrees,=A1",
        "+49 30,ok",
    ]
    report = importing(("rows.csv", "\n".join(["question,answer", *rows]).encode()))
    assert found(report)["formula"] == 3
    contents = {message["content"] for row in importing.all_rows() for message in row["messages"]}
    assert '=HYPERLINK("http://evil.example","x")' in contents


@pytest.mark.parametrize(
    ("name", "content", "value"),
    [
        ("rows.jsonl", b"", "no row"),
        ("rows.jsonl", b"\n \n", "no row"),
        ("rows.xlsx", b"PK\x03\x04rest", "a ZIP or Excel file"),
        ("rows.pkl", b"\x80\x04\x95rest", "a pickle"),
        ("rows.jsonl", b"%PDF-1.7\n%\xe2\xe3\n1 0 obj\n", "a PDF"),
        ("rows.jsonl", b"\x89PNG\r\n\x1a\n", "a picture"),
        ("rows.jsonl", b"\n<!DOCTYPE html><title>Log in</title>", "a web page"),
        ("rows.jsonl", b"rows/a.jsonl".ljust(257, b"\0") + b"ustar", "a tar archive"),
        ("rows.arrow", b"ARROW1\0\0rest", "an Arrow file"),
        ("rows.parquet", b"PARErestPARE", "an encrypted Parquet file"),
        ("rows.jsonl", b"\xef\xbb\xbf\n", "no row"),
        ("rows.json", b"null", "fields none"),
        ("rows.jsonl", "{}".encode("utf-16"), "UTF-16 text"),
        ("rows.parquet", b"PAR1rest", "broken Parquet"),
        ("rows.json", b'{\n"a": 1}\n{"a": 2}', "more than one JSON value"),
        ("rows.csv", b"a,a\n1,2\n", "the header a, a"),
        ("rows.csv", b'question,answer\n"open,1\n2,3\n', "broken CSV"),
        ("rows.json", b"hello", "hello"),
        ("rows.json", b'[{"prompt": "a", "completion": "b"}', "the end of the file"),
        ("rows.json", b'[{"prompt": "a"} {"prompt": "b"}]', '{"prompt": "b"}]'),
        ("rows.json", b'[{"prompt": "\xff"}]', "b'\\xff"),
    ],
)
def test_a_file_that_holds_no_rows_is_one_clear_problem(
    importing: Importing, name: str, content: bytes, value: str
) -> None:
    report = importing((name, content))
    assert report.refused
    findings = [finding for group in report.groups for finding in group.listed]
    assert any(finding.value.startswith(value) and finding.fix for finding in findings), findings


def test_json_problems_name_the_line_in_the_file(importing: Importing) -> None:
    content = json.dumps([chat("a", "b"), chat("c", "")], indent=2).encode()
    code, line, _, _ = only(importing(("rows.json", content)))
    assert (code, line) == ("empty_answer", content.decode().splitlines().index("  {", 2) + 1)


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json", "rows.csv"])
def test_an_array_on_one_line_is_read_whatever_the_file_is_called(importing: Importing, name: str) -> None:
    report = importing((name, json.dumps(rows_of(4)).encode()))
    assert (report.sources[0].container, report.rows, report.refused) == ("JSON", 4, False)


def test_csv_rows_of_another_width_and_not_utf8_are_named_by_line(importing: Importing) -> None:
    content = b'question,answer\n"two\nlines",x\na,b,c\n\xff,y\nd,e\n'
    report = importing(("rows.csv", content))
    assert [(found.line, found.code) for group in report.groups for found in group.listed] == [
        (4, "wrong_cell_count"),
        (5, "not_utf8"),
    ]
    assert report.rows == 2


def test_an_empty_test_file_is_refused_with_the_reason(importing: Importing) -> None:
    report = importing(*three(rows_of(2), []))
    assert only(report)[0] == "no_examples"
    assert "A job without test rows could prove nothing" in report.groups[0].listed[0].fix


def test_a_file_that_breaks_in_the_middle_keeps_the_problems_before_it(importing: Importing) -> None:
    report = importing(("rows.json", b'[{"prompt": "a", "completion": ""}, {"prompt": '))
    assert codes(report) == {"empty_answer": 1, "not_json": 1}


@pytest.mark.parametrize(
    ("name", "content", "problems", "after"),
    [
        ("rows.csv", b'question,answer\na,\n"open,1\n2,\n3,\n', 2, "line 2"),
        (
            "rows.json",
            b'[{"question": "a", "answer": ""},\n{"question": "b" "answer": ""},\n{"question": "c"}]',
            2,
            "row 1",
        ),
        ("rows.json", b"[" + b'{"question": "a", "answer": ""},\n' * 1_200 + b"oops]", 1_201, "row 1,200"),
    ],
)
def test_what_ends_a_file_is_listed_and_says_from_where_on_rows_were_not_read(
    importing: Importing, name: str, content: bytes, problems: int, after: str
) -> None:
    """The totals would pass for those of the whole file else, also behind a thousand other problems."""
    report = importing((name, content))
    assert report.problems == problems
    assert report.is_broken
    (last,) = report.groups[0].listed
    assert last.fix.endswith(f" Rows after {after} were not read, so no total counts them.")


def test_a_missing_blob_is_an_error_not_an_empty_dataset(importing: Importing, tmp_path: Path) -> None:
    importing(("rows.jsonl", jsonl(rows_of(5))))
    (tmp_path / "rows.jsonl").unlink()
    with pytest.raises(FileNotFoundError):
        run_import(importing.folder)


def test_the_splits_of_three_files_are_theirs(importing: Importing) -> None:
    train, test = rows_of(5), rows_of(3, word="other")
    report = importing(*three(train, test))
    assert [(split.split, split.rows) for split in report.splits] == [("train", 5), ("validation", 1), ("test", 3)]
    assert importing.rows(Split.TEST) == test


GOOD = jsonl(rows_of(5))


@pytest.mark.parametrize(
    ("row", "code", "field", "fix"),
    [
        (b'{"prompt": "a", "completion": NaN}', "not_json", "", "NaN is no JSON"),
        (b'{"prompt": "a", "completion": "b", "score": -Infinity}', "not_json", "", "-Infinity is no JSON"),
        (b'{"prompt": "a", "completion": 1e400}', "not_json", "", "the number 1e400 is beyond any that can be kept"),
        (b'{"prompt": "a", "completion": "b", "of": [-1e999]}', "not_json", "", "the number -1e999 is beyond"),
        (b'{"prompt": "a", "completion": "b", "prompt": "c"}', "not_json", "", 'the name "prompt" stands twice'),
        (b'{"prompt": "a", "completion": "b", "who": "\\ud800"}', "not_utf8", "who", "half of a surrogate pair"),
        (b'{"prompt": "a", "completion": "b", "\\ud801": 1}', "not_utf8", "?", "half of a surrogate pair"),
    ],
)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.json"])
def test_what_is_no_json_is_a_problem_of_its_row_in_lines_and_arrays(
    importing: Importing, name: str, row: bytes, code: str, field: str, fix: str
) -> None:
    """Python's reader would take each in silence, and the answer would become the word “nan”."""
    good = [b'{"prompt": "q%d", "completion": "a%d"}' % (n, n) for n in range(4)]
    content = b"\n".join([*good, row]) if name == "rows.jsonl" else b"[" + b",\n".join([*good, row]) + b"]"
    report = importing((name, content))
    assert report.rows == 4
    (group,) = report.groups
    (finding,) = group.listed
    assert (finding.code, finding.line) == (code, 5)
    assert finding.field == (field or ("line" if name == "rows.jsonl" else "row"))
    assert fix in finding.fix


@pytest.mark.parametrize(
    ("content", "fix"),
    [
        (b'{"prompt": "a", "completion": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"prompt": "a", "completion": ' + b"9" * 5_000 + b"}", "a number has thousands of digits"),
    ],
)
def test_a_row_that_cannot_be_decoded_says_why(importing: Importing, content: bytes, fix: str) -> None:
    report = importing(("rows.jsonl", GOOD + content + b"\n"))
    assert codes(report) == {"not_json": 1}
    assert fix in report.groups[0].listed[0].fix


@pytest.mark.parametrize(
    ("name", "content", "value"),
    [
        ("rows.jsonl", GOOD.decode().encode("utf-16-le"), "UTF-16 text, or no text at all"),
        ("rows.csv", "prompt,completion\na,b\n".encode("utf-16-be"), "UTF-16 text, or no text at all"),
        ("rows.csv", b"prompt,completion\ra,b\rc,d\r", "lines that end in a lone carriage return"),
        ("rows.jsonl", GOOD.replace(b"\n", b"\r"), "lines that end in a lone carriage return"),
    ],
)
def test_other_text_files_are_named_for_what_they_are(
    importing: Importing, name: str, content: bytes, value: str
) -> None:
    assert only(importing((name, content)))[3] == value


def test_a_cell_of_megabytes_is_too_long_and_says_where_it_begins(importing: Importing) -> None:
    content = b'prompt,completion\na,b\nc,d\ne,f\n"' + b'long, ""text""\n' * 200_000 + b'",yes\n'
    report = importing(("rows.csv", content))
    assert only(report) == ("line_too_long", 5, "row", "a cell of more than 1,000,000 bytes")


@pytest.mark.parametrize(("value", "shown"), [("nan", "NaN"), ("-inf", "-Infinity")])
def test_what_is_no_number_in_parquet_is_a_missing_answer(importing: Importing, value: str, shown: str) -> None:
    table = pa.table({"prompt": ["a", "b"], "completion": pa.array([float(value), 2.5])})
    assert only(importing(("rows.parquet", parquet(table)))) == ("missing_field", 1, "completion", shown)


@pytest.mark.parametrize("indent", [None, 1])
def test_rows_within_an_object_are_found_and_told_where(importing: Importing, indent: int | None) -> None:
    content = json.dumps({"version": 1, "data": rows_of(5)}, indent=indent).encode()
    report = importing(("rows.json", content))
    assert only(report) == ("unknown_format", 0, "file", "fields version, data")
    fix = 'The rows seem to lie in the list "data": bring that list alone, as a JSON array.'
    assert report.groups[0].listed[0].fix.startswith(fix)


def test_a_field_mapped_by_hand_that_rows_lack_is_named(importing: Importing) -> None:
    content = jsonl([{"frage": "a", "antwort": "b"}])
    mapping = Mapping(format=Format.CHAT, messages="turns")
    assert only(importing(("rows.jsonl", content), mapping=mapping)) == (
        "missing_messages_list",
        1,
        "turns",
        "missing",
    )
    mapping = Mapping(format=Format.COLUMNS, prompt="frage", answer="nope")
    assert only(importing(("rows.jsonl", content), mapping=mapping)) == ("missing_field", 1, "nope", "missing")


def test_an_answer_without_messages_is_empty(importing: Importing) -> None:
    report = importing(("rows.jsonl", jsonl([{"prompt": [{"role": "user", "content": "a"}], "completion": []}])))
    assert only(report) == ("empty_answer", 1, "completion", "[]")


def test_numbers_and_truth_values_become_text_as_json_writes_them(importing: Importing) -> None:
    answers = [True, False, 7, 2.5, "text"]
    importing(("rows.jsonl", jsonl([{"prompt": f"q{n}", "completion": answer} for n, answer in enumerate(answers)])))
    assert sorted(row["messages"][1]["content"] for row in importing.all_rows()) == [
        "2.5",
        "7",
        "false",
        "text",
        "true",
    ]
