"""What is learned under the chat templates that people bring: exactly what the assistant says there, each turn with its
end, and a refusal that says what to change where that cannot be told."""

import json
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from playbook.contracts.dataset import Example
from playbook.contracts.states import EndReason
from playbook.trainer.errors import RunError
from playbook.trainer.prompt import PromptBuilder
from tests.trainer import templates
from tests.trainer.conftest import MakeRun, Train, sample_rows, warnings_of
from tests.trainer.test_learned import CALL, TOOLS, example, turn
from tests.trainer.test_preflight import preflight_of

CHATML_TOKENS = ["<|im_end|>", "<|im_start|>", "<|endoftext|>"]
LLAMA_TOKENS = ["<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"]
GEMMA_TOKENS = ["<eos>", "<end_of_turn>", "<start_of_turn>"]
PHI_TOKENS = ["<|endoftext|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
DEEPSEEK_TOKENS = ["<｜end▁of▁sentence｜>", "<｜User｜>", "<｜Assistant｜>"]
#: Template, special tokens (the first is eos), and how many of those end a turn.
MODELS = {
    "chatml": (templates.CHATML, CHATML_TOKENS, 1),
    "qwen3": (templates.QWEN3, CHATML_TOKENS, 1),
    "qwen3 thinking": (templates.QWEN3_THINKING, CHATML_TOKENS, 1),
    "llama 3": (templates.LLAMA3, LLAMA_TOKENS, 1),
    "gemma": (templates.GEMMA, GEMMA_TOKENS, 2),
    "mistral": (templates.MISTRAL, ["</s>", "[INST]", "[/INST]"], 1),
    "phi 3": (templates.PHI3, PHI_TOKENS, 2),
    "phi 3 without its end of turn": (templates.PHI3, PHI_TOKENS, 1),
    "deepseek": (templates.DEEPSEEK, DEEPSEEK_TOKENS, 1),
    "deepseek thinking": (templates.DEEPSEEK_THINKING, DEEPSEEK_TOKENS, 1),
}
EMPTY_THOUGHT = "<think>\n\n</think>\n\n"
ASKED, SYSTEM = turn("user", "q1"), turn("system", "Be brief.")
TURNS = [ASKED, turn("assistant", "one two"), turn("user", "q2"), turn("assistant", "three")]
CALLING = [ASKED, turn("assistant", None, tool_calls=[CALL]), turn("tool", "noon", tool_call_id="1"), TURNS[3]]
THINKING = [
    ASKED, turn("assistant", "<think>\nfirst\n</think>\n\none"),
    TURNS[2], turn("assistant", "<think>\nsecond\n</think>\n\ntwo"),
]  # fmt: skip


def builder_of(model: str) -> tuple[PromptBuilder, PreTrainedTokenizerFast]:
    template, special, ends = MODELS[model]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = [*special, "<begin>", *alphabet]
    bare = Tokenizer(models.BPE({token: at for at, token in enumerate(tokens)}, []))
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    bare.add_special_tokens(tokens[: len(special) + 1])
    fast = PreTrainedTokenizerFast(tokenizer_object=bare, eos_token=special[0], bos_token="<begin>")
    fast.chat_template = template
    return PromptBuilder(fast, end_ids=frozenset(range(ends))), fast


def learned_of(model: str, row: Example) -> list[str]:
    builder, tokenizer = builder_of(model)
    encoded = builder.encode(row, where="train.jsonl, line 7")
    assert encoded.input_ids[-1] in builder.end_ids
    assert encoded.input_ids[: encoded.prompt_length] == builder.prompt_ids(row.prompt, where="", tools=row.tools)
    return [tokenizer.decode(encoded.input_ids[start:end]) for start, end in encoded.learned]


@pytest.mark.parametrize(
    ("model", "learned"),
    [
        ("chatml", ["one two<|im_end|>", "three<|im_end|>"]),
        # Each turn as it stands: the empty place for thoughts is before the last answer alone.
        ("qwen3", ["one two<|im_end|>", f"{EMPTY_THOUGHT}three<|im_end|>"]),
        ("qwen3 thinking", ["one two<|im_end|>", f"{EMPTY_THOUGHT}three<|im_end|>"]),
        ("llama 3", ["one two<|eot_id|>", "three<|eot_id|>"]),
        ("gemma", ["one two<end_of_turn>", "three<end_of_turn>"]),
        ("mistral", [" one two</s>", " three</s>"]),
        ("phi 3", ["one two<|end|>", "three<|end|>"]),
        ("deepseek", ["one two<｜end▁of▁sentence｜>", "three<｜end▁of▁sentence｜>"]),
    ],
)
def test_every_turn_is_learned_as_it_stands_with_its_end(model: str, learned: list[str]) -> None:
    assert learned_of(model, example(*TURNS)) == learned
    if model != "gemma":  # which knows no system message, see below
        assert learned_of(model, example(SYSTEM, *TURNS)) == learned


def test_a_system_message_that_is_shown_with_the_last_turn_alone_is_shown_as_evaluation_asks() -> None:
    builder, tokenizer = builder_of("mistral")
    encoded = builder.encode(example(SYSTEM, *TURNS), where="line 1")

    assert tokenizer.decode(encoded.input_ids) == (
        "<begin>[INST] q1[/INST] one two</s>[INST] Be brief.\n\nq2[/INST] three</s>"
    )


@pytest.mark.parametrize(
    ("model", "call"),
    [
        ("qwen3", '<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call><|im_end|>'),
        ("qwen3 thinking", '<tool_call>\n{"name": "clock", "arguments": {}}\n</tool_call><|im_end|>'),
        # Not "parameters": "{}": the arguments are an object, as the template was written for.
        ("llama 3", '{"name": "clock", "parameters": {}}<|eot_id|>'),
    ],
)
def test_a_call_is_learned_with_what_the_function_gave_left_out(model: str, call: str) -> None:
    assert learned_of(model, example(*CALLING, tools=TOOLS))[0] == call
    assert len(learned_of(model, example(*CALLING, tools=TOOLS))) == 2


def test_arguments_stay_text_where_a_template_puts_texts_together() -> None:
    builder, tokenizer = builder_of("chatml")
    tokenizer.chat_template = templates.CHATML.replace(
        "{{ m.content }}",
        "{{ m.content }}{% for c in m.tool_calls or [] %}{{ '```' + c.function.arguments }}{% endfor %}",
    )
    encoded = builder.encode(example(*CALLING), where="line 1")

    (start, end), _ = encoded.learned
    assert tokenizer.decode(encoded.input_ids[start:end]) == "```{}<|im_end|>"


@pytest.mark.parametrize("model", ["chatml", "qwen3", "llama 3"])
def test_an_assistant_that_speaks_first_is_learned_too(model: str) -> None:
    end = MODELS[model][1][0]

    assert learned_of(model, example(turn("assistant", "hello"), *TURNS))[:2] == [f"hello{end}", f"one two{end}"]


def test_an_end_of_turn_that_an_answer_names_does_not_end_what_is_learned_of_it() -> None:
    said = [ASKED, turn("assistant", "write <|im_end|> here"), *TURNS[2:]]

    assert learned_of("qwen3", example(*said))[0] == "write <|im_end|> here<|im_end|>"
    assert learned_of("qwen3", example(*said[:2]))[0] == f"{EMPTY_THOUGHT}write <|im_end|> here<|im_end|>"


@pytest.mark.parametrize(
    ("model", "learned", "whole"),
    [
        ("chatml", ["<think>\nfirst\n</think>\n\none<|im_end|>", "<think>\nsecond\n</think>\n\ntwo<|im_end|>"], True),
        ("qwen3", ["one<|im_end|>", "<think>\nsecond\n</think>\n\ntwo<|im_end|>"], False),
        ("deepseek", ["\n\none<｜end▁of▁sentence｜>", "\n\ntwo<｜end▁of▁sentence｜>"], False),
    ],
)
def test_thoughts_that_a_template_leaves_out_are_known(model: str, learned: list[str], whole: bool) -> None:
    builder, _ = builder_of(model)

    assert learned_of(model, example(*THINKING)) == learned
    assert builder.encode(example(*THINKING), where="line 1").whole is whole
    # Qwen3 writes thoughts that end a row with white space of its own.
    assert builder.encode(example(*TURNS), where="line 1").whole


@pytest.mark.parametrize(
    ("model", "row", "reason", "words"),
    [
        (
            "gemma",
            [SYSTEM, *TURNS],
            EndReason.INVALID_DATASET,
            "write the system message into the first one of the user",
        ),
        ("gemma", [ASKED, *TURNS], EndReason.INVALID_DATASET, "must alternate .*reorder or remove messages"),
        ("mistral", [ASKED, *TURNS], EndReason.INVALID_DATASET, "must alternate.*; reorder or remove messages"),
        (
            "phi 3 without its end of turn",
            TURNS,
            EndReason.BASE_MODEL_UNREADABLE,
            r"messages\[1\]: .* shows no end of it there.*weight 0",
        ),
        (
            "deepseek thinking",
            TURNS,
            EndReason.BASE_MODEL_UNREADABLE,
            r"\('<think>\\n' becomes 'three<.*Correct its chat_template.jinja",
        ),
    ],
    ids=["gemma with a system message", "gemma in no turns", "mistral in no turns", "no end", "prompt within thoughts"],
)
def test_what_cannot_be_learned_right_is_refused_with_the_line_and_what_to_change(
    model: str, row: list[dict[str, Any]], reason: EndReason, words: str
) -> None:
    with pytest.raises(RunError, match=words) as caught:
        learned_of(model, example(*row))

    assert caught.value.reason is reason
    assert caught.value.message.startswith("train.jsonl, line 7")


def test_a_turn_of_weight_0_needs_no_end() -> None:
    silent = [ASKED, TURNS[1] | {"weight": 0}, *TURNS[2:]]

    assert learned_of("phi 3 without its end of turn", example(*silent)) == ["three<|end|>\n<|endoftext|>"]


def test_a_run_names_the_rows_whose_thoughts_its_template_leaves_out(
    make_run: MakeRun, train: Train, own_models_dir: Any
) -> None:
    (own_models_dir / "tiny-llama" / "chat_template.jinja").write_text(templates.QWEN3)
    folder = make_run(train=[*sample_rows(3), {"messages": THINKING}], training={"max_steps": 1})

    assert train(folder, models_dir=own_models_dir) == 0

    (said,) = [text for text in warnings_of(folder) if "leaves out a part" in text]
    assert said.startswith(
        "train.jsonl: 1 row with an answer of which the base model's chat template leaves out a part"
    )
    assert "(the first is line 4)" in said


@pytest.mark.parametrize("model", ["chatml", "qwen3", "llama 3", "gemma", "mistral", "phi 3", "deepseek"])
def test_templates_that_end_answers_as_their_model_does_need_no_word(model: str) -> None:
    builder, _ = builder_of(model)

    assert builder.other_end == ""


def test_an_end_of_turn_that_the_model_does_not_know_is_told(
    make_run: MakeRun, train: Train, own_models_dir: Any
) -> None:
    """A base model whose template was written for its instruct version: the end of the text is learned as well."""
    for name, token in (("tokenizer_config.json", {"eos_token": "<|endoftext|>"}),
                        ("generation_config.json", {"eos_token_id": 0})):  # fmt: skip
        path = own_models_dir / "tiny-llama" / name
        path.write_text(json.dumps(json.loads(path.read_text()) | token))
    folder = make_run(training={"max_steps": 1})

    assert train(folder, models_dir=own_models_dir) == 0

    (said,) = [text for text in warnings_of(folder) if "ends an answer with" in text]
    assert "ends an answer with '<|im_end|>', and this model ends its turn with '<|endoftext|>', so both" in said
    learned = "".join(token.text for token in preflight_of(folder).samples[0].tokens if token.learned)
    assert learned == '{"n": 0}<|im_end|>\n<|endoftext|>'
