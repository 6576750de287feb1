"""Settings of a metric against the rows they are meant for."""

import pytest

from playbook.contracts.metrics import Metric, MetricSettings, RubricRule
from playbook.scoring.metrics import Judge
from playbook.scoring.settings import misfits_of, problems_of


def test_settings_that_can_be_used_have_no_problems() -> None:
    assert problems_of(MetricSettings()) == ()
    assert problems_of(MetricSettings(json_schema={"type": "object"})) == ()


def test_every_problem_is_named_at_once() -> None:
    settings = MetricSettings(
        json_schema={"$ref": "#"},
        rules=(RubricRule(name="first", must_match="("), RubricRule(name="second", must_not_match="[")),
    )

    found = problems_of(settings)

    assert [text.partition(":")[0] for text in found] == [
        "json_schema loops",
        "Rule 'first'",
        "Rule 'second'",
    ]
    with pytest.raises(ValueError, match="json_schema loops"):
        Judge(settings)


@pytest.mark.parametrize(
    ("given", "answers", "found"),
    [
        ({}, ["plain text"], []),
        ({"metric": "json_valid"}, ["{}", "x"], ["json_valid: the expected answer of row 2 is not JSON itself."]),
        (
            {"metric": "json_schema", "json_schema": {"type": "object"}},
            ["{}", "[]", "1"],
            ["json_schema: the expected answer of rows 2, 3 is not valid by json_schema; correct one of the two."],
        ),
        (
            {"metric": "field_f1"},
            ["x"] * 8,
            ["field_f1: the expected answer of rows 1, 2, 3, 4, 5 and 3 more is not JSON, so it has no fields."],
        ),
        (
            {"metric": "field_f1", "fields": ["id", "who"]},
            ['{"id": 1}', '{"ID": 1}'],
            ["field_f1: the expected answer of row 2 has none of the fields id, who; correct their paths."],
        ),
        (
            {"metric": "label_accuracy", "label_field": "team"},
            ['{"team": "a"}', '{"Team": "a"}'],
            ["label_accuracy: the expected answer of row 2 has no label at 'team'; correct label_field."],
        ),
        (
            {"metric": "label_accuracy", "labels": ["Yes", "no"], "ignore_case": True},
            ["yes", "NO", "maybe"],
            ["label_accuracy: the expected answer of row 3 has a label that is not in labels."],
        ),
    ],
)
def test_expected_answers_that_do_not_fit_are_counted(
    given: dict[str, object], answers: list[str], found: list[str]
) -> None:
    assert list(misfits_of(MetricSettings.model_validate(given), answers)) == found


@pytest.mark.timeout(60)
def test_a_pattern_that_is_too_slow_on_an_expected_answer_is_named() -> None:
    settings = MetricSettings(metric=Metric.RUBRIC, rules=(RubricRule(name="slow", must_match="^(a|aa)+$"),))

    assert misfits_of(settings, ["a"]) == ()
    assert "was stopped after 0.5 s" in misfits_of(settings, ["a" * 80 + "!"])[0]


@pytest.mark.parametrize(
    ("given", "problems"),
    [
        ({"labels": ["Bug", "bug"]}, ()),
        (
            {"labels": ["Bug", "bug"], "ignore_case": True},
            ("Labels 'Bug' and 'bug' are both compared as 'bug'; remove one, or rename it.",),
        ),
        (
            {"labels": ["Caf\u00e9", "Cafe\u0301"]},
            ("Labels 'Caf\u00e9' and 'Cafe\u0301' are both compared as 'Caf\u00e9'; remove one, or rename it.",),
        ),
        (
            {"labels": ["yes", "?"], "ignore_punctuation": True},
            ("Label '?' is empty once it is compared; remove it, or count its marks.",),
        ),
    ],
)
def test_labels_that_cannot_be_told_apart_are_named(given: dict[str, object], problems: tuple[str, ...]) -> None:
    assert problems_of(MetricSettings.model_validate({"metric": "label_accuracy"} | given)) == problems
