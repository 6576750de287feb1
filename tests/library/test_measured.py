"""Shipped reports: what is kept of them, and what is refused."""

import hashlib
import re
from pathlib import Path

import pytest

from playbook.contracts.run_spec import Arm, Metric
from playbook.library.check import check_article
from playbook.library.content import load_library
from playbook.library.measured import Measured, MeasuredArm
from playbook.scoring.statistics import wilson_interval
from tests.library.conftest import ARTICLE, Write
from tests.library.reports import AT, TEST_SHA256, make_report


def test_a_report_is_read_without_its_rows(content: Path, write: Write) -> None:
    text = make_report({Arm.ZERO_SHOT: 0, Arm.LORA: 3}).model_dump_json()
    write("reports/first/report.json", text)
    write("reports/first/notes.txt", "for people")

    library = load_library(content)

    zero, three = wilson_interval(0, 4), wilson_interval(3, 4)
    assert library.problems == ()
    assert library.reports == {
        "first": Measured(
            slug="first",
            path="reports/first/report.json",
            sha256=hashlib.sha256(text.encode()).hexdigest(),
            test_sha256=TEST_SHA256,
            test_rows=4,
            train_rows=4,
            base_model="tiny <model>",
            metric=Metric.EXACT_MATCH,
            device="8 <cores>",
            finished_at=AT,
            arms=(
                MeasuredArm(arm=Arm.ZERO_SHOT, value=0, low=0, high=zero.high, successes=0, n=4, prompt_tokens=51.5),
                MeasuredArm(
                    arm=Arm.LORA, value=0.75, low=three.low, high=three.high, successes=3, n=4, prompt_tokens=51.5
                ),
            ),
        )
    }
    assert "secret ticket" not in repr(library.reports)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no report: the file: Invalid JSON"),
        ("[]", "no report: the file: Input should be an object"),
        ('{"arms": 3}', "no report: spec: Field required; arms: Input should be a valid"),
        (
            make_report({Arm.LORA: 1})
            .model_dump_json()
            .replace('"metric":"exact_match","successes"', '"metric":"json_valid","successes"'),
            "no report: the file: Value error, lora has no score by exact_match, the metric of the run",
        ),
        (
            re.sub(
                r'"items":\[.*\}\],"scores":\[.*?\}\]',
                '"items":[],"scores":[]',
                make_report({Arm.LORA: 1}).model_dump_json().replace('"partial":false', '"partial":true'),
            ),
            "arm lora answered no row; ship the report of a finished job",
        ),
        ("x" * (8 * 1024 * 1024 + 1), "larger than 8,388,608 bytes"),
    ],
)
def test_what_is_no_report_is_a_problem_of_its_file(content: Path, write: Write, text: str, message: str) -> None:
    write("reports/first/report.json", text)

    library = load_library(content)

    assert library.reports == {}
    assert [str(problem)[: len(message) + 29] for problem in library.problems] == [
        f"reports/first/report.json:1: {message}"[: len(message) + 29]
    ]


def test_a_block_names_a_report_that_is_shipped(content: Path, write: Write) -> None:
    write("reports/first/report.json", make_report({Arm.LORA: 1}).model_dump_json())
    write("articles/train/lora.md", f"{ARTICLE}\n/// measured | first\n///\n\n/// measured | second\n///\n")
    library = load_library(content)

    assert [str(problem) for problem in check_article(library, library.articles["train/lora"])] == [
        "articles/train/lora.md:15: /// measured names 'second', which is no shipped report; there are: first"
    ]
