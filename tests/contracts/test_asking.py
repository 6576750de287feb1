"""What stands around a row: the prompt's system message and template, passages; the same wherever a row is shown."""

import pytest

from playbook.contracts.asking import Asker, question_of
from playbook.contracts.dataset import Example, Message
from playbook.contracts.prompting import PromptSettings, RetrievalSettings, WrittenExample


def make_example(*turns: tuple[str, str]) -> Example:
    return Example.model_validate({"messages": [{"role": role, "content": content} for role, content in turns]})


ROW = make_example(("system", "Be brief."), ("user", "2 + 2?"), ("assistant", "4"))


def shown(example: Example) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in example.messages]


def test_a_row_stays_as_it_is_without_a_prompt() -> None:
    assert Asker(PromptSettings(), RetrievalSettings()).asked(ROW) == ROW


@pytest.mark.parametrize(
    ("prompt", "expected"),
    [
        (PromptSettings(system="Count."), [("system", "Count."), ("user", "2 + 2?")]),
        (PromptSettings(system=""), [("user", "2 + 2?")]),
        (PromptSettings(user_template="Sum: {input} {x}"), [("system", "Be brief."), ("user", "Sum: 2 + 2? {x}")]),
    ],
)
def test_the_prompt_is_put_around_the_row(prompt: PromptSettings, expected: list[tuple[str, str]]) -> None:
    assert shown(Asker(prompt, RetrievalSettings()).asked(ROW)) == [*expected, ("assistant", "4")]


def test_a_row_without_a_system_message_gets_that_of_the_prompt() -> None:
    asked = Asker(PromptSettings(system="Count."), RetrievalSettings()).asked(
        make_example(("user", "a"), ("assistant", "b"))
    )
    assert shown(asked) == [("system", "Count."), ("user", "a"), ("assistant", "b")]


def test_only_the_last_thing_the_user_says_is_put_into_the_template() -> None:
    row = make_example(("user", "hi"), ("assistant", "hello"), ("user", "2 + 2?"), ("assistant", "4"))
    asked = Asker(PromptSettings(user_template="<{input}>"), RetrievalSettings()).asked(row)
    assert shown(asked) == [("user", "hi"), ("assistant", "hello"), ("user", "<2 + 2?>"), ("assistant", "4")]
    assert question_of(row) == "2 + 2?"


def test_passages_are_found_by_the_row_and_put_around_the_templated_input() -> None:
    searched: list[str] = []

    def find(question: str) -> list[str]:
        searched.append(question)
        return ["One.", "Two says {input}."]

    retrieval = RetrievalSettings(passages_template="{passages}\n---\n{input}")
    asker = Asker(PromptSettings(user_template="Q: {input}"), retrieval, find)
    asked = asker.asked(make_example(("user", "what is {passages}?"), ("assistant", "x")), retrieve=True)

    assert asked.messages[0].content == "One.\n\nTwo says {input}.\n---\nQ: what is {passages}?"
    assert searched == ["what is {passages}?"]
    assert asker.asked(ROW).messages[1].content == "Q: 2 + 2?"


def test_a_question_that_nothing_was_found_for_is_asked_without_passages() -> None:
    asker = Asker(PromptSettings(), RetrievalSettings(), lambda _: [])
    assert shown(asker.asked(ROW, retrieve=True)) == shown(ROW)


def test_a_row_that_is_an_answer_alone_is_shown_as_it_is() -> None:
    row = make_example(("assistant", "Good morning."))
    assert shown(Asker(PromptSettings(user_template="<{input}>"), RetrievalSettings()).asked(row)) == shown(row)
    assert question_of(row) is None


def test_a_written_example_is_shown_like_any_row() -> None:
    asker = Asker(PromptSettings(user_template="Q: {input}"), RetrievalSettings())
    assert asker.written(WrittenExample(user="1 + 1?", assistant="2")).messages == (
        Message(role="user", content="Q: 1 + 1?"),
        Message(role="assistant", content="2"),
    )
