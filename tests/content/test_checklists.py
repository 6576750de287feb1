"""Every shipped checklist, and the full decision table of "Should we fine-tune?"."""

from pathlib import Path

import pytest

from playbook.library.articles import Article
from playbook.library.checklist import decision_table, evaluate
from playbook.library.content import load_library
from playbook.library.definition import Checklist
from playbook.library.markdown import render

LIBRARY = load_library(Path(__file__).parent.parent.parent / "content")
QUESTIONS = ("prompting", "examples", "missing_information", "behaviour", "maintain")

#: Answers in the order of QUESTIONS; "" where the path no longer asks.
TABLE = {
    ("no", "", "", "", ""): "improve_prompt",
    ("unknown", "", "", "", ""): "improve_prompt",
    ("yes", "no", "", "", ""): "improve_prompt",
    ("yes", "unknown", "", "", ""): "improve_prompt",
    ("yes", "yes", "unknown", "", ""): "improve_prompt",
    ("yes", "yes", "no", "unknown", ""): "improve_prompt",
    ("yes", "yes", "no", "no", ""): "stop",
    ("yes", "yes", "no", "yes", "no"): "stop",
    ("yes", "yes", "no", "yes", "unknown"): "stop",
    ("yes", "yes", "no", "yes", "yes"): "tune",
    ("yes", "yes", "yes", "no", ""): "retrieve",
    ("yes", "yes", "yes", "unknown", ""): "retrieve",
    ("yes", "yes", "yes", "yes", "no"): "retrieve",
    ("yes", "yes", "yes", "yes", "unknown"): "retrieve",
    ("yes", "yes", "yes", "yes", "yes"): "retrieve_and_tune",
}


@pytest.fixture
def should_we() -> Checklist:
    return LIBRARY.checklists["should-we-fine-tune"]


def test_the_decision_table_is_the_one_agreed(should_we: Checklist) -> None:
    found = {
        tuple(dict(path.answers).get(question, "") for question in QUESTIONS): path.outcome_id
        for path in decision_table(should_we)
    }

    assert found == TABLE


@pytest.mark.parametrize(("row", "outcome"), TABLE.items(), ids=lambda value: "-".join(value) if value else None)
def test_each_path_evaluates_to_its_outcome(should_we: Checklist, row: tuple[str, ...], outcome: str) -> None:
    answers = {question: answer for question, answer in zip(QUESTIONS, row, strict=True) if answer}

    evaluation = evaluate(should_we, answers)

    assert evaluation.outcome == should_we.outcome(outcome)
    assert [reason.question_id for reason in evaluation.reasons] == list(answers)
    assert [unknown.question.id for unknown in evaluation.unknowns] == [q for q, a in answers.items() if a == "unknown"]


def test_it_asks_the_claims_of_the_framework(should_we: Checklist) -> None:
    framework = {"C38", "C39", "C40", "C41", "C42"}

    assert [sorted(framework & set(question.claims)) for question in should_we.questions] == [
        ["C38"],
        ["C39"],
        ["C40"],
        ["C41"],
        ["C42"],
    ]


def test_two_roles_sign_and_the_criterion_is_fixed(should_we: Checklist) -> None:
    assert [(signing.role.value, signing.quorum) for signing in should_we.signing] == [
        ("ml_lead", 1),
        ("product_owner", 1),
    ]
    assert should_we.criterion.model_dump(mode="json") == {
        "metric": "exact_match",
        "arm": "lora",
        "threshold": 0.8,
        "split": "test",
    }


@pytest.mark.parametrize("checklist", LIBRARY.checklists.values(), ids=lambda checklist: checklist.slug)
def test_each_question_has_reasons_and_an_article_with_its_anchor(checklist: Checklist) -> None:
    for question in checklist.questions:
        assert set(question.reasons) == set(question.answers), question.id
        key, _, anchor = question.article.partition("#")
        article = LIBRARY.articles[key]
        assert isinstance(article, Article)
        assert not anchor or anchor in {h.id for h in render(article, lambda path: path).headings}, question.article
