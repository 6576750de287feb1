"""Answers → recommendation: what is asked, what is still possible, and what would change it."""

import re
from typing import Any

import pytest

from playbook.library.checklist import (
    AnswerRefused,
    Evaluation,
    decision_table,
    evaluate,
    flips,
    flow_of,
    path_count,
)
from playbook.library.definition import Checklist
from playbook.library.flow import FlowProblem, _told_apart, check_flow, distinct_nodes
from playbook.library.problems import ContentError
from playbook.library.rules import RuleError, compile_rule
from playbook.library.yaml_text import read_yaml

Definition = dict[str, Any]


def _question(name: str, show_if: str | None = None) -> Definition:
    return {
        "id": name,
        "text": f"Is it {name}?",
        "why": "It matters.",
        "article": "decide/x",
        "evidence": "A note.",
        "settles": f"Look at {name}.",
        "show_if": show_if,
        "reasons": {"yes": f"It is {name}.", "no": f"It is not {name}."},
    }


def _outcome(name: str, when: str) -> Definition:
    return {"id": name, "title": name.title(), "advice": "Do.", "when": when, "tone": "go"}


def _checklist(questions: list[Definition], outcomes: list[Definition], **changes: Any) -> Checklist:
    fields: Definition = {
        "slug": "sample",
        "version": 1,
        "title": "Sample",
        "summary": "For tests.",
        "questions": questions,
        "outcomes": outcomes,
        "signing": [{"role": "ml_lead"}],
        "review_in": "90d",
        "criterion": {"metric": "exact_match", "arm": "lora", "threshold": 0.8},
    }
    return Checklist.model_validate({**fields, **changes})


def _sample() -> Checklist:
    """cheap → (not cheap: stop) → good (only when cheap) → buy or wait."""
    return _checklist(
        [_question("cheap"), _question("good", 'cheap == "yes"')],
        [
            _outcome("buy", 'good == "yes"'),
            _outcome("wait", 'cheap == "yes" && good != "yes"'),
            _outcome("stop", 'cheap != "yes"'),
        ],
    )


def _ids(evaluation: Evaluation) -> tuple[list[str], str | None, str | None, list[str]]:
    return (
        [question.id for question in evaluation.visible],
        evaluation.next.id if evaluation.next else None,
        evaluation.outcome.id if evaluation.outcome else None,
        [outcome.id for outcome in evaluation.possible],
    )


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({}, (["cheap"], "cheap", None, ["buy", "wait", "stop"])),
        ({"cheap": "yes"}, (["cheap", "good"], "good", None, ["buy", "wait"])),
        ({"cheap": "no"}, (["cheap"], None, "stop", ["stop"])),
        ({"cheap": "yes", "good": "yes"}, (["cheap", "good"], None, "buy", ["buy"])),
        ({"cheap": "yes", "good": "unknown"}, (["cheap", "good"], None, "wait", ["wait"])),
    ],
)
def test_each_answer_narrows_the_advice(
    answers: dict[str, str], expected: tuple[list[str], str | None, str | None, list[str]]
) -> None:
    evaluation = evaluate(_sample(), answers)

    assert _ids(evaluation) == expected
    assert evaluation.complete == (expected[2] is not None)


def test_reasons_and_unknowns_follow_the_visible_questions() -> None:
    evaluation = evaluate(_sample(), {"good": "unknown", "cheap": "yes"})

    assert [(reason.question_id, reason.answer, reason.text) for reason in evaluation.reasons] == [
        ("cheap", "yes", "It is cheap.")
    ]
    assert [(unknown.question.id, unknown.settles) for unknown in evaluation.unknowns] == [("good", "Look at good.")]


def test_an_answer_off_the_path_is_left_out() -> None:
    evaluation = evaluate(_sample(), {"cheap": "no", "good": "yes"})

    assert _ids(evaluation) == (["cheap"], None, "stop", ["stop"])
    assert [reason.question_id for reason in evaluation.reasons] == ["cheap"]


def test_an_answer_given_ahead_narrows_what_is_possible() -> None:
    evaluation = evaluate(_sample(), {"good": "yes"})

    assert _ids(evaluation) == (["cheap"], "cheap", None, ["buy", "stop"])


def test_questions_that_are_asked_anyway_are_visible_at_once() -> None:
    checklist = _checklist(
        [_question("a"), _question("b"), _question("c", 'b == "no"')],
        [_outcome("both", 'a == "yes" && b == "yes"'), _outcome("other", '!(a == "yes" && b == "yes")')],
    )

    assert _ids(evaluate(checklist, {})) == (["a", "b"], "a", None, ["both", "other"])
    assert _ids(evaluate(checklist, {"b": "no"})) == (["a", "b", "c"], "a", None, ["other"])


@pytest.mark.parametrize(
    ("answers", "message"),
    [
        ({"price": "yes"}, "no question 'price' in sample v1; it has ['cheap', 'good']"),
        ({"cheap": "maybe"}, "answer 'maybe' to 'cheap'; choose one of ['yes', 'no', 'unknown']"),
    ],
)
def test_strange_answers_are_refused(answers: dict[str, str], message: str) -> None:
    with pytest.raises(AnswerRefused) as refused:
        evaluate(_sample(), answers)

    assert str(refused.value) == message


def test_flips_name_the_single_answers_that_change_the_advice() -> None:
    found = [
        (flip.question.id, flip.answer, [outcome.id for outcome in flip.outcomes])
        for flip in flips(_sample(), {"cheap": "yes", "good": "no"})
    ]

    assert found == [("cheap", "no", ["stop"]), ("cheap", "unknown", ["stop"]), ("good", "yes", ["buy"])]


def test_a_flip_may_open_further_questions() -> None:
    found = [
        (flip.question.id, flip.answer, [outcome.id for outcome in flip.outcomes])
        for flip in flips(_sample(), {"cheap": "no"})
    ]

    assert found == [("cheap", "yes", ["buy", "wait"])]


def test_nothing_flips_before_the_end() -> None:
    assert flips(_sample(), {"cheap": "yes"}) == ()


def test_decision_table_lists_every_path() -> None:
    assert [(dict(path.answers), path.outcome_id) for path in decision_table(_sample())] == [
        ({"cheap": "yes", "good": "yes"}, "buy"),
        ({"cheap": "yes", "good": "no"}, "wait"),
        ({"cheap": "yes", "good": "unknown"}, "wait"),
        ({"cheap": "no"}, "stop"),
        ({"cheap": "unknown"}, "stop"),
    ]


def test_definition_survives_json_and_keeps_its_digest() -> None:
    checklist = _sample()
    again = Checklist.model_validate(checklist.model_dump(mode="json"))

    assert again == checklist
    assert again.digest == checklist.digest == "88157796231faf7745d5ebc596862d18f5a8acfa2540579cbf26144711b60587"
    assert _checklist([_question("cheap")], [_outcome("a", "true")]).digest != checklist.digest


@pytest.mark.parametrize(
    ("questions", "outcomes", "expected"),
    [
        (
            [_question("a"), _question("b", 'c == "yes"')],
            [_outcome("x", "true")],
            [(("questions", 1, "show_if"), "rule 'c == \"yes\"' names c; it may name a")],
        ),
        (
            [_question("a", 'a == "yes"')],
            [_outcome("x", "true")],
            [
                (
                    ("questions", 0, "show_if"),
                    "rule 'a == \"yes\"' names a; it may name no question, as this is the first",
                )
            ],
        ),
        (
            [_question("a")],
            [_outcome("x", "a ==")],
            [(("outcomes", 0, "when"), "rule 'a ==' is not CEL: Syntax error: mismatched input '<EOF>'")],
        ),
        (
            [_question("a")],
            [_outcome("x", "a")],
            [(("outcomes", 0, "when"), "rule 'a' gives ''; write a comparison that is true or false")],
        ),
        (
            [_question("a")],
            [_outcome("x", "a.__class__ == 1")],
            [
                (
                    ("outcomes", 0, "when"),
                    "rule 'a.__class__ == 1' reads the attribute '__class__'; a rule compares answers",
                )
            ],
        ),
        (
            [_question("a")],
            [_outcome("x", 'a == "yes"'), _outcome("y", 'a == "no"')],
            [(("outcomes",), "the path a=unknown ends in no outcome; exactly one `when` must hold there")],
        ),
        (
            [_question("a")],
            [_outcome("x", "true"), _outcome("y", 'a == "no"')],
            [(("outcomes",), "the path a=no ends in 2 outcomes (x, y); exactly one `when` must hold there")],
        ),
        (
            [_question("a"), _question("b", 'a == "yes" && a == "no"')],
            [_outcome("x", "true"), _outcome("y", 'b == "no"')],
            [
                (("questions", 1), "no path reaches question 'b'; correct its show_if"),
                (("outcomes", 1), "no path reaches outcome 'y'; correct its when"),
            ],
        ),
        (
            [_question("true")],
            [_outcome("x", "true")],
            [(("questions", 0, "id"), "question 'true' has a word of the rules for its id; give it another")],
        ),
        (
            [_question("a")],
            [_outcome("x", 'a == "yes"'), {**_outcome("y", 'a != "yes"'), "title": "X"}],
            [
                (
                    ("outcomes", 1, "title"),
                    "outcome 'y' has the title of 'x': nobody could tell them apart; reword one",
                )
            ],
        ),
        (
            [
                {
                    **_question("a"),
                    "kind": "number",
                    "unit": "rows",
                    "minimum": 100,
                    "reasons": {"< 50": "Few.", "> 50": "."},
                }
            ],
            [_outcome("x", "true")],
            [
                (
                    ("questions", 0, "reasons", "< 50"),
                    "no answer to 'a' is '< 50'; correct the reason, or minimum and maximum",
                )
            ],
        ),
    ],
)
def test_static_check_finds_what_is_wrong_with_the_rules(
    questions: list[Definition], outcomes: list[Definition], expected: list[tuple[tuple[str | int, ...], str]]
) -> None:
    assert check_flow(_checklist(questions, outcomes)) == tuple(FlowProblem(path, text) for path, text in expected)


def test_many_questions_stay_a_small_graph() -> None:
    names = [f"q{number}" for number in range(30)]
    checklist = _checklist(
        [_question(name) for name in names],
        [_outcome("go", 'q0 == "yes" && q29 == "yes"'), _outcome("wait", 'q0 != "yes" || q29 != "yes"')],
    )

    assert check_flow(checklist) == ()
    assert [outcome.id for outcome in evaluate(checklist, {"q3": "no"}).possible] == ["go", "wait"]
    assert sum(1 for _ in distinct_nodes(flow_of(checklist))) == 61  # 3^30 paths one by one would never end


def test_a_rule_may_count_answers() -> None:
    names = ["a", "b", "c"]
    two = '[a, b, c].filter(answer, answer == "yes").size() >= 2'
    checklist = _checklist([_question(name) for name in names], [_outcome("x", two), _outcome("y", f"!({two})")])

    assert check_flow(checklist) == ()
    assert [outcome.id for outcome in evaluate(checklist, {"a": "yes", "c": "yes"}).possible] == ["x"]


def test_rules_that_tie_too_many_answers_together_are_refused() -> None:
    names = [f"q{number}" for number in range(12)]
    count = "[" + ", ".join(names) + '].filter(answer, answer == "yes").size()'
    questions = [_question(name) for name in names]

    problems = check_flow(_checklist(questions, [_outcome("x", f"{count} > 6"), _outcome("y", f"{count} <= 6")]))

    assert [problem.message for problem in problems] == [
        "more than 50,000 different paths; split the checklist or its rules"
    ]


def test_names_written_twice_are_refused_with_their_line() -> None:
    text = "slug: a\nversion: 0\n"

    with pytest.raises(ContentError) as refused:
        read_yaml(text).parse(Checklist)

    assert refused.value.found[0] == (2, "version: Input should be greater than or equal to 1 (got 0)")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"questions": [_question("a"), _question("a")]}, "question 'a' is defined twice; rename or remove one"),
        (
            {"signing": [{"role": "viewer"}]},
            "viewer signs nothing; use one of ['data_steward', 'ml_lead', 'product_owner']",
        ),
        ({"questions": [{**_question("a"), "reasons": {"maybe": "x"}}]}, "reasons for ['maybe'] of question 'a'"),
    ],
)
def test_contradictory_definitions_are_refused(changes: Definition, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        _checklist(**{"questions": [_question("a")], "outcomes": [_outcome("x", "true")], **changes})


@pytest.mark.parametrize(
    "source", ["(" * 900 + "true" + ")" * 50, "x" * 1001, "a +", '__import__("os").system("id") == 1']
)
def test_hostile_rules_end_in_a_rule_error(source: str) -> None:
    with pytest.raises(RuleError):
        compile_rule(source).holds({"a": "yes"})


def test_answers_that_no_rule_names_share_their_paths() -> None:
    """Twelve questions that must all be answered "yes" have half a million paths, and few that a rule tells apart."""
    questions = [_question(f"q{number}") for number in range(12)]
    ready = " && ".join(f'{question["id"]} == "yes"' for question in questions)
    checklist = _checklist(questions, [_outcome("go", ready), _outcome("wait", f"!({ready})")])
    assert check_flow(checklist) == ()
    assert path_count(checklist) == 3**12
    answers = {question["id"]: "yes" for question in questions}
    ends = [evaluate(checklist, {**answers, "q7": answer}).outcome for answer in ("yes", "no", "unknown")]
    assert [outcome.id if outcome else "" for outcome in ends] == ["go", "wait", "wait"]


@pytest.mark.parametrize(
    ("rule", "tells_apart"),
    [
        ('a == "yes"', {"yes"}),
        ('"no" != a || a in ["unknown", ""]', {"no", "unknown", ""}),
        ('size([a].filter(x, x == "no")) == 1', None),
        ('a + "x" == "nox"', None),
        ('a in ["yes"] == (b == "no")', None),
        ("a == b", None),
    ],
)
def test_which_answers_rules_tell_apart(rule: str, tells_apart: set[str] | None) -> None:
    checklist = _checklist([_question("a"), _question("b")], [_outcome("go", rule)])
    assert _told_apart(checklist.questions[0], [compile_rule(rule)]) == tells_apart
