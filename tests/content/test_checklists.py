"""Every shipped checklist, with its full decision table.

`PYTHONPATH=. python tests/content/test_checklists.py` prints the tables as the rules have them now.
"""

from pathlib import Path

import pytest

from playbook.library.checklist import decision_table, evaluate, flips
from playbook.library.content import load_library
from playbook.library.definition import UNKNOWN, Checklist

LIBRARY = load_library(Path(__file__).parent.parent.parent / "content")

#: The questions in their order, then each path: the answers given along it, and where it ends.
TABLES = {
    "should-we-fine-tune": """
        prompting examples enough missing_information behaviour maintain
        yes yes yes → keep_prompt
        yes yes no yes yes yes → retrieve_and_tune
        yes yes no yes yes no → retrieve
        yes yes no yes yes unknown → retrieve
        yes yes no yes no → retrieve
        yes yes no yes unknown → retrieve
        yes yes no no yes yes → tune
        yes yes no no yes no → stop
        yes yes no no yes unknown → stop
        yes yes no no no → stop
        yes yes no no unknown → improve_prompt
        yes yes no unknown → improve_prompt
        yes yes unknown → improve_prompt
        yes no → improve_prompt
        yes unknown → improve_prompt
        no → improve_prompt
        unknown → improve_prompt
    """,
    "is-the-dataset-ready": """
        rights agreement real split card enough
        yes yes yes yes yes yes → ready
        yes yes yes yes yes no → collect
        yes yes yes yes yes unknown → collect
        yes yes yes yes no → repair
        yes yes yes yes unknown → repair
        yes yes yes no → repair
        yes yes yes unknown → repair
        yes yes no → collect
        yes yes unknown → collect
        yes no → repair
        yes unknown → repair
        no → stop
        unknown → repair
    """,
    "is-the-evaluation-ready": """
        metric rows baseline criterion elsewhere
        yes yes yes yes yes → ready
        yes yes yes yes no → not_ready
        yes yes yes yes unknown → not_ready
        yes yes yes no → not_ready
        yes yes yes unknown → not_ready
        yes yes no → not_ready
        yes yes unknown → not_ready
        yes no yes yes yes → indicative
        yes no yes yes no → not_ready
        yes no yes yes unknown → not_ready
        yes no yes no → not_ready
        yes no yes unknown → not_ready
        yes no no → not_ready
        yes no unknown → not_ready
        yes unknown → not_ready
        no → not_ready
        unknown → not_ready
    """,
    "ready-to-launch": """
        decided base small budget watcher
        yes yes yes yes yes → launch
        yes yes yes yes no → wait
        yes yes yes yes unknown → wait
        yes yes yes no → do_not
        yes yes yes unknown → wait
        yes yes no → small_run
        yes yes unknown → small_run
        yes no → wait
        yes unknown → wait
        no → wait
        unknown → wait
    """,
    "ready-to-put-it-to-use": """
        met elsewhere artifact rollback owner groups
        yes yes yes yes yes yes → put_to_use
        yes yes yes yes yes no → do_not_use
        yes yes yes yes yes unknown → trial
        yes yes yes yes no → not_yet
        yes yes yes yes unknown → not_yet
        yes yes yes no → not_yet
        yes yes yes unknown → not_yet
        yes yes no → not_yet
        yes yes unknown → not_yet
        yes no → do_not_use
        yes unknown → not_yet
        no → do_not_use
        unknown → not_yet
    """,
    "keep-retrain-or-retire": """
        needed owner measured prompt holds base
        yes yes yes yes → back_to_prompt
        yes yes yes no yes yes → keep
        yes yes yes no yes no → retrain
        yes yes yes no yes unknown → find_out
        yes yes yes no no → retrain
        yes yes yes no unknown → find_out
        yes yes yes unknown → find_out
        yes yes no → find_out
        yes yes unknown → find_out
        yes no → retire
        yes unknown → find_out
        no → retire
        unknown → find_out
    """,
}

each_checklist = pytest.mark.parametrize("checklist", LIBRARY.checklists.values(), ids=lambda checklist: checklist.slug)


def table_of(checklist: Checklist) -> list[str]:
    """Return the decision table of a checklist, a line a path."""
    questions = " ".join(question.id for question in checklist.questions)
    paths = (
        f"{' '.join(answer for _, answer in path.answers)} → {path.outcome_id}" for path in decision_table(checklist)
    )
    return [questions, *paths]


def test_all_six_are_shipped() -> None:
    assert set(LIBRARY.checklists) == set(TABLES)


@each_checklist
def test_the_decision_table_is_the_one_agreed(checklist: Checklist) -> None:
    assert table_of(checklist) == [line.strip() for line in TABLES[checklist.slug].strip().splitlines()]


@each_checklist
def test_each_path_evaluates_to_its_one_outcome(checklist: Checklist) -> None:
    for path in decision_table(checklist):
        answers = dict(path.answers)
        evaluation = evaluate(checklist, answers)

        assert evaluation.outcome == checklist.outcome(path.outcome_id)
        assert evaluation.possible == (evaluation.outcome,)
        assert [reason.question_id for reason in evaluation.reasons] == list(answers)
        unknown = [question for question, answer in answers.items() if answer == UNKNOWN]
        assert [open_unknown.question.id for open_unknown in evaluation.unknowns] == unknown


@each_checklist
def test_what_is_said_to_flip_the_advice_does_and_nothing_else_does(checklist: Checklist) -> None:
    """Against every other answer to each question of each path."""
    for path in decision_table(checklist):
        answers = dict(path.answers)
        changed = {
            (name, other): evaluate(checklist, {**answers, name: other}).possible
            for name, answer in answers.items()
            for other in checklist.question(name).answers
            if other != answer
        }
        now = checklist.outcome(path.outcome_id)

        assert {(flip.question.id, flip.answer): flip.outcomes for flip in flips(checklist, answers)} == {
            change: outcomes for change, outcomes in changed.items() if now not in outcomes
        }


@each_checklist
def test_what_is_unknown_never_leads_to_a_go(checklist: Checklist) -> None:
    for path in decision_table(checklist):
        if UNKNOWN in dict(path.answers).values():
            assert checklist.outcome(path.outcome_id).tone != "go", path


@each_checklist
def test_each_question_has_reasons_and_an_article_with_its_anchor(checklist: Checklist) -> None:
    for question in checklist.questions:
        assert set(question.reasons) == set(question.answers), question.id
        key, _, anchor = question.article.partition("#")
        assert not anchor or anchor in LIBRARY.articles[key].outline.anchors, question.article


@each_checklist
def test_each_question_says_which_measurement_answers_it(checklist: Checklist) -> None:
    """The format has no field for it, so the evidence says it in words: which result, or that none can."""
    silent = [
        question.id
        for question in checklist.questions
        if "Measured: " not in question.evidence and "No measurement answers this" not in question.evidence
    ]

    assert silent == []


@each_checklist
def test_each_checklist_is_offered_in_an_article(checklist: Checklist) -> None:
    blocks = [
        block.argument.strip()
        for article in LIBRARY.articles.values()
        for block in article.outline.blocks
        if block.kind == "checklist"
    ]
    links = [mention.href for article in LIBRARY.articles.values() for mention in article.outline.mentions]

    assert checklist.slug in blocks or any(link.endswith(f"checklists/{checklist.slug}.yaml") for link in links)


@each_checklist
def test_sentences_are_short(checklist: Checklist) -> None:
    texts = [checklist.summary, *(outcome.advice for outcome in checklist.outcomes)]
    for question in checklist.questions:
        texts += [question.why, question.evidence, question.settles, *question.reasons.values()]

    assert [part for text in texts for part in text.replace(": ", ". ").split(". ") if len(part.split()) > 35] == []


def test_should_we_fine_tune_asks_the_claims_of_the_framework() -> None:
    framework = {"C38", "C39", "C40", "C41", "C42"}
    questions = LIBRARY.checklists["should-we-fine-tune"].questions

    assert [sorted(framework & set(question.claims)) for question in questions] == [
        ["C38"],
        ["C39"],
        [],  # whether that is enough: what the others were asked for
        ["C40"],
        ["C41"],
        ["C42"],
    ]


def test_the_six_outcomes_of_should_we_fine_tune() -> None:
    outcomes = LIBRARY.checklists["should-we-fine-tune"].outcomes

    assert [outcome.id for outcome in outcomes] == [
        "improve_prompt",
        "keep_prompt",
        "retrieve",
        "tune",
        "retrieve_and_tune",
        "stop",
    ]


def test_should_we_fine_tune_names_what_would_make_the_prompt_enough() -> None:
    """ "If few-shot reached 0.80 the advice would be: keep the prompt"."""
    checklist = LIBRARY.checklists["should-we-fine-tune"]
    answers = dict(next(path.answers for path in decision_table(checklist) if path.outcome_id == "tune"))

    assert [
        (flip.condition, [outcome.title for outcome in flip.outcomes])
        for flip in flips(checklist, answers)
        if flip.question.id == "enough" and flip.answer == "yes"
    ] == [("exact match of few-shot reached 0.80", ["Keep the prompt"])]


#: The digest of each version that was ever shipped: assessments and signatures name it. A change needs a new version.
SHIPPED = {
    "is-the-dataset-ready": {
        1: "9c24c5e7af9840b16e7b3b6834a53ef99c090a16a391a445424a84e8c1e8f2e1",
    },
    "is-the-evaluation-ready": {
        1: "84e33ca0a0deaf0a71272c6341e8b970f9490f7f947f3e9235bc5f483d664770",
    },
    "keep-retrain-or-retire": {
        1: "e804143aa8b3e65c1b6a9976dd2514a2445cab6def4dadd139d7ddac44d90206",
        2: "1ac9b90e192b4cd562948c278d22ad4ec981290a5f0aa3dd9ade3cd574298ee0",
    },
    "ready-to-launch": {
        1: "87a9886f8b4bc5dfc67540bf5bea5c08eccb67bdfd24b4b146259b6fac42bcf9",
    },
    "ready-to-put-it-to-use": {
        1: "fffdf7dff4759f8a2507e0ad25865dc65ebda91b9d39d27a6907ac2a0651df3a",
        2: "eabb02b330ed007fb655a136a16720f84be991571c01063c6a1324f5feae4e3d",
    },
    "should-we-fine-tune": {
        1: "71aa2d3aff73da3a9abe69c6c6713e0eb9b8f8bac6765d340ef81ff990646f9f",
        2: "8f28f1cb491928a90f749011a2bddec998d42c0152c968c28fa4bcab00362d6a",
    },
}


@each_checklist
def test_a_checklist_that_changes_gets_a_new_version(checklist: Checklist) -> None:
    assert SHIPPED[checklist.slug][checklist.version] == checklist.digest
    assert list(SHIPPED[checklist.slug]) == list(range(1, checklist.version + 1))


@each_checklist
def test_measurements_are_asked_for_where_one_can_answer(checklist: Checklist) -> None:
    """Each checklist that is about a result of the model itself can be answered by one."""
    measured = {question.id: question.measured.text for question in checklist.questions if question.measured}

    assert measured == {
        "should-we-fine-tune": {"enough": "exact match of few-shot ≥ 0.80"},
        "ready-to-put-it-to-use": {"met": "exact match of LoRA ≥ 0.80"},
        "keep-retrain-or-retire": {
            "prompt": "exact match of few-shot ≥ 0.80",
            "holds": "exact match of LoRA ≥ 0.80",
        },
    }.get(checklist.slug, {})


@each_checklist
def test_two_roles_sign_and_the_criterion_is_fixed(checklist: Checklist) -> None:
    assert len(checklist.signing) >= 2
    assert checklist.criterion.model_dump(mode="json") == {
        "metric": "exact_match",
        "arm": "lora",
        "threshold": 0.8,
        "split": "test",
    }


if __name__ == "__main__":
    for shipped in LIBRARY.checklists.values():
        print(shipped.slug, *table_of(shipped), sep="\n    ")
