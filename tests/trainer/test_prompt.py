"""The mask and the prompt, token by token, on the real chat format."""

from pathlib import Path
from typing import Any

import pytest

from playbook.contracts.asking import few_shot_messages
from playbook.contracts.dataset import Example, Message
from playbook.contracts.run_spec import BaseModelRef
from playbook.contracts.states import EndReason
from playbook.trainer.errors import RunError
from playbook.trainer.model import load_tokenizer, read_limits, resolve
from playbook.trainer.prompt import PromptBuilder
from playbook.trainer.sample_model import SAMPLE_MODEL_ID
from tests.trainer.conftest import TINY_ID

EXAMPLE = Example(
    messages=(
        Message(role="system", content="Be brief."),
        Message(role="user", content="2 + 2?"),
        Message(role="assistant", content="4"),
    )
)
END = 2


@pytest.fixture
def tokenizer(tiny_models_dir: Path) -> Any:
    return load_tokenizer(resolve(BaseModelRef(id=TINY_ID), tiny_models_dir))


def test_only_the_answer_and_its_end_of_turn_are_learned(tokenizer: Any) -> None:
    encoded = PromptBuilder(tokenizer, end_ids=frozenset({END})).encode(EXAMPLE, where="line 1")

    prompt, learned = encoded.input_ids[: encoded.prompt_length], encoded.input_ids[encoded.prompt_length :]
    assert tokenizer.decode(prompt) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n2 + 2?<|im_end|>\n<|im_start|>assistant\n"
    )
    assert tokenizer.decode(learned) == "4<|im_end|>"
    assert (learned[-1], encoded.supervised_tokens) == (END, 2)


def test_evaluation_asks_with_the_very_ids_of_training(tokenizer: Any) -> None:
    builder = PromptBuilder(tokenizer, end_ids=frozenset({END}))
    encoded = builder.encode(EXAMPLE, where="line 1")

    assert builder.prompt_ids(EXAMPLE.prompt, where="line 1") == encoded.input_ids[: encoded.prompt_length]


def test_a_template_without_end_of_turn_gets_one(tokenizer: Any) -> None:
    tokenizer.chat_template = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}" + (
        "{% if add_generation_prompt %}assistant: {% endif %}"
    )
    encoded = PromptBuilder(tokenizer, end_ids=frozenset({END})).encode(EXAMPLE, where="line 1")

    assert tokenizer.decode(encoded.input_ids[encoded.prompt_length :]) == "4\n<|im_end|>"


@pytest.mark.parametrize(
    ("template", "reason", "words"),
    [
        ("<|im_start|><|im_start|>{{ messages[0]['content'] }}", EndReason.BASE_MODEL_UNREADABLE, "twice"),
        ("{{ messages | length }}", EndReason.BASE_MODEL_UNREADABLE, "differently"),
        ("{{ raise_exception('no system role') }}", EndReason.INVALID_DATASET, "no system role"),
        ("{{ messages[0]['content'] }}", EndReason.NOTHING_TO_LEARN, "no token of the answer '4'"),
    ],
)
def test_a_template_that_would_train_the_wrong_thing_is_refused(
    tokenizer: Any, template: str, reason: EndReason, words: str
) -> None:
    tokenizer.chat_template = template

    with pytest.raises(RunError, match=words) as caught:
        PromptBuilder(tokenizer, end_ids=frozenset({END})).encode(EXAMPLE, where="train.jsonl, line 7")

    assert caught.value.reason is reason
    assert "train.jsonl, line 7" in caught.value.message


TURNS = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
REASONING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}<think>\n\n</think>\n\n{% endif %}"
    "{{ m.content }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
INSTRUCTIONS = (
    "{% for m in messages %}{% if m.role == 'assistant' %} {{ m.content }}<|im_end|>"
    "{% else %}[INST] {{ m.content }} [/INST]{% endif %}{% endfor %}"
)


@pytest.mark.parametrize(
    ("template", "opening", "prompt_ends", "learned"),
    [
        (TURNS, "<|im_start|>assistant\n", "<|im_start|>assistant\n", "4<|im_end|>"),
        (REASONING, "<think>\n\n</think>\n\n", "<|im_start|>assistant\n", "<think>\n\n</think>\n\n4<|im_end|>"),
        (INSTRUCTIONS, " ", "[INST] 2 + 2? [/INST]", " 4<|im_end|>"),
    ],
    ids=["no generation prompt", "empty reasoning", "no header"],
)
def test_what_a_template_writes_before_every_answer_is_known_and_a_header_is_asked_with(
    tokenizer: Any, template: str, opening: str, prompt_ends: str, learned: str
) -> None:
    tokenizer.chat_template = template
    builder = PromptBuilder(tokenizer, end_ids=frozenset({END}))
    encoded = builder.encode(EXAMPLE, where="line 1")

    assert builder.opening == opening
    assert tokenizer.decode(encoded.input_ids[: encoded.prompt_length]).endswith(prompt_ends)
    assert tokenizer.decode(encoded.input_ids[encoded.prompt_length :]) == learned
    assert builder.prompt_ids(EXAMPLE.prompt, where="line 1") == encoded.input_ids[: encoded.prompt_length]


def test_a_header_that_no_prompt_asks_for_is_in_no_earlier_turn_learned(tokenizer: Any) -> None:
    tokenizer.chat_template = TURNS
    asked_twice = Example(messages=(*EXAMPLE.messages, *EXAMPLE.messages[1:]))
    encoded = PromptBuilder(tokenizer, end_ids=frozenset({END})).encode(asked_twice, where="line 1")

    assert [tokenizer.decode(encoded.input_ids[start:end]) for start, end in encoded.learned] == ["4<|im_end|>"] * 2


def test_a_base_model_without_chat_template_or_eos_is_refused(tokenizer: Any) -> None:
    with pytest.raises(RunError, match="names no eos token"):
        PromptBuilder(tokenizer, end_ids=frozenset())
    tokenizer.chat_template = None
    with pytest.raises(RunError, match="has no chat template"):
        PromptBuilder(tokenizer, end_ids=frozenset({END}))


def test_few_shot_prompts_show_solved_examples_after_one_system_message() -> None:
    shown = few_shot_messages([EXAMPLE, EXAMPLE], EXAMPLE)

    assert [message.role for message in shown] == ["system", "user", "assistant", "user", "assistant", "user"]


@pytest.mark.model
def test_the_sample_model_ends_turns_and_pads_with_different_tokens(sample_model: Path) -> None:
    source = resolve(BaseModelRef(id=SAMPLE_MODEL_ID), sample_model)
    tokenizer = load_tokenizer(source)
    context_length, end_ids = read_limits(source, tokenizer)

    encoded = PromptBuilder(tokenizer, end_ids=end_ids).encode(EXAMPLE, where="line 1")

    assert (context_length, end_ids, tokenizer.pad_token_id) == (8192, frozenset({2}), 0)
    assert tokenizer.decode(encoded.input_ids) == (
        "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n2 + 2?<|im_end|>\n"
        "<|im_start|>assistant\n4<|im_end|>"
    )
    assert len(tokenizer("48213", add_special_tokens=False).input_ids) == 5
