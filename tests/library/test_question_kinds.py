"""Questions of every kind: what can be answered, what the rules tell apart, and what the static check proves."""

import re
from typing import Any

import pytest

from playbook.library.answer_classes import classes_of
from playbook.library.checklist import decision_table, evaluate, flips, path_count, steps
from playbook.library.definition import AnswerRefused, Question
from playbook.library.flow import check_flow
from playbook.library.question import Measured
from playbook.library.rules import compile_rule
from tests.library.kinds import checklist, every_kind, outcome, question


def number(**changes: Any) -> Question:
    return Question.model_validate(question("rows", kind="number", unit="rows", **changes))


def test_a_checklist_of_every_kind_is_sound_and_has_a_finite_table() -> None:
    kinds = every_kind()

    assert check_flow(kinds) == ()
    assert [(" ".join(key for _, key in path.answers), path.outcome_id) for path in decision_table(kinds)] == [
        (f"{goal} {rest}", end)
        for goal in ("answered", "unknown")
        for rest, end in (
            ("daily <50", "collect"),
            ("daily >=50 yes", "prompt"),
            ("daily >=50 no", "tune"),
            ("daily >=50 unknown", "tune"),
            ("daily unknown", "collect"),
            ("rarely", "collect"),
            ("unknown", "collect"),
        )
    ]
    assert path_count(kinds) == 14


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        ([], ["any", "unknown"]),
        (["rows >= 50"], ["<50", ">=50", "unknown"]),
        (["rows > 50"], ["<=50", ">50", "unknown"]),
        (["50 <= rows"], ["<50", ">=50", "unknown"]),
        (["rows == 3"], ["<3", "=3", ">3", "unknown"]),
        (["rows >= 50 && rows < 500"], ["<50", "50..<500", ">=500", "unknown"]),
        (["rows > 1.5 && rows <= 2.5"], ["<=1.5", ">1.5..2.5", ">2.5", "unknown"]),
        (["rows >= 50", "rows < 50", "!(rows >= 50)"], ["<50", ">=50", "unknown"]),
        (['rows == "unknown" || rows < -3'], ["<-3", ">=-3", "unknown"]),
    ],
)
def test_a_number_falls_into_the_classes_that_rules_tell_apart(rules: list[str], expected: list[str]) -> None:
    assert list(classes_of(number(), map(compile_rule, rules)).keys) == expected


def test_classes_outside_the_bounds_of_a_number_do_not_exist() -> None:
    rules = [compile_rule("rows >= 0 && rows < 200 && rows != 3")]
    share = number(minimum=0, maximum=100)
    whole = number(whole=True)

    assert classes_of(share, rules).keys == ("0..<3", "=3", ">3..<200", "unknown")
    assert classes_of(whole, [compile_rule("rows > 3 && rows < 4")]).keys == ("<=3", ">=4", "unknown")


@pytest.mark.parametrize(
    ("answer", "key"), [("49", "<50"), ("49.999", "<50"), ("50", ">=50"), ("+50.0", ">=50"), (" 5000 ", ">=50")]
)
def test_a_number_finds_its_class(answer: str, key: str) -> None:
    assert classes_of(number(), [compile_rule("rows >= 50")]).key_of(answer) == key


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("rows * 2 > 100", "uses the number 'rows' in another way than rows >= 50"),
        ("rows > often", "uses the number 'rows' in another way"),
        ("rows in [1, 2]", "uses the number 'rows' in another way"),
        ("[rows, 1].size() > 1", "uses the number 'rows' in another way"),
        ("rows >= 0x10", "has '0x10', which no rule can hold"),
        ("rows >= 5u", "has '5u', which no rule can hold"),
        ("rows >= 1e3", "has '1e3', which no rule can hold"),
        ('rows == "many"', "compares rows with 'many', which is no answer to it; there are: unknown"),
    ],
)
def test_a_rule_only_compares_a_number_with_a_number(rule: str, message: str) -> None:
    kinds = checklist(
        [question("often"), question("rows", kind="number", unit="rows")],
        [outcome("a", rule), outcome("b", f"!({rule})")],
    )

    assert [problem.message for problem in check_flow(kinds) if message in problem.message]


def test_no_rule_reads_a_text() -> None:
    kinds = checklist([question("goal", kind="text")], [outcome("a", 'goal == "x"'), outcome("b", 'goal != "x"')])

    assert [problem.message for problem in check_flow(kinds)] == [
        f"rule {rule!r} names goal, a text; nobody can check what a rule makes of it: ask with kind: choice"
        for rule in ('goal == "x"', 'goal != "x"')
    ]


def test_a_misspelt_answer_in_a_rule_is_found() -> None:
    kinds = checklist([question("a")], [outcome("x", 'a == "Yes"'), outcome("y", 'a in ["maybe"]')])

    assert [problem.message for problem in check_flow(kinds)] == [
        "rule 'a == \"Yes\"' compares a with 'Yes', which is no answer to it; there are: yes, no, unknown",
        "rule 'a in [\"maybe\"]' compares a with 'maybe', which is no answer to it; there are: yes, no, unknown",
    ]


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        (
            [outcome("a", "rows >= 50"), outcome("b", 'rows <= 50 || rows == "unknown"')],
            "the path rows==50 ends in 2 outcomes (a, b); exactly one `when` must hold there",
        ),
        (
            [outcome("a", "rows > 50"), outcome("b", 'rows < 50 || rows == "unknown"')],
            "the path rows==50 ends in no outcome; exactly one `when` must hold there",
        ),
        (
            [outcome("a", "rows >= 50"), outcome("b", "rows < 50")],
            "the path rows=unknown ends in no outcome; exactly one `when` must hold there",
        ),
        (
            [outcome("a", "rows > 60 && rows < 50"), outcome("b", "!(rows > 60 && rows < 50) || true")],
            "no path reaches outcome 'a'; correct its when",
        ),
    ],
)
def test_the_static_check_finds_gaps_overlaps_and_contradictions_of_numbers(
    outcomes: list[dict[str, Any]], expected: str
) -> None:
    found = check_flow(checklist([question("rows", kind="number", unit="rows")], outcomes))

    assert expected in [problem.message for problem in found]


def test_an_unknown_number_meets_no_comparison_and_no_opposite_of_one() -> None:
    rule = compile_rule("!(rows >= 50)")

    assert rule.holds({"rows": 20.0}, numbers={"rows"})
    assert not rule.holds({"rows": "unknown"}, numbers={"rows"})
    assert not compile_rule("rows >= 50").holds({"rows": ""}, numbers={"rows"})


@pytest.mark.parametrize(
    ("name", "written", "kept"),
    [
        ("rows", " 0120 ", "120"),
        ("rows", "-0", "0"),
        ("rows", "12.00", "12"),
        ("rows", "unknown", "unknown"),
        ("often", "daily", "daily"),
        ("goal", "  Fewer calls. ", "Fewer calls."),
        ("fits", "yes", "yes"),
    ],
)
def test_an_answer_is_kept_in_one_spelling(name: str, written: str, kept: str) -> None:
    assert every_kind().question(name).read(written) == kept


@pytest.mark.parametrize(
    ("name", "written", "message"),
    [
        ("rows", "1,200", "'1,200' is no number; write digits alone, such as 1200 or 0.8, or “unknown”."),
        ("rows", "", "'' is no number"),
        ("rows", ".", "'.' is no number"),
        ("rows", "1e9", "'1e9' is no number"),
        ("rows", "NaN", "'NaN' is no number"),
        ("rows", "9" * 5_000, "is no number"),
        ("rows", "٣", "is no number"),
        ("rows", "1.5", "1.5 rows: write a whole number."),
        ("rows", "-1", "-1 rows: the smallest answer is 0."),
        ("often", "weekly", "answer 'weekly' to 'often'; choose one of ['daily', 'rarely', 'unknown']"),
        ("goal", "   ", "answer '   ' to 'goal'"),
        ("goal", "x" * 2_001, "The answer has 2,001 characters; keep it under 2,000."),
    ],
)
def test_what_is_no_answer_is_refused_in_words(name: str, written: str, message: str) -> None:
    with pytest.raises(AnswerRefused, match=re.escape(message)):
        every_kind().question(name).read(written)


def test_reasons_of_numbers_choices_and_texts_enter_the_recommendation() -> None:
    evaluation = evaluate(every_kind(), {"goal": "Fewer calls", "often": "daily", "rows": "120", "fits": "unknown"})

    assert [(reason.question_id, reason.text) for reason in evaluation.reasons] == [
        ("goal", "The goal is written down."),
        ("often", "It is used every day."),
        ("rows", "There are rows enough."),
    ]
    assert [found.question.id for found in evaluation.unknowns] == ["fits"]


def test_flips_say_what_a_number_or_a_measurement_would_have_to_be() -> None:
    answers = {"goal": "x", "often": "daily", "rows": "120", "fits": "no"}
    found = [
        (flip.question.id, flip.label, flip.condition, [end.id for end in flip.outcomes])
        for flip in flips(every_kind(), answers)
    ]

    assert found == [
        ("often", "Once a year", "", ["collect"]),
        ("often", "Unknown", "", ["collect"]),
        ("rows", "under 50 rows", "", ["collect"]),
        ("rows", "Unknown", "", ["collect"]),
        ("fits", "Yes", "exact match of zero-shot reached 0.80", ["prompt"]),
    ]


def test_the_path_of_some_answers_ends_at_the_first_open_question() -> None:
    found = steps(every_kind(), {"goal": "x", "often": "daily", "fits": "yes"})

    assert [step.key for step in found] == ["answered", "daily", None]


@pytest.mark.parametrize(
    ("low", "high", "at_least", "below"),
    [
        (0.80, 0.95, "yes", "no"),
        (0.60, 0.79, "no", "yes"),
        (0.70, 0.90, "unknown", "unknown"),
        (0.60, 0.80, "unknown", "unknown"),
    ],
)
def test_an_interval_answers_yes_no_or_unknown(low: float, high: float, at_least: str, below: str) -> None:
    wanted = {"arm": "few_shot", "metric": "exact_match"}

    assert Measured.model_validate({**wanted, "at_least": 0.8}).answer(low=low, high=high) == at_least
    assert Measured.model_validate({**wanted, "below": 0.8}).answer(low=low, high=high) == below


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "choice"}, "question 'a' is a choice; give it two or more choices"),
        ({"choices": [{"id": "x", "label": "X"}, {"id": "y", "label": "Y"}]}, "question 'a' has choices; write kind"),
        ({"kind": "choice", "choices": [{"id": "x", "label": "X"}] * 2}, "question 'a' lists a choice twice"),
        (
            {"kind": "choice", "choices": [{"id": "x", "label": "X"}, {"id": "unknown", "label": "?"}]},
            "question 'a' lists the choice 'unknown'",
        ),
        ({"kind": "number"}, "question 'a' is a number; give its unit"),
        ({"unit": "rows"}, "question 'a' has unit, minimum, maximum or whole; write kind: number"),
        ({"kind": "number", "unit": "x", "minimum": 3, "maximum": 3}, "no number between 3 and 3"),
        ({"kind": "number", "unit": "x", "minimum": float("inf")}, "Input should be a finite number"),
        ({"kind": "measured"}, "question 'a' is measured; say by what"),
        (
            {"kind": "text", "measured": {"arm": "lora", "metric": "exact_match", "below": 0.1}},
            "question 'a' cannot be answered by a measurement",
        ),
        ({"measured": {"arm": "lora", "metric": "exact_match"}}, "give either at_least or below"),
        ({"kind": "number", "unit": "x", "reasons": {"few": "F"}}, "reasons for ['few'] of question 'a'"),
    ],
)
def test_fields_that_do_not_belong_to_the_kind_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Question.model_validate(question("a", **changes))


def test_the_place_in_lists_is_no_part_of_the_digest() -> None:
    assert every_kind(order=1).digest == every_kind().digest
    assert every_kind(version=2).digest != every_kind().digest
