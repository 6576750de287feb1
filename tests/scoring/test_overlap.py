from unicodedata import normalize

from playbook.contracts.dataset import Example, Message
from playbook.contracts.report import Overlap
from playbook.scoring.overlap import measure_overlap


def example(text: str, template: str | None = None) -> Example:
    return Example(
        messages=(Message(role="user", content=text), Message(role="assistant", content="answer")),
        metadata={} if template is None else {"template": template},
    )


def test_overlap_counts_rows_and_templates_that_both_splits_have() -> None:
    train = [example("one", "a"), example("two", "b")]
    test = [example("ONE\n", "a"), example("three", "a"), example("four", "c")]

    assert measure_overlap(train, test) == Overlap(shared_rows=1, shared_templates=1, test_templates=2)


def test_overlap_of_rows_without_templates_says_that_it_does_not_know() -> None:
    overlap = measure_overlap([example("one")], [example("two", "a")])

    assert overlap == Overlap(shared_rows=0, shared_templates=None, test_templates=1)


def test_overlap_knows_letters_whose_marks_stand_apart_and_tells_calls_apart() -> None:
    def calling(city: str) -> Example:
        call = {"function": {"name": "weather", "arguments": {"city": city}}}
        return Example(
            messages=(
                Message(role="user", content="And there?"),
                Message(role="assistant", content="", tool_calls=(call,)),
                Message(role="tool", content="ok"),
                Message(role="assistant", content="It rains."),
            )
        )

    train = [example("un café ?"), calling("Rome")]
    assert measure_overlap(train, [example(normalize("NFD", "un café ?")), calling("Oslo")]).shared_rows == 1
    assert measure_overlap(train, [calling("Rome")]).shared_rows == 1
