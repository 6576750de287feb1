"""The report: reports of version 1 are read, new fields survive the file, altered bytes are noticed."""

import hashlib
import json
import math
from typing import Any

import pytest
from pydantic import ValidationError

from playbook.contracts.metrics import Metric
from playbook.contracts.report import ArmReport, ItemResult, Repeat, Report, ReportAltered, Score, read_report

ITEM: dict[str, Any] = {
    "index": 0,
    "prompt": [{"role": "user", "content": "hi"}],
    "expected": "1",
    "output": "2",
    "correct": False,
    "json_valid": True,
    "prompt_tokens": 3,
    "output_tokens": 2,
    "natural_stop": False,
    "error": None,
}
#: Word for word what the trainer wrote before version 2.
VERSION_1: dict[str, Any] = {
    "schema_version": 1,
    "spec": {
        "base_model": {"id": "tiny", "revision": None},
        "seed": 0,
        "method": "lora",
        "lora": {"r": 16},
        "training": {"max_steps": 5},
        "evaluation": {
            "arms": ["zero_shot", "lora"],
            "metric": "exact_match",
            "max_new_tokens": 64,
            "batch_size": 20,
            "few_shot_examples": 4,
        },
        "schema_version": 1,
        "inputs": [
            {"split": split, "sha256": digit * 64, "size_bytes": 5, "rows": 1}
            for split, digit in (("train", "a"), ("validation", "b"), ("test", "c"))
        ],
    },
    "arms": [
        {
            "arm": "zero_shot",
            "items": [ITEM, ITEM | {"correct": True, "natural_stop": True, "index": 1}],
            "scores": [{"metric": "exact_match", "successes": 1, "n": 2, "value": 0.5, "low": 0.1, "high": 0.9}],
            "seconds": 1.5,
        }
    ],
    "comparisons": [{"baseline": "zero_shot", "arm": "lora", "gained": 1, "lost": 0, "p_value": 1.0}],
    "training": None,
    "overlap": {"shared_rows": 0, "shared_templates": None, "test_templates": None},
    "device": "cpu",
    "versions": {},
    "started_at": "2026-11-25T10:00:00Z",
    "finished_at": "2026-11-25T10:01:00Z",
}


def test_a_report_of_version_1_is_read_and_filled_in() -> None:
    report = Report.model_validate_json(json.dumps(VERSION_1))

    items = report.arms[0].items
    assert [(item.score, item.cut, item.scores, item.latency_seconds) for item in items] == [
        (0.0, True, {}, None),
        (1.0, False, {}, None),
    ]
    assert report.arms[0].scores[0].interval == "wilson"
    assert report.comparisons[0].test == "mcnemar"
    assert (report.partial, report.retention, report.test_set_sha256) == (False, None, "c" * 64)


def test_a_failed_row_of_version_1_was_not_cut() -> None:
    assert ItemResult.model_validate(ITEM | {"error": "too long"}).cut is False


def test_a_report_comes_back_from_its_file_as_it_was() -> None:
    report = Report.model_validate(VERSION_1 | {"schema_version": 2})
    unbounded = Score(metric=Metric.PERPLEXITY, successes=0, n=1, value=7.5, low=1, high=math.inf, interval="bca")
    arm = report.arms[0].model_copy(
        update={"scores": (unbounded,), "repeats": (Repeat(seed=1, scores=(0, 1), seconds=1),)}
    )
    report = report.model_copy(update={"arms": (arm,)})

    assert Report.model_validate_json(report.model_dump_json()) == report


@pytest.mark.parametrize("claim", [{"correct": True}, {"score": 0.5}])
def test_a_failed_row_cannot_be_right(claim: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=r"row 1 failed \(too long\), so it is wrong, with score 0"):
        ItemResult.model_validate(ITEM | {"error": "too long"} | claim)


@pytest.mark.parametrize(
    ("metric", "value", "high"), [("exact_match", 1.5, 1.5), ("chrf", 0.5, 1.1), ("perplexity", -1, 2)]
)
def test_a_score_outside_its_scale_is_refused(metric: str, value: float, high: float) -> None:
    with pytest.raises(ValidationError, match=r"over 1|greater than or equal to 0"):
        Score.model_validate({"metric": metric, "successes": 0, "n": 1, "value": value, "low": 0, "high": high})


def test_a_repeat_of_other_rows_is_refused() -> None:
    with pytest.raises(ValidationError, match="has 1 scores for 2 rows"):
        ArmReport.model_validate(VERSION_1["arms"][0] | {"repeats": [{"seed": 1, "scores": [0], "seconds": 1}]})


def test_a_report_altered_on_disk_is_noticed() -> None:
    content = json.dumps(VERSION_1).encode()
    recorded = hashlib.sha256(content).hexdigest()

    assert read_report(content, sha256=recorded).device == "cpu"
    with pytest.raises(ReportAltered, match=f"the recorded one {recorded[:12]}"):
        read_report(content.replace(b'"correct": false', b'"correct": true'), sha256=recorded)
