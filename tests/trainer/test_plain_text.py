"""Rows of plain text: an answer that nothing precedes. Templates are asked for no empty conversation."""

from pathlib import Path
from typing import Any

import pytest

from playbook.contracts.dataset import Example, Message
from playbook.contracts.run_spec import BaseModelRef
from playbook.contracts.states import EndReason
from playbook.trainer.errors import RunError
from playbook.trainer.model import load_tokenizer, resolve
from playbook.trainer.prompt import PromptBuilder
from tests.trainer.conftest import TEMPLATE, TINY_ID, MakeRun, Train, report_of

TEXT = Example(messages=(Message(role="assistant", content="Once upon a time."),))
#: As the sample model's: its own system message where a row has none.
OWN_SYSTEM = "<|im_start|>system\nBe brief.<|im_end|>\n" + TEMPLATE


@pytest.fixture
def tokenizer(tiny_models_dir: Path) -> Any:
    return load_tokenizer(resolve(BaseModelRef(id=TINY_ID), tiny_models_dir))


@pytest.mark.parametrize("template", [TEMPLATE, OWN_SYSTEM])
def test_a_text_alone_is_learned_behind_what_the_template_begins_with(tokenizer: Any, template: str) -> None:
    tokenizer.chat_template = template
    builder = PromptBuilder(tokenizer, end_ids=frozenset({2}))

    encoded = builder.encode(TEXT, where="line 1")

    begin, learned = encoded.input_ids[: encoded.prompt_length], encoded.input_ids[encoded.prompt_length :]
    assert tokenizer.decode(begin) == template.removesuffix(TEMPLATE) + "<|im_start|>assistant\n"
    assert tokenizer.decode(learned) == "Once upon a time.<|im_end|>"
    assert builder.prompt_ids((), where="line 1") == begin


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{% if messages[0].role != 'user' %}{{ raise_exception('user first') }}{% endif %}", "name the field that is"),
        ("{% for m in messages %}{{ m.content }}{% endfor %}", "nothing precedes the answer; give the row a prompt"),
    ],
)
def test_a_template_that_begins_with_nothing_or_the_user_asks_for_a_prompt(
    tokenizer: Any, template: str, words: str
) -> None:
    tokenizer.chat_template = template
    with pytest.raises(RunError, match=words) as caught:
        PromptBuilder(tokenizer, end_ids=frozenset({2})).encode(TEXT, where="line 1")
    assert caught.value.reason is EndReason.INVALID_DATASET


def test_texts_alone_are_trained_and_measured(make_run: MakeRun, train: Train) -> None:
    rows = [{"messages": [{"role": "assistant", "content": f"Once upon a time {n}."}]} for n in range(9)]
    folder = make_run(
        train=rows[:5],
        validation=rows[5:7],
        test=rows[7:],
        training={"max_steps": 1},
        evaluation={"arms": ["zero_shot", "few_shot", "lora"]},
    )
    assert train(folder) == 0
    assert {len(arm.items) for arm in report_of(folder).arms} == {2}
