"""Bytes → splits: every problem named with its line, splits that are reproducible and share nothing."""

import pytest

from playbook.contracts.dataset import Split
from playbook.web.datasets.reading import (
    MAX_LISTED,
    BadDataset,
    Finding,
    read_and_split,
    read_rows,
    read_three_files,
)
from tests.web.datasets.conftest import jsonl


def refused(content: bytes) -> tuple[Finding, ...]:
    with pytest.raises(BadDataset) as caught:
        read_rows("train.jsonl", content)
    return caught.value.findings


def test_rows_keep_their_line_numbers_over_blank_lines_and_crlf() -> None:
    content = b"\xef\xbb\xbf" + jsonl("a").replace(b"\n", b"\r\n") + b"\r\n" + jsonl("b")
    rows = read_rows("train.jsonl", content)
    assert [(row.line, row.example.prompt[0].content) for row in rows] == [(1, "a"), (3, "b")]
    assert rows[0].content == jsonl("a").strip()


def test_each_bad_line_is_named_with_field_value_and_fix() -> None:
    content = jsonl("a") + b"{not json\n" + b'{"messages": [{"role": "bot", "content": "x"}]}\n'
    findings = refused(content)
    assert [(f.file, f.line, f.field, f.value, f.code) for f in findings] == [
        ("train.jsonl", 2, "line", "{not json", "not_json"),
        ("train.jsonl", 3, "messages[0].role", "bot", "unrecognized_role"),
    ]
    assert all(finding.fix for finding in findings)


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"\x1f\x8b\x08\x00", "a gzip file"),
        (b"PK\x03\x04rest", "a ZIP or Excel file"),
        (b"PAR1rest", "a Parquet file"),
        ("{}".encode("utf-16"), "UTF-16 text"),
        (b"", "no line with content"),
        (b"\n \n", "no line with content"),
    ],
)
def test_a_file_that_is_no_jsonl_is_one_clear_problem(content: bytes, value: str) -> None:
    assert [(finding.line, finding.field, finding.value) for finding in refused(content)] == [(1, "file", value)]


def test_bytes_that_are_not_utf8_are_named_by_line() -> None:
    (finding,) = refused(jsonl("a") + b'{"messages": "\xff"}\n')
    assert (finding.line, finding.code) == (2, "not_utf8")


def test_problems_are_grouped_with_true_totals_and_a_bounded_list() -> None:
    with pytest.raises(BadDataset) as caught:
        read_rows("train.jsonl", b"oops\n" * (MAX_LISTED + 500) + b"[1]\n" * 3)
    groups = caught.value.groups
    assert [(group.code, group.total, len(group.listed)) for group in groups] == [
        ("not_json", MAX_LISTED + 500, MAX_LISTED),
        ("data_type", 3, 0),
    ]


def test_three_files_stand_as_they_are() -> None:
    contents = {Split.TRAIN: jsonl("a", "b"), Split.VALIDATION: jsonl("c"), Split.TEST: jsonl("d")}
    splits = read_three_files(contents)
    assert splits.content == contents
    assert {split: len(rows) for split, rows in splits.rows.items()} == {"train": 2, "validation": 1, "test": 1}


def test_a_row_in_train_and_test_is_refused_with_both_line_numbers() -> None:
    contents = {Split.TRAIN: jsonl("a", "B  b"), Split.VALIDATION: jsonl("c"), Split.TEST: jsonl("d", "b b")}
    with pytest.raises(BadDataset) as caught:
        read_three_files(contents)
    (finding,) = caught.value.findings
    assert (finding.file, finding.line, finding.value, finding.code) == (
        "test.jsonl",
        2,
        "b b",
        "row_in_train_and_test",
    )
    assert finding.fix.startswith("Line 2 of train.jsonl has the same prompt")


def test_an_empty_test_file_is_refused_with_the_reason() -> None:
    contents = {Split.TRAIN: jsonl("a"), Split.VALIDATION: jsonl("c"), Split.TEST: b""}
    with pytest.raises(BadDataset) as caught:
        read_three_files(contents)
    (finding,) = caught.value.findings
    assert (finding.file, finding.code) == ("test.jsonl", "no_examples")
    assert "A job without test rows could prove nothing" in finding.fix


def test_one_file_splits_the_same_way_for_the_same_seed() -> None:
    content = jsonl(*(f"ticket {n}" for n in range(50)))
    splits = read_and_split(content, seed=7, keep_templates_together=False)
    assert {split: len(rows) for split, rows in splits.rows.items()} == {"train": 40, "validation": 5, "test": 5}
    assert splits.content == read_and_split(content, seed=7, keep_templates_together=False).content
    assert splits.content != read_and_split(content, seed=8, keep_templates_together=False).content
    assert sorted(b"".join(splits.content.values()).splitlines()) == sorted(content.splitlines())


def test_equal_prompts_land_in_one_split() -> None:
    content = jsonl(*(f"ticket {n % 10}" for n in range(40)))
    splits = read_and_split(content, seed=1, keep_templates_together=False)
    prompts = [{row.example.prompt[0].content for row in splits.rows[split]} for split in Split]
    assert sum(len(found) for found in prompts) == len(set().union(*prompts)) == 10


def test_templates_stay_together_on_request() -> None:
    content = b"".join(jsonl(*(f"{name} {n}" for n in range(10)), template=name) for name in "abcdefgh")
    splits = read_and_split(content, seed=3, keep_templates_together=True)
    templates = [{row.example.metadata["template"] for row in splits.rows[split]} for split in Split]
    assert [len(found) for found in templates] == [6, 1, 1]
    assert set().union(*templates) == set("abcdefgh")


def test_templates_too_large_for_their_share_still_fill_every_split() -> None:
    content = b"".join(
        jsonl(*(f"{name} {n}" for n in range(size)), template=name) for name, size in {"a": 9, "b": 5, "c": 7}.items()
    )
    splits = read_and_split(content, seed=0, keep_templates_together=True)
    assert {split: len(rows) for split, rows in splits.rows.items()} == {"train": 9, "validation": 7, "test": 5}


def test_too_few_different_rows_leave_no_test_rows() -> None:
    with pytest.raises(BadDataset) as caught:
        read_and_split(jsonl("a", "a", "b"), seed=0, keep_templates_together=False)
    (finding,) = caught.value.findings
    assert (finding.value, finding.code) == ("2 different prompts", "no_test_rows")


def test_a_row_of_an_answer_alone_is_told_apart_by_its_answer() -> None:
    row = b'{"messages": [{"role": "assistant", "content": "%s"}]}\n'
    contents = {Split.TRAIN: row % b"a", Split.VALIDATION: row % b"b", Split.TEST: row % b"c"}
    assert len(read_three_files(contents).rows[Split.TEST]) == 1
