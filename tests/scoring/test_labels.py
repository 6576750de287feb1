"""The confusion matrix and the fields behind F1, against sklearn's definitions worked by hand."""

from playbook.contracts.metrics import Metric, MetricSettings
from playbook.contracts.report import ItemResult
from playbook.scoring.labels import FAILED, OTHER, FieldLine, LabelLine, confusion_of, fields_of
from tests.scoring.factories import item

SETTINGS = MetricSettings(metric=Metric.LABEL_ACCURACY, ignore_case=True)


def answered(pairs: list[tuple[str, str]], **more: object) -> list[ItemResult]:
    return [item(at, 0, expected=expected, output=output, **more) for at, (expected, output) in enumerate(pairs)]


def test_the_matrix_counts_rows_by_expected_and_said() -> None:
    """The example of sklearn's confusion_matrix: ant, bird, cat."""
    expected = ["cat", "ant", "cat", "cat", "ant", "bird"]
    said = ["ant", "ant", "cat", "cat", "ant", "cat"]

    found = confusion_of(answered(list(zip(expected, said, strict=True))), SETTINGS)

    assert found.labels == found.answers == ("ant", "bird", "cat")
    assert found.counts == ((2, 0, 0), (0, 0, 1), (1, 0, 2))
    assert found.lines == (
        LabelLine("ant", rows=2, precision=2 / 3, recall=1.0, f1=0.8),
        LabelLine("bird", rows=1, precision=None, recall=0.0, f1=0.0),
        LabelLine("cat", rows=3, precision=2 / 3, recall=2 / 3, f1=2 / 3),
    )
    assert round(found.macro_f1, 4) == round((0.8 + 0 + 2 / 3) / 3, 4)


def test_answers_that_are_no_label_and_rows_that_failed_have_columns_of_their_own() -> None:
    rows = [*answered([("Yes", "yes"), ("no", "It depends."), ("no", "")]), item(3, 0, expected="no", error="too long")]

    found = confusion_of(rows, SETTINGS.model_copy(update={"labels": ("Yes", "No", "maybe")}))

    assert found.labels == ("yes", "no", "maybe")
    assert found.answers == ("yes", "no", "maybe", OTHER, FAILED)
    assert found.counts == ((1, 0, 0, 0, 0), (0, 0, 0, 2, 1), (0, 0, 0, 0, 0))
    # A label that no row has and no answer says is no part of the mean.
    assert found.macro_f1 == 0.5


def test_an_expected_answer_without_a_label_is_never_found() -> None:
    settings = MetricSettings(metric=Metric.LABEL_ACCURACY, label_field="team")
    found = confusion_of(answered([('{"team": "a"}', '{"team": "a"}'), ("{}", "{}")]), settings)

    assert (found.labels, found.answers) == ((OTHER, "a"), (OTHER, "a"))
    assert [(line.label, line.recall, line.f1) for line in found.lines] == [(OTHER, 0.0, 0.0), ("a", 1.0, 1.0)]


def test_fields_are_listed_worst_first() -> None:
    rows = answered(
        [('{"id": 1, "who": "a"}', '{"id": 1, "who": "b"}'), ('{"id": 2, "who": "c"}', '{"id": 2}'), ('{"id": 3}', "?")]
    )
    rows.append(item(3, 0, expected='{"id": 4}', output='{"id": 4}', error="failed"))

    assert fields_of(rows, MetricSettings(metric=Metric.FIELD_F1)) == (
        FieldLine("who", expected=2, given=1, right=0),
        FieldLine("id", expected=4, given=2, right=2),
    )
    assert fields_of(rows, MetricSettings(metric=Metric.FIELD_F1, fields=("id",)))[0].f1 == 2 * 2 / 6
