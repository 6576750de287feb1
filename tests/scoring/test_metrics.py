"""Every metric on one answer: worked examples, and what models really write."""

import math

import pytest

from playbook.contracts.metrics import Metric, MetricSettings, RubricRule
from playbook.scoring.metrics import Judge, Judged, exact_match, field_f1, json_valid, label_of
from playbook.scoring.patterns import BoundedPattern, PatternError

REFERENCE = '{"order_id": "41", "tags": ["a", "b"], "n": 1}'
ANY_CASE = MetricSettings(ignore_case=True, ignore_punctuation=True)
ODD_ANSWERS = (
    *("", " \n", "word " * 10_000, "{" * 10_000, "\x00\ud7ff🙂", "1e999", "9" * 5_000, '{"id": 1e999, "id": 2}'),
    *("[" * depth + "]" * depth for depth in (100, 101, 400, 900)),
)
SCHEMA = {"type": "object", "required": ["id"], "properties": {"id": {"type": "string", "pattern": "^[A-Z]{2}\\d+$"}}}


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (REFERENCE, True),
        ('{"n": 1.0, "tags": ["a", "b"], "order_id": "41"}', True),
        (f"\n  {REFERENCE}\n", True),
        ('{"order_id": "41", "tags": ["b", "a"], "n": 1}', False),
        ('{"order_id": 41, "tags": ["a", "b"], "n": 1}', False),
        ('{"order_id": "41", "tags": ["a", "b"], "n": true}', False),
        ('{"order_id": "41", "tags": ["a", "b"]}', False),
        (f"{REFERENCE} Anything else?", False),
        (f"```json\n{REFERENCE}\n```", False),
        ("", False),
    ],
)
def test_exact_match_compares_json_values(output: str, expected: bool) -> None:
    assert exact_match(output=output, reference=REFERENCE) is expected


@pytest.mark.parametrize(
    ("output", "expected"), [("Dear  Bob,\nthanks", True), (" Dear Bob, thanks ", True), ("dear bob, thanks", False)]
)
def test_exact_match_folds_white_space_of_text(output: str, expected: bool) -> None:
    assert exact_match(output=output, reference="Dear Bob, thanks") is expected


@pytest.mark.parametrize(
    ("output", "reference", "expected"),
    [
        ("dear BOB thanks!", "Dear Bob, thanks.", True),
        ("Cafe\u0301", "café", True),
        ("STRASSE", "straße", True),
        ('{"Name": "BOB."}', '{"Name": "bob"}', True),
        ('{"name": "bob"}', '{"Name": "bob"}', False),
        ("dear bobby", "dear bob", False),
    ],
)
def test_normalisation_is_chosen_on_the_dataset(output: str, reference: str, expected: bool) -> None:
    assert exact_match(output=output, reference=reference, settings=ANY_CASE) is expected


@pytest.mark.parametrize(
    ("output", "reference", "expected"),
    [
        ('{"city": "Orle\u0301ans"}', '{"city": "Orl\u00e9ans"}', True),
        ('{"caf\u00e9": 1}', '{"cafe\\u0301": 1}', True),
        ('{"note": " two  words"}', '{"note": "two words"}', True),
        ('{"note": "Two words"}', '{"note": "two words"}', False),
        ('{"id": 1, "id": 2}', '{"id": 2}', False),
        ("[1e999]", "[1e400]", False),
        ('{"id": 9007199254740993}', '{"id": 9007199254740992.0}', False),
    ],
)
def test_json_is_compared_as_a_reader_sees_it(output: str, reference: str, expected: bool) -> None:
    assert exact_match(output=output, reference=reference) is expected


def test_exact_match_tells_null_from_text_that_is_not_json() -> None:
    assert (exact_match(output="null", reference="null"), exact_match(output="none", reference="null")) == (True, False)


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("{}", True),
        ("3", True),
        ("{'a': 1}", False),
        ("NaN", False),
        ("[-Infinity]", False),
        ("1e999", False),
        ('[{"a": {"b": 1, "b": 1}}]', False),
        ('{"a": {"b": 1}, "b": 1}', True),
        ("\ufeff{}", False),
        ("[" * 100_000, False),
        ("[" * 101 + "]" * 101, True),
        ("[" * 102 + "]" * 102, False),
    ],
)
def test_json_valid_is_the_whole_output_and_strict(output: str, expected: bool) -> None:
    assert json_valid(output) is expected


@pytest.mark.parametrize(
    ("output", "score"),
    [
        ('{"id": "AB12"}', 1.0),
        ('{"id": "ab12"}', 0.0),
        ("{}", 0.0),
        ("AB12", 0.0),
        ("", 0.0),
    ],
)
def test_schema_validity(output: str, score: float) -> None:
    judge = Judge(MetricSettings(metric=Metric.JSON_SCHEMA, json_schema=SCHEMA))

    assert judge.judge(output=output, expected="{}").score == score


@pytest.mark.parametrize(
    ("output", "score"),
    [
        ('{"order": {"id": 7, "when": "May"}, "tags": ["a", "b"]}', 1.0),
        ('{"tags": ["b", "a"], "order": {"when": " May", "id": 7.0}}', 1.0),
        ('{"order": {"id": 7}}', 2 * 1 / (1 + 4)),  # precision 1, recall 1/4
        ('{"order": {"id": 8, "when": "May"}, "tags": ["a"], "more": 1}', 2 * 2 / (4 + 4)),
        ('{"order": {"id": true, "when": "may"}, "tags": []}', 0.0),
        ("[]", 0.0),
        ("I do not know", 0.0),
        ("", 0.0),
    ],
)
def test_field_f1_on_worked_examples(output: str, score: float) -> None:
    reference = '{"order": {"id": 7, "when": "May"}, "tags": ["a", "b"]}'

    assert field_f1(output=output, reference=reference, settings=MetricSettings()) == pytest.approx(score)


def test_field_f1_counts_the_named_fields_alone() -> None:
    settings = MetricSettings(metric=Metric.FIELD_F1, fields=("order.id", "tags"), ignore_case=True)
    output = '{"order": {"id": 7, "when": "June"}, "tags": ["A"], "orders": 3}'
    reference = '{"order": {"id": 7, "when": "May"}, "tags": ["a", "b"]}'

    assert field_f1(output=output, reference=reference, settings=settings) == pytest.approx(2 * 2 / (2 + 3))


@pytest.mark.parametrize(
    ("output", "reference", "score"),
    [
        # The quantities of two items are changed for each other: the names are right, one item at a time.
        ('[{"sku": "A", "n": 2}, {"sku": "B", "n": 1}]', '[{"sku": "A", "n": 1}, {"sku": "B", "n": 2}]', 0.5),
        ('[{"sku": "B", "n": 2}, {"sku": "A", "n": 1}]', '[{"sku": "A", "n": 1}, {"sku": "B", "n": 2}]', 1.0),
        ('[{"sku": "B", "n": 2}]', '[{"sku": "A", "n": 1}, {"sku": "B", "n": 2}]', 2 * 2 / (2 + 4)),
        ('["x", {"sku": "A"}]', '[{"sku": "A"}, "x"]', 1.0),
        ("[[1], [2]]", "[[1, 2]]", 2 * 1 / (2 + 2)),
        ("[[1, 2], [3, 4]]", "[[4, 3], [2, 1]]", 1.0),
        (
            '{"boxes": [{"items": [{"a": 1, "b": 2}]}, {"items": [{"a": 3, "b": 4}]}]}',
            '{"boxes": [{"items": [{"a": 1, "b": 4}]}, {"items": [{"a": 3, "b": 2}]}]}',
            0.5,
        ),
        ('{"order.id": 7}', '{"order": {"id": 7}}', 0.0),
        ('{"caf\u00e9": 1}', '{"cafe\u0301": 1}', 1.0),
    ],
)
def test_field_f1_keeps_together_what_belongs_together(output: str, reference: str, score: float) -> None:
    assert field_f1(output=output, reference=reference, settings=MetricSettings()) == pytest.approx(score)


def test_a_field_with_a_full_stop_in_its_name_can_be_chosen() -> None:
    settings = MetricSettings(metric=Metric.FIELD_F1, fields=("order.id",))

    assert field_f1(output='{"order.id": 7, "n": 1}', reference='{"order.id": 7, "n": 2}', settings=settings) == 1.0


def test_repeated_list_elements_count_once_each() -> None:
    assert field_f1(output='["a", "a"]', reference='["a", "b"]', settings=MetricSettings()) == 0.5


@pytest.mark.parametrize(
    ("text", "chosen", "label"),
    [
        (" Billing.\n", ANY_CASE, "billing"),
        ("Billing", MetricSettings(), "Billing"),
        ("", MetricSettings(), None),
        ('{"team": {"name": "ops"}}', MetricSettings(label_field="team.name"), "ops"),
        ('{"team": 3}', MetricSettings(label_field="team"), "3"),
        ('{"team": ["ops"]}', MetricSettings(label_field="team"), None),
        ("ops", MetricSettings(label_field="team"), None),
    ],
)
def test_label_of_an_answer(text: str, chosen: MetricSettings, label: str | None) -> None:
    assert label_of(text, chosen) == label


def test_an_answer_without_a_label_is_wrong_even_when_none_was_expected() -> None:
    judge = Judge(MetricSettings(metric=Metric.LABEL_ACCURACY))

    assert [judge.judge(output=text, expected="").correct for text in ("", "a")] == [False, False]


def test_rubric_is_the_weighted_share_of_rules_that_are_kept() -> None:
    rules = (
        RubricRule(name="greets", must_match=r"(?i)^dear\b", weight=2),
        RubricRule(name="no promise", must_not_match="guarantee"),
        RubricRule(name="short", min_words=3, max_characters=40),
    )
    judge = Judge(MetricSettings(metric=Metric.RUBRIC, rules=rules, pass_mark=0.75))

    answers = ["Dear Bob, it is done.", "Dear Bob, we guarantee it.", "Done.", ""]
    judged = [judge.judge(output=text, expected="") for text in answers]
    assert [(one.score, one.correct) for one in judged] == [(1.0, True), (0.75, True), (0.25, False), (0.25, False)]


def test_perplexity_scores_a_row_by_the_typical_token_s_probability() -> None:
    judge = Judge(MetricSettings(metric=Metric.PERPLEXITY, secondary_metrics=()))

    assert judge.judge(output="", expected="x", nats=3 * math.log(4), tokens=3).score == pytest.approx(0.25)
    missing = judge.judge(output="", expected="x")
    assert missing == Judged(
        False, 0.0, False, {}, "perplexity: the likelihood of the expected answer was not measured"
    )


def test_secondary_metrics_are_measured_on_the_same_answer() -> None:
    judge = Judge(MetricSettings(secondary_metrics=(Metric.ROUGE_L, Metric.FIELD_F1, Metric.JSON_VALID)))

    judged = judge.judge(output='{"a": 1, "b": 3}', expected='{"a": 1, "b": 2}')

    assert (judged.correct, judged.score, judged.json_valid) == (False, 0.0, True)
    assert judged.scores == {Metric.ROUGE_L: 0.75, Metric.FIELD_F1: 0.5, Metric.JSON_VALID: 1.0}


def test_a_row_that_failed_scores_nothing_whatever_it_holds() -> None:
    judge = Judge(MetricSettings(metric=Metric.ROUGE_L))

    assert judge.judge(output="same", expected="same", failed=True) == Judged(
        False, 0.0, False, {Metric.JSON_VALID: 0.0}
    )


@pytest.mark.parametrize("metric", [metric for metric in Metric if metric is not Metric.PERPLEXITY])
@pytest.mark.parametrize(
    "output", ["", " \n", "word " * 10_000, "{" * 10_000, "\x00\ud7ff🙂"], ids=lambda text: f"{text[:5]!a} {len(text)}"
)
def test_no_answer_stops_a_metric(metric: Metric, output: str) -> None:
    settings = MetricSettings(metric=metric, json_schema=SCHEMA, rules=(RubricRule(name="r", must_match="(word )+$"),))

    judged = Judge(settings).judge(output=output[:60_000], expected=REFERENCE)

    assert 0 <= judged.score <= 1
    assert judged.problem is None


@pytest.mark.timeout(60)  # without a limit each of these searches would take longer than the universe is old
def test_a_pattern_that_backtracks_for_ever_is_stopped_and_its_rows_fail() -> None:
    judge = Judge(MetricSettings(metric=Metric.RUBRIC, rules=(RubricRule(name="slow", must_match="^(a|aa)+$"),)))

    judged = [judge.judge(output="a" * 80 + "!", expected="") for _ in range(50)]

    assert {one.score for one in judged} == {0.0}
    assert "rubric: the pattern '^(a|aa)+$' was stopped after 0.5 s" in (judged[0].problem or "")


@pytest.mark.parametrize("pattern", ["(", "[a-", "a{2,1}", "(?P<x", "\\"])
def test_what_is_no_pattern_is_refused(pattern: str) -> None:
    with pytest.raises(PatternError, match="is no regular expression"):
        BoundedPattern(pattern)


@pytest.mark.parametrize(
    "pattern",
    ["a{100000000}", "(?:a{10000}){10000}", r"(?:\d{1000}[^)]{1000,}){100}", "(?:" * 8 + "a{9}" + "){9}" * 8],
)
def test_a_pattern_that_would_fill_the_memory_is_refused_before_it_is_compiled(pattern: str) -> None:
    with pytest.raises(PatternError, match="repeats too often: written out it has "):
        BoundedPattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "0123abcd-0123-4567-89ab-0123456789ab"),
        (r"^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2})$", "2026-11-28T12:00"),
        (r"^.{0,1000000}$", "short"),
        (r"[(]{2}[)\]]{1,99999}\{5}", "((])" + "{5}"),
        ("a" * 900, "a" * 900),
    ],
)
def test_patterns_that_people_write_are_searched(pattern: str, text: str) -> None:
    assert BoundedPattern(pattern).search(text)
