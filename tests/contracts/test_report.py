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
            {"split": split, "sha256": digit * 64, "size_bytes": 5, "rows": 2}
            for split, digit in (("train", "a"), ("validation", "b"), ("test", "c"))
        ],
    },
    "arms": [
        {
            "arm": arm,
            "items": [ITEM, ITEM | {"correct": True, "natural_stop": True, "index": 1}],
            "scores": [{"metric": "exact_match", "successes": 1, "n": 2, "value": 0.5, "low": 0.1, "high": 0.9}],
            "seconds": 1.5,
        }
        for arm in ("zero_shot", "lora")
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
    unbounded = Score(metric=Metric.PERPLEXITY, successes=1, n=2, value=7.5, low=1, high=math.inf, interval="bca")
    arm = report.arms[0].model_copy(
        update={"scores": (unbounded,), "repeats": (Repeat(seed=1, scores=(0, 1), seconds=1),)}
    )
    evaluation = report.spec.evaluation.model_copy(update={"metric": Metric.PERPLEXITY})
    spec = report.spec.model_copy(update={"evaluation": evaluation})
    other = report.arms[1].model_copy(update={"scores": (unbounded,)})
    report = report.model_copy(update={"arms": (arm, other), "spec": spec})

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


TRAINING: dict[str, Any] = {
    "steps": 5,
    "seconds": 3.0,
    "seconds_to_first_step": 1.0,
    "supervised_tokens": 40,
    "tokens": 90,
    "final_train_loss": 0.5,
    "final_validation_loss": None,
    "trainable_parameters": 10,
    "total_parameters": 100,
    "peak_memory_bytes": 1000,
}


def changed(path: str, literal: str) -> str:
    """The report as JSON text with another number, word for word, at a path like arms.0.seconds."""
    document = json.loads(json.dumps(VERSION_1 | {"training": TRAINING}))
    *parents, last = (int(key) if key.isdigit() else key for key in path.split("."))
    place = document
    for key in parents:
        place = place[key]
    place[last] = "@"
    return json.dumps(document).replace('"@"', literal)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "-1", f"1{'0' * 400}"])
@pytest.mark.parametrize(
    "path",
    [
        "arms.0.seconds",
        "arms.0.items.0.index",
        "arms.0.items.0.prompt_tokens",
        "arms.0.items.0.output_tokens",
        "arms.0.items.0.latency_seconds",
        "arms.0.items.0.score",
        "arms.0.scores.0.successes",
        "arms.0.scores.0.n",
        "comparisons.0.gained",
        "comparisons.0.p_value",
        "training.seconds",
        "training.tokens",
        "training.peak_memory_bytes",
        "overlap.shared_rows",
    ],
)
def test_a_number_that_no_run_gives_is_refused(path: str, number: str) -> None:
    with pytest.raises(ValidationError, match=path.replace(".", r"\.")):
        Report.model_validate_json(changed(path, number))


@pytest.mark.parametrize(
    ("arm", "reason"),
    [
        ({"scores": []}, "zero_shot has no score by exact_match, the metric of the run"),
        ({"successes": 2}, r"said to be right on 2 rows, 0.5 by exact_match; its rows give 1 and 0.5"),
        ({"value": 0.9}, r"said to be right on 1 rows, 0.9 by exact_match; its rows give 1 and 0.5"),
        ({"value": 0.95}, r"0.95 lies outside of its interval, 0.1 to 0.9"),
        ({"successes": 3}, r"3 rows of 2 cannot be right"),
        ({"n": 3}, r"exact_match is a score of 3 rows, and 2 answered"),
        ({"items": [ITEM, ITEM | {"correct": True}]}, "zero_shot answered a row twice"),
    ],
)
def test_figures_that_do_not_follow_from_the_rows_are_refused(arm: dict[str, Any], reason: str) -> None:
    first = VERSION_1["arms"][0]
    whole = {key: value for key, value in arm.items() if key in first}
    scores = [score | {key: value for key, value in arm.items() if key not in first} for score in first["scores"]]
    with pytest.raises(ValidationError, match=reason):
        Report.model_validate(VERSION_1 | {"arms": [first | {"scores": scores} | whole]})


def test_an_arm_that_is_there_twice_is_refused() -> None:
    with pytest.raises(ValidationError, match="an arm is there twice"):
        Report.model_validate(VERSION_1 | {"arms": VERSION_1["arms"] * 2})


@pytest.mark.parametrize(
    ("rows", "partial", "reason"),
    [
        (3, False, "zero_shot answered 2 of 3 rows and is not marked as partial: a row that fails counts as wrong"),
        (1, False, "zero_shot answered row 2 of a split of 1"),
        (1, True, "zero_shot answered row 2 of a split of 1"),
    ],
)
def test_arms_that_all_lack_the_same_rows_are_refused(rows: int, partial: bool, reason: str) -> None:
    document = json.loads(json.dumps(VERSION_1))
    document["spec"]["inputs"][2]["rows"] = rows
    document["arms"][0]["partial"] = partial
    with pytest.raises(ValidationError, match=reason):
        Report.model_validate(document)


def test_an_arm_cut_short_may_lack_rows() -> None:
    document = json.loads(json.dumps(VERSION_1)) | {"partial": True}
    document["spec"]["inputs"][2]["rows"] = 3
    document["arms"] = [document["arms"][0] | {"partial": True}]
    assert Report.model_validate(document).arms[0].partial


@pytest.mark.parametrize(
    ("arms", "partial", "reason"),
    [
        ([], False, "zero_shot is missing, and the report is not marked as partial: an arm that fails is shown as"),
        (["zero_shot"], False, "lora is missing, and the report is not marked as partial"),
        (["zero_shot", "few_shot", "lora"], False, "few_shot is none of the arms that the spec asks for: zero"),
        (["few_shot"], True, "few_shot is none of the arms that the spec asks for: zero_shot, lora"),
    ],
)
def test_a_report_of_other_arms_than_were_asked_for_is_refused(arms: list[str], partial: bool, reason: str) -> None:
    given = [VERSION_1["arms"][0] | {"arm": arm} for arm in arms]
    with pytest.raises(ValidationError, match=reason):
        Report.model_validate(VERSION_1 | {"arms": given, "partial": partial})


def test_a_report_with_an_arm_that_ended_early_is_partial() -> None:
    first, second = VERSION_1["arms"]
    with pytest.raises(ValidationError, match="lora ended early, and the report is not marked as partial"):
        Report.model_validate(VERSION_1 | {"arms": [first, second | {"partial": True}]})


def test_a_report_altered_on_disk_is_noticed() -> None:
    content = json.dumps(VERSION_1).encode()
    recorded = hashlib.sha256(content).hexdigest()

    assert read_report(content, sha256=recorded).device == "cpu"
    with pytest.raises(ReportAltered, match=f"the recorded one {recorded[:12]}"):
        read_report(content.replace(b'"correct": false', b'"correct": true'), sha256=recorded)
