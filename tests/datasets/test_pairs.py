"""Rows that two splits share are named for each pair of splits, with the rows behind."""

from playbook.contracts.dataset import Split
from playbook.datasets.spec import Report
from tests.datasets.conftest import Importing, chat, found, jsonl, rows_of
from tests.datasets.test_checks import check

WORDS = [f"word{n}" for n in range(60)]
NEAR = [" ".join(WORDS), " ".join([*WORDS, "more"]), " ".join([*WORDS, "other"])]


def refs(report: Report, code: str) -> list[list[tuple[str, int]]]:
    """Return the rows behind a check, as (split, row), group by group."""
    return [[(ref.split.value, ref.row) for ref in group.rows] for group in check(report, code).groups]


def split_as(importing: Importing, *splits: list[dict[str, object]]) -> Report:
    """Import rows of train, validation and test, each behind two rows of its own."""
    files = [
        (f"{split}.jsonl", jsonl([*rows_of(2, word=split.value), *rows]), split)
        for split, rows in zip(Split, splits, strict=True)
    ]
    return importing(*files)


def test_equal_prompts_are_named_for_validation_too(importing: Importing) -> None:
    report = split_as(importing, [chat("a", "x")], [chat("A ", "y"), chat("b", "z"), chat("a", "x")], [chat("B", "z")])
    assert not report.refused
    assert refs(report, "overlap_exact_validation_train") == [
        [("validation", 3), ("train", 3)],
        [("validation", 5), ("train", 3)],
    ]
    assert refs(report, "overlap_exact_test_validation") == [[("test", 3), ("validation", 4)]]
    assert check(report, "overlap_exact_validation_train").rows == 2
    assert check(report, "overlap_exact").rows == 0


def test_near_rows_are_named_for_each_pair_and_equal_prompts_not_again(importing: Importing) -> None:
    rows = [chat(text, "yes") for text in NEAR]
    report = split_as(importing, rows[:1], [rows[0], rows[1]], [rows[2]])
    overlaps = {code: rows for code, rows in found(report).items() if code.startswith("overlap")}
    assert overlaps == {
        "overlap_exact_validation_train": 1,
        "overlap_near": 1,
        "overlap_near_validation_train": 1,
        "overlap_near_test_validation": 1,
        "overlap_13": 1,
        "overlap_13_validation_train": 2,
        "overlap_13_test_validation": 1,
    }
    assert refs(report, "overlap_near_validation_train") == [[("validation", 4), ("train", 3)]]
    assert [group.note for group in check(report, "overlap_near_test_validation").groups] == [
        "1 of test, 2 of validation"
    ]


def test_a_test_row_that_repeats_a_validation_row_is_still_near_to_train(importing: Importing) -> None:
    rows = [chat(text, "yes") for text in NEAR]
    report = split_as(importing, rows[:1], [rows[1]], [rows[1]])
    assert refs(report, "overlap_near") == [[("test", 3), ("train", 3)]]
    assert refs(report, "overlap_exact_test_validation") == [[("test", 3), ("validation", 3)]]


def test_thirteen_words_of_a_validation_row_in_train_are_found(importing: Importing) -> None:
    run = " ".join(WORDS[:13])
    report = split_as(importing, [chat(f"one {run} two", "x")], [chat(f"three {run} four five six", "y")], [])
    assert {code for code in found(report) if code.startswith("overlap")} == {"overlap_13_validation_train"}
    assert refs(report, "overlap_13_validation_train") == [[("validation", 3), ("train", 3)]]


def test_calls_of_tools_tell_prompts_and_answers_apart(importing: Importing) -> None:
    def calling(city: str, answer: str) -> dict[str, object]:
        call = {"type": "function", "function": {"name": "weather", "arguments": f'{{"city": "{city}"}}'}}
        asked = [{"role": "user", "content": "And there?"}, {"role": "assistant", "content": "", "tool_calls": [call]}]
        told = [{"role": "tool", "content": "ok"}, {"role": "assistant", "content": answer}]
        return {"messages": [*asked, *told]}

    report = split_as(importing, [calling("Rome", "Sun")], [], [calling("Oslo", "Snow")])
    assert not report.refused
    last = [{"messages": calling(city, "")["messages"][:2]} for city in ("Rome", "Oslo")]  # type: ignore[index]
    assert found(split_as(importing, last, [], []))["conflict"] == 2


CHINESE = "上周五我订购的蓝色台灯在运输途中摔坏了，包装盒完好无损，请问可以免费更换一盏新的吗？"


def test_near_rows_and_shared_runs_are_found_where_no_blank_stands_between_words(importing: Importing) -> None:
    asked = CHINESE.replace("上周五", "上周六")
    shared = CHINESE[8:22]
    validation = [chat(f"客服你好，{shared}，我应该联系谁来处理这件事情呢", "好")]
    report = split_as(importing, [chat(CHINESE, "可以")], validation, [chat(asked, "可以")])
    assert {code: refs(report, code) for code in found(report) if code.startswith("overlap")} == {
        "overlap_near": [[("test", 3), ("train", 3)]],
        "overlap_13": [[("test", 3), ("train", 3)]],
        "overlap_13_validation_train": [[("validation", 3), ("train", 3)]],
        "overlap_13_test_validation": [[("test", 3), ("validation", 3)]],
    }
    assert found(split_as(importing, [chat(CHINESE, "可以")], [], [chat(CHINESE[:12], "好")])).keys() == {"class_gap"}
