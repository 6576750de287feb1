"""One file becomes three splits: reproducible, by share, with what belongs together in one of them."""

import random
from hashlib import sha256

import numpy as np
import pyarrow as pa
import pytest
from pydantic import ValidationError

from playbook.contracts.dataset import Split
from playbook.contracts.dataset_problems import Problem
from playbook.datasets.importing import split_file
from playbook.datasets.spec import SplitPlan
from playbook.datasets.splits import deal
from tests.datasets.conftest import Importing, chat, codes, found, jsonl, parquet, rows_of


def sizes(importing: Importing) -> list[int]:
    return [len(importing.rows(split)) for split in Split]


def test_the_same_seed_gives_the_same_splits(importing: Importing) -> None:
    content = jsonl(rows_of(50))
    report = importing(("rows.jsonl", content), plan=SplitPlan(seed=7))
    assert sizes(importing) == [40, 5, 5]
    assert sorted(map(str, importing.all_rows())) == sorted(map(str, rows_of(50)))
    assert importing(("rows.jsonl", content), plan=SplitPlan(seed=7)).splits == report.splits
    assert importing(("rows.jsonl", content), plan=SplitPlan(seed=8)).splits != report.splits


@pytest.mark.parametrize("group_field", ["", "customer"])
def test_rows_that_come_go_or_move_leave_the_others_in_their_split(importing: Importing, group_field: str) -> None:
    """Else the next version of a dataset would measure on rows that the last one was trained on."""
    rows = [chat(f"prompt {n}", "x", customer=str(n if group_field else n // 2)) for n in range(200)]
    plan = SplitPlan(group_field=group_field, seed=3)

    def dealt(rows: list[dict[str, object]]) -> dict[str, Split]:
        importing(("rows.jsonl", jsonl(rows)), plan=plan)
        return {str(row["messages"]): split for split in Split for row in importing.rows(split)}

    before = dealt(rows)
    after = dealt([*rows[:50:-1], *rows[1:51], chat("prompt new", "x", customer="new")])
    moved = [row for row in before.keys() & after.keys() if before[row] != after[row]]
    assert len(before.keys() & after.keys()) == 199
    assert len(moved) <= 2


def test_shares_are_those_asked_for_and_rows_keep_their_order(importing: Importing) -> None:
    importing(("rows.jsonl", jsonl(rows_of(50))), plan=SplitPlan(validation_share=0.2, test_share=0.3))
    assert sizes(importing) == [25, 10, 15]
    numbers = [
        int(row["messages"][0]["content"].split()[0].removeprefix("ticket")) for row in importing.rows(Split.TRAIN)
    ]
    assert numbers == sorted(numbers)


def test_split_files_are_named_by_their_digest(importing: Importing) -> None:
    report = importing(("rows.jsonl", jsonl(rows_of(10))))
    for split in report.splits:
        content = split_file(importing.folder, split.split).read_bytes()
        assert (split.sha256, split.size_bytes) == (sha256(content).hexdigest(), len(content))


def test_equal_prompts_land_in_one_split(importing: Importing) -> None:
    importing(("rows.jsonl", jsonl([chat(f"ticket {n % 10}", f"a{n}") for n in range(40)])), plan=SplitPlan(seed=1))
    prompts = [{row["messages"][0]["content"] for row in importing.rows(split)} for split in Split]
    assert sum(map(len, prompts)) == len(set().union(*prompts)) == 10


@pytest.mark.parametrize("group_field", ["customer", "template"])
def test_rows_of_one_group_stay_together(importing: Importing, group_field: str) -> None:
    rows = [
        chat(f"{name} {n}", "x", metadata={"customer": name, "template": name})
        for name in "abcdefgh"
        for n in range(10)
    ]
    importing(("rows.jsonl", jsonl(rows)), plan=SplitPlan(seed=3, group_field=group_field))
    groups = [{row["metadata"][group_field] for row in importing.rows(split)} for split in Split]
    assert [len(found) for found in groups] == [6, 1, 1]
    assert set().union(*groups) == set("abcdefgh")


def test_rows_without_the_field_are_dealt_by_their_prompts_and_named(importing: Importing) -> None:
    rows = [chat(f"{name} {n}", "x", customer=name) for name in "abcd" for n in range(5)]
    rows += [chat(f"alone {n}", "x", customer=customer) for n, customer in enumerate([None, "", "  "] * 10)]
    rows += [chat("lacking", "x")]
    report = importing(("rows.jsonl", jsonl(rows)), plan=SplitPlan(seed=3, group_field="customer"))
    groups = [{row.get("metadata", {}).get("customer", "").strip() for row in importing.rows(split)} for split in Split]
    assert sum(len(group - {""}) for group in groups) == 4
    assert all("" in group for group in groups)  # an empty value is no group of its own
    ungrouped = next(check for check in report.checks if check.code == "ungrouped")
    assert (ungrouped.rows, len(ungrouped.groups)) == (31, 31)


def test_what_is_no_number_is_no_group(importing: Importing) -> None:
    numbers = [float(n % 6) if n % 2 else float("nan") for n in range(30)]
    table = pa.table({"prompt": [f"p{n}" for n in range(30)], "completion": ["c"] * 30, "customer": numbers})
    report = importing(("rows.parquet", parquet(table)), plan=SplitPlan(group_field="customer"))
    assert found(report) == {"ungrouped": 15}


def test_rows_are_kept_together_by_a_field_that_the_mapping_reads(importing: Importing) -> None:
    rows = [{"instruction": f"do {n}", "input": f"text {n % 10}", "output": f"out {n}", "n": n // 8} for n in range(80)]
    for field, read in (("input", lambda row: row["messages"][0]["content"].partition("\n\n")[2]), ("n", _number_of)):
        report = importing(("rows.jsonl", jsonl(rows)), plan=SplitPlan(seed=1, group_field=field))
        groups = [{read(row) for row in importing.rows(split)} for split in Split]
        assert sum(map(len, groups)) == len(set().union(*groups)) == 10
        assert report.group_fields == ("instruction", "input", "n")


def _number_of(row: dict[str, dict[str, str]]) -> str:
    return row["metadata"]["n"]


def test_equal_prompts_in_two_groups_tie_the_groups_together(importing: Importing) -> None:
    rows = [chat(f"{name} {n}", "x", customer=name) for name in "abcdef" for n in range(5)]
    rows += [chat("same", "x", customer="a"), chat("same", "y", customer="b")]
    for seed in range(5):
        importing(("rows.jsonl", jsonl(rows)), plan=SplitPlan(seed=seed, group_field="customer"))
        assert sum("same" in str(importing.rows(split)) for split in Split) == 1
        assert sum("'customer': 'a'" in str(importing.rows(split)) for split in Split) == 1


def test_groups_too_large_for_their_share_still_fill_every_split(importing: Importing) -> None:
    rows = [chat(f"{name} {n}", "x", g=name) for name, size in {"a": 9, "b": 5, "c": 7}.items() for n in range(size)]
    importing(("rows.jsonl", jsonl(rows)), plan=SplitPlan(group_field="g"))
    assert sizes(importing) == [9, 7, 5]


def test_what_one_huge_group_leaves_is_shared_by_validation_and_test(importing: Importing) -> None:
    rows = [chat(f"huge {n}", "x", g="huge") for n in range(90)] + [chat(f"own {n}", "x", g=str(n)) for n in range(10)]
    importing(("rows.jsonl", jsonl(rows)), plan=SplitPlan(group_field="g"))
    assert sizes(importing) == [90, 5, 5]


@pytest.mark.parametrize(("rows", "validation", "test"), [(3, 0.5, 0.3), (4, 0.4, 0.4), (1000, 0.4995, 0.4995)])
def test_shares_that_round_up_to_all_rows_leave_one_to_train(rows: int, validation: float, test: float) -> None:
    """A version whose train split has no row could not be stored."""
    plan = SplitPlan(validation_share=validation, test_share=test)
    dealt = deal(np.arange(rows, dtype=np.uint64), np.zeros(rows, dtype=np.uint64), plan)
    assert not isinstance(dealt, Problem)
    train, *others = np.bincount(dealt, minlength=3).tolist()
    assert (train, min(others) > 0) == (1, True)


def test_no_split_of_a_few_groups_is_ever_empty() -> None:
    for seed in range(300):
        lot = random.Random(seed)  # noqa: S311 - rows, not secrets
        rows = lot.randint(3, 12)
        prompts, groups = (np.array([lot.randint(low, 9) for _ in range(rows)], dtype=np.uint64) for low in (1, 0))
        share = lot.uniform(0.01, 0.98)
        dealt = deal(prompts, groups, SplitPlan(validation_share=share, test_share=lot.uniform(0.01, 0.99 - share)))
        if not isinstance(dealt, Problem):
            assert min(np.bincount(dealt, minlength=3)) > 0, seed


def test_a_plan_that_leaves_nothing_to_train_is_refused() -> None:
    with pytest.raises(ValidationError, match="validation and test leave nothing to train"):
        SplitPlan(validation_share=0.5, test_share=0.5)


def test_too_few_different_prompts_leave_no_test_rows(importing: Importing) -> None:
    report = importing(("rows.jsonl", jsonl([chat("a", "1"), chat("a", "2"), chat("b", "3")])))
    assert codes(report) == {"no_test_rows": 1}
    assert report.groups[0].listed[0].value == "2 different prompts"
