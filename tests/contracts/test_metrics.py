"""The settings of a metric: what is refused when they are written down."""

import pytest
from pydantic import ValidationError

from playbook.contracts.metrics import CRITERION_METRICS, MAX_SCHEMA_BYTES, Metric, MetricSettings, RubricRule
from playbook.contracts.run_spec import EvaluationSettings


def test_a_plain_choice_measures_exact_match_and_valid_json() -> None:
    assert MetricSettings().metrics == (Metric.EXACT_MATCH, Metric.JSON_VALID)
    assert MetricSettings(metric=Metric.JSON_VALID).metrics == (Metric.JSON_VALID,)


def test_a_dataset_s_choice_becomes_part_of_a_run() -> None:
    chosen = MetricSettings(metric=Metric.LABEL_ACCURACY, labels=("yes", "no"), ignore_case=True)

    evaluation = EvaluationSettings.model_validate({"max_new_tokens": 5} | chosen.model_dump())

    assert (evaluation.metric, evaluation.labels, evaluation.max_new_tokens) == (chosen.metric, ("yes", "no"), 5)
    assert MetricSettings.model_validate(evaluation.model_dump(include=set(MetricSettings.model_fields))) == chosen


def test_settings_from_before_there_were_more_metrics_are_read() -> None:
    old = {"arms": ["zero_shot"], "metric": "exact_match", "max_new_tokens": 9, "batch_size": 2, "few_shot_examples": 4}

    assert EvaluationSettings.model_validate(old).metrics == (Metric.EXACT_MATCH, Metric.JSON_VALID)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"metric": "json_schema"}, "needs a json_schema"),
        ({"secondary_metrics": ["json_schema"]}, "needs a json_schema"),
        ({"metric": "rubric"}, "needs at least one rule"),
        ({"json_schema": "any"}, "valid dictionary"),
        ({"json_schema": {"description": "x" * MAX_SCHEMA_BYTES}}, "over 100,000 bytes"),
        ({"labels": ["a", "b", "a"]}, "label 'a' is there twice"),
        ({"rules": [{"name": "a", "min_words": 1}, {"name": "a", "max_words": 1}]}, "rule 'a' is there twice"),
        ({"rules": [{"name": "a"}]}, "asks nothing"),
        ({"rules": [{"name": "a", "min_words": 3, "max_words": 2}]}, "no answer fits"),
        ({"rules": [{"name": "a", "must_match": ""}]}, "at least 1 character"),
        ({"rules": [{"name": "a", "must_match": "x" * 1001}]}, "at most 1000 characters"),
        ({"pass_mark": 0}, "greater than 0"),
        ({"json_schema": {"const": float("inf")}}, "a number beyond all others"),
        ({"json_schema": {"enum": [{"a\x00": 1}]}}, "holds NUL"),
        ({"labels": ["a\x00"]}, "holds NUL"),
        ({"rules": [{"name": "a", "must_match": "\ud800"}]}, "surrogate|valid string"),
        ({"metric": "bleu"}, "Input should be"),
    ],
)
def test_settings_that_cannot_be_meant_are_refused(given: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        MetricSettings.model_validate(given)


def test_a_criterion_may_promise_any_share_but_no_perplexity() -> None:
    assert {metric for metric in Metric if metric not in CRITERION_METRICS} == {Metric.PERPLEXITY}


def test_a_rule_of_one_condition_is_enough() -> None:
    assert RubricRule(name="short", max_words=10).weight == 1.0
