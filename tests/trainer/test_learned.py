"""What a row teaches: earlier answers by their weight, tools as the template renders them, never a token in silence."""

from pathlib import Path
from typing import Any

import pytest

from playbook.contracts.dataset import Example, Message, check_row
from playbook.contracts.run_spec import BaseModelRef, OverLength
from playbook.contracts.states import EndReason
from playbook.trainer.data import NumberedExample, prepare_rows
from playbook.trainer.errors import RunError
from playbook.trainer.model import load_tokenizer, resolve
from playbook.trainer.prompt import Encoded, PromptBuilder
from tests.trainer.conftest import TEMPLATE, TINY_ID, MakeRun, Train, events_of, row, sample_rows, warnings_of
from tests.trainer.test_preflight import preflight_of

END = 2
#: As TEMPLATE, with the tools before the first turn and the calls of a turn behind its text.
TOOL_TEMPLATE = (
    "{% if tools %}<|im_start|>tools\n{{ tools | tojson }}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}"
    "{% if m['tool_calls'] %}{{ m['tool_calls'] | tojson }}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOOLS = [{"type": "function", "function": {"name": "clock", "parameters": {}}}]
CALL = {"id": "1", "type": "function", "function": {"name": "clock", "arguments": "{}"}}


def example(*messages: dict[str, Any], **more: Any) -> Example:
    found = check_row(1, {"messages": list(messages), **more})
    assert isinstance(found, Example), found
    return found


def turn(role: str, content: str | None, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


@pytest.fixture
def builder(tiny_models_dir: Path) -> PromptBuilder:
    return PromptBuilder(load_tokenizer(resolve(BaseModelRef(id=TINY_ID), tiny_models_dir)), end_ids=frozenset({END}))


@pytest.fixture
def tool_builder(tiny_models_dir: Path) -> PromptBuilder:
    tokenizer = load_tokenizer(resolve(BaseModelRef(id=TINY_ID), tiny_models_dir))
    tokenizer.chat_template = TOOL_TEMPLATE
    return PromptBuilder(tokenizer, end_ids=frozenset({END}))


def learned(encoded: Encoded, builder: PromptBuilder) -> list[str]:
    return ["".join(builder.text_of(at) for at in encoded.input_ids[first:end]) for first, end in encoded.learned]


TURNS = [turn("user", "2+2?"), turn("assistant", "four"), turn("user", "3+3?"), turn("assistant", "six")]


def test_every_assistant_turn_is_learned_with_its_end(builder: PromptBuilder) -> None:
    encoded = builder.encode(example(*TURNS), where="line 1")

    assert learned(encoded, builder) == ["four<|im_end|>", "six<|im_end|>"]


def test_a_turn_of_weight_0_is_context_and_not_learned(builder: PromptBuilder) -> None:
    silent = [TURNS[0], TURNS[1] | {"weight": 0}, *TURNS[2:]]
    encoded = builder.encode(example(*silent), where="line 1")

    assert learned(encoded, builder) == ["six<|im_end|>"]
    assert encoded.input_ids == builder.encode(example(*TURNS), where="line 1").input_ids


def test_tools_and_calls_are_rendered_and_the_calls_are_learned(tool_builder: PromptBuilder) -> None:
    calling = example(turn("user", "what time?"), turn("assistant", None, tool_calls=[CALL]), tools=TOOLS)
    encoded = tool_builder.encode(calling, where="line 1")

    prompt = "".join(tool_builder.text_of(at) for at in encoded.input_ids[: encoded.prompt_length])
    assert prompt.startswith('<|im_start|>tools\n[{"type": "function", "function": {"name": "clock"')
    assert [
        text for text in learned(encoded, tool_builder) if '"name": "clock"' in text and text.endswith("<|im_end|>")
    ]


def test_evaluation_asks_with_the_tools_of_the_row(tool_builder: PromptBuilder) -> None:
    asked = example(turn("user", "what time?"), turn("assistant", "noon"), tools=TOOLS)
    encoded = tool_builder.encode(asked, where="line 1")

    ids = tool_builder.prompt_ids(asked.prompt, where="line 1", tools=asked.tools)
    assert ids == encoded.input_ids[: encoded.prompt_length]


def prepared(examples: list[Example], builder: PromptBuilder, *, max_length: int = 256) -> Any:
    numbered = [NumberedExample(line, one) for line, one in enumerate(examples, 1)]
    return prepare_rows(numbered, builder, name="train.jsonl", max_length=max_length, over_length=OverLength.TRUNCATE)


def test_rows_whose_tools_the_template_leaves_out_are_named(
    builder: PromptBuilder, tool_builder: PromptBuilder
) -> None:
    plain = example(turn("user", "hi"), turn("assistant", "ho"))
    tools = example(turn("user", "hi"), turn("assistant", "ho"), tools=TOOLS)
    calls = example(turn("user", "hi"), turn("assistant", "ho", tool_calls=[CALL]))

    assert prepared([plain, tools, calls], builder).unshown_lines == (2, 3)
    assert prepared([plain, tools, calls], tool_builder).unshown_lines == ()


def test_a_run_whose_template_leaves_tools_out_says_so_before_it_trains(make_run: MakeRun, train: Train) -> None:
    folder = make_run(train=[*sample_rows(3), row("hi", "ho") | {"tools": TOOLS}], training={"max_steps": 1})

    assert train(folder) == 0

    assert [text for text in warnings_of(folder) if text.startswith("train.jsonl: 1 row with tools")]
    kinds = [event.kind for event in events_of(folder)]
    assert kinds.index("log") < kinds.index("preflight")


def test_the_preflight_shows_which_turns_are_learned(make_run: MakeRun, train: Train) -> None:
    folder = make_run(train=[{"messages": TURNS}, *sample_rows(3)], training={"max_steps": 1})
    train(folder)

    shown = preflight_of(folder).samples[0]
    assert "".join(token.text for token in shown.tokens if token.learned) == "four<|im_end|>six<|im_end|>"


def test_a_cut_takes_words_from_what_is_read_and_never_from_what_is_learned(builder: PromptBuilder) -> None:
    long = example(
        turn("user", "u" * 60), turn("assistant", "a" * 90), turn("user", "v" * 30), turn("assistant", "end")
    )
    whole = len(builder.encode(long, where="").input_ids)

    (cut,) = prepared([long], builder, max_length=whole - 50).rows

    assert len(cut.encoded.input_ids) <= whole - 50
    assert learned(cut.encoded, builder) == ["a" * 90 + "<|im_end|>", "end<|im_end|>"]


def test_rows_whose_learned_part_alone_is_too_long_are_all_refused_rather_than_cut(builder: PromptBuilder) -> None:
    short, long = (example(turn("user", "u"), turn("assistant", "a" * count)) for count in (3, 200))

    told = r"train\.jsonl: 2 rows over 64 tokens in what is to be learned .* alone: line 1 \(\d+ tokens\), line 3 \("
    with pytest.raises(RunError, match=told) as caught:
        prepared([long, short, long], builder, max_length=64)
    assert caught.value.reason is EndReason.ROW_TOO_LONG


def test_padding_by_the_end_token_leaves_the_end_of_the_answer_learned(tiny_models_dir: Path) -> None:
    """pad == eos has cost many a mask its end of turn (trl issue 976): ours is made from ids, not from padding."""
    tokenizer = load_tokenizer(resolve(BaseModelRef(id=TINY_ID), tiny_models_dir))
    tokenizer.pad_token = tokenizer.eos_token
    assert tokenizer.pad_token_id == END
    assert tokenizer.chat_template == TEMPLATE
    builder = PromptBuilder(tokenizer, end_ids=frozenset({END}))

    encoded = builder.encode(
        Example(messages=(Message(role="user", content="hi"), Message(role="assistant", content="ho"))), where=""
    )

    assert learned(encoded, builder) == ["ho<|im_end|>"]


@pytest.mark.parametrize("excess", [1, 2, 3, 5])
def test_a_cut_within_a_character_takes_all_of_it_and_comes_to_an_end(builder: PromptBuilder, excess: int) -> None:
    """Half of one would be read as a stand-in that takes more tokens than the half did: the row never got shorter."""
    said = example(turn("user", "été"), turn("assistant", "summer"))
    most = len(builder.encode(said, where="line 1").input_ids) - excess

    cut = prepare_rows(
        [NumberedExample(1, said)], builder, name="train.jsonl", max_length=most, over_length=OverLength.TRUNCATE
    )

    encoded = cut.rows[0].encoded
    asked = Message(role="user", content={1: "ét", 2: "ét", 3: "é", 5: ""}[excess])
    assert encoded.input_ids[: encoded.prompt_length] == builder.prompt_ids([asked], where="line 1")
