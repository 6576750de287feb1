"""A chat template that asks for today's date is told the same day in every run: a row is one prompt for ever."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from playbook.contracts.events import Configured, Log
from playbook.contracts.run_spec import BaseModelRef
from playbook.trainer.day import asks_for_the_day, told_the_day
from playbook.trainer.errors import RunError
from playbook.trainer.model import load_tokenizer, resolve
from playbook.trainer.prompt import PromptBuilder
from tests.trainer import templates
from tests.trainer.conftest import TEMPLATE, TINY_ID, MakeRun, Train, events_of
from tests.trainer.test_preflight import preflight_of
from tests.trainer.test_prompt import EXAMPLE

#: As Llama 3.2 asks for it, and as gpt-oss does, within a macro.
ASKING = (
    "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    '{%- set date_string = strftime_now("%d %b %Y") %}{%- else %}{%- set date_string = "never" %}'
    "{%- endif %}{%- endif %}"
    '{%- macro today() -%}{{ strftime_now("%Y-%m-%d, %-m/%-d") }}{%- endmacro %}'
    "{{- '<|im_start|>system\nToday Date: ' + date_string + ', ' + today() + '<|im_end|>\n' }}"
)


def test_every_way_to_ask_gets_the_same_day(tiny_models_dir: Path) -> None:
    tokenizer = load_tokenizer(resolve(BaseModelRef(id=TINY_ID), tiny_models_dir))
    tokenizer.chat_template = ASKING + TEMPLATE
    builder = PromptBuilder(tokenizer, end_ids=frozenset({2}))

    asked = tokenizer.decode(builder.prompt_ids(EXAMPLE.prompt, where="line 1"))

    assert asked.startswith("<|im_start|>system\nToday Date: 26 Jul 2024, 2024-07-26, 7/26<|im_end|>\n")
    assert tokenizer.decode(builder.encode(EXAMPLE, where="line 1").input_ids).startswith(asked)
    assert builder.asks_for_the_day
    assert tokenizer.chat_template == ASKING + TEMPLATE, "the adapter is handed over with the template as it was"


@pytest.mark.parametrize("begins", ["\n", "  ", "{% if true %}\n", "x\n"])
def test_nothing_else_of_a_template_changes(tiny_models_dir: Path, begins: str) -> None:
    tokenizer = load_tokenizer(resolve(BaseModelRef(id=TINY_ID), tiny_models_dir))
    template = begins + ("{% endif %}" if "if" in begins else "") + TEMPLATE
    messages = [message.model_dump(exclude={"weight"}) for message in EXAMPLE.messages]

    plain, told = (
        tokenizer.apply_chat_template(messages, chat_template=one, tokenize=False)
        for one in (template, told_the_day(template))
    )

    assert plain == told
    assert not asks_for_the_day(template)


def test_a_line_that_cannot_be_read_keeps_its_number(tiny_models_dir: Path) -> None:
    tokenizer = load_tokenizer(resolve(BaseModelRef(id=TINY_ID), tiny_models_dir))
    tokenizer.chat_template = "{{ strftime_now('%Y') }}\n{% for message in %}"

    with pytest.raises(RunError, match=r"cannot be read \(line 2: "):
        PromptBuilder(tokenizer, end_ids=frozenset({2})).prompt_ids(EXAMPLE.prompt, where="line 1")


def test_a_run_says_and_records_which_day_it_was_told(make_run: MakeRun, train: Train, own_models_dir: Path) -> None:
    (own_models_dir / TINY_ID / "chat_template.jinja").write_text(ASKING + TEMPLATE)
    folder = make_run(training={"max_steps": 1})

    assert train(folder, models_dir=own_models_dir) == 0

    shown = "".join(token.text for token in preflight_of(folder).samples[0].tokens)
    assert "Today Date: 26 Jul 2024" in shown
    assert datetime.now().strftime("%d %b %Y") not in shown
    logs = [event.message for event in events_of(folder) if isinstance(event, Log)]
    assert [text for text in logs if "prints today's date. Here it is told 26 July 2024 always" in text]
    configured = next(event for event in events_of(folder) if isinstance(event, Configured))
    assert configured.effective["chat_template_day"] == "2024-07-26"
    adapter = folder / "artifacts" / "adapter"
    assert json.loads((adapter / "manifest.json").read_text())["chat_template_day"] == "2024-07-26"
    assert (adapter / "chat_template.jinja").read_text() == ASKING + TEMPLATE


def test_a_run_says_what_a_template_writes_before_the_last_answer(
    make_run: MakeRun, train: Train, own_models_dir: Path
) -> None:
    """Qwen3: an empty place for thoughts, which the model learns to write."""
    (own_models_dir / TINY_ID / "chat_template.jinja").write_text(templates.QWEN3)
    thinking, plain = make_run(name="thinking", training={"max_steps": 1}), make_run(training={"max_steps": 1})

    assert (train(thinking, models_dir=own_models_dir), train(plain)) == (0, 0)

    said = "writes '<think>\\n\\n</think>\\n\\n' before the last answer of a row. It is learned with that answer"
    found = [[event.message for event in events_of(run) if isinstance(event, Log)] for run in (thinking, plain)]
    assert [len([text for text in logs if said in text]) for logs in found] == [1, 0]
