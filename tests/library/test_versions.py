"""Two versions of a checklist: what differs, and which answers need another look."""

from playbook.library.definition import Checklist
from playbook.library.versions import changes_between_versions, second_looks
from tests.library.kinds import every_kind, outcome, question


def newer() -> Checklist:
    """`often` has another choice and wording, `rows` is gone, `owner` is new, and so is what follows from it."""
    old = every_kind()
    often = old.question("often").model_dump(mode="json")
    often |= {"text": "How often?", "choices": [{"id": "daily", "label": "Every day"}, {"id": "weekly", "label": "W"}]}
    goal = old.question("goal").model_dump(mode="json") | {"why": "Said better."}
    return Checklist.model_validate(
        old.model_dump(mode="json")
        | {
            "version": 2,
            "review_in": "30d",
            "questions": [goal, often, question("owner")],
            "outcomes": [outcome("tune", 'owner == "yes"'), outcome("collect", 'owner != "yes"', "wait")],
        }
    )


def test_every_difference_is_named_with_what_stood_and_stands_there() -> None:
    found = [(c.kind, c.about, c.what, c.before, c.after) for c in changes_between_versions(every_kind(), newer())]

    assert found == [
        ("changed", "", "review date", "90 days", "30 days"),
        ("changed", "Is it goal?", "why it is asked", "It matters.", "Said better."),
        ("changed", "How often?", "question", "Is it often?", "How often?"),
        ("changed", "How often?", "choices", "Every day, Once a year", "Every day, W"),
        ("added", "Is it owner?", "question", "", "Is it owner?"),
        ("removed", "Is it rows?", "question", "Is it rows?", ""),
        ("removed", "Is it fits?", "question", "Is it fits?", ""),
        ("changed", "Tune", "when it is recommended", 'fits in ["no", "unknown"]', 'owner == "yes"'),
        (
            "changed",
            "Collect",
            "when it is recommended",
            'rows < 50 || rows == "unknown" || often != "daily"',
            'owner != "yes"',
        ),
        ("removed", "Prompt", "outcome", "Prompt", ""),
    ]


def test_the_same_version_differs_in_nothing() -> None:
    assert changes_between_versions(every_kind(), every_kind()) == ()
    assert second_looks(every_kind(), every_kind(), {"goal": "x", "often": "daily", "rows": "3"}) == ()


def test_answers_that_changed_their_meaning_are_to_be_looked_at() -> None:
    answers = {"goal": "x", "often": "rarely", "rows": "30"}

    assert [(look.question.id, look.why) for look in second_looks(every_kind(), newer(), answers)] == [
        ("often", "“Once a year” is no answer any more."),
        ("rows", "The question is gone; the answer is kept in the history."),
        ("owner", "The question is new."),
    ]
    assert [
        (look.question.id, look.why) for look in second_looks(every_kind(), newer(), {"goal": "x", "often": "daily"})
    ] == [("often", "Changed: question, choices."), ("owner", "The question is new.")]
