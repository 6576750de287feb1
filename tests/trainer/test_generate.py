"""Batched greedy answers: the same as one by one and as transformers' own, cut and flagged, halved when memory ends."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import GenerationConfig

from playbook.contracts.run_spec import BaseModelRef
from playbook.contracts.states import EndReason
from playbook.trainer import generate
from playbook.trainer.decode import GROUPED
from playbook.trainer.errors import RunError
from playbook.trainer.generate import Generated, Generator, answer, compute_beginning, generated, tokens_to_read
from playbook.trainer.model import load_base, load_tokenizer, read_limits, resolve
from playbook.trainer.stop import Stop
from tests.trainer.conftest import TINY_ID

CPU = torch.device("cpu")
PROMPTS = [tuple(range(5, 5 + length)) for length in (3, 40, 11, 7, 90, 7, 23)]


@pytest.fixture(scope="module")
def generator(tiny_models_dir: Path) -> Generator:
    source = resolve(BaseModelRef(id=TINY_ID), tiny_models_dir)
    tokenizer = load_tokenizer(source)
    model = load_base(source, device=CPU, dtype="float32", attention="eager").eval()
    # Tokens that a random model says now and then, so that answers end at different places.
    _, ends = read_limits(source, tokenizer)
    ends |= frozenset(range(60, 90))
    stop = Stop(lease=tiny_models_dir / "no-lease", max_lease_age_seconds=None)
    return Generator(model, tokenizer, CPU, ends, max_new_tokens=24, batch_size=3, stop=stop)


def answers(generator: Generator, prompts: Sequence[tuple[int, ...]] = PROMPTS) -> list[Generated]:
    found: dict[int, Generated] = {}
    for batch in answer(generator, prompts):
        found |= batch
    return [found[at] for at in range(len(prompts))]


def said(found: Sequence[Generated]) -> list[tuple[str, int, bool]]:
    return [(one.text, one.tokens, one.natural_stop) for one in found]


@pytest.mark.parametrize("batch_size", [2, 3, 7, 64])
def test_batches_say_what_each_row_says_alone(generator: Generator, batch_size: int) -> None:
    alone = said(answers(replace(generator, batch_size=1)))
    assert said(answers(replace(generator, batch_size=batch_size))) == alone
    assert len({tokens for _, tokens, _ in alone}) > 1, (
        "every row ended at the same place: nothing left the batch early"
    )
    assert {stopped for _, _, stopped in alone} == {True, False}


#: A common beginning of 30 tokens, then rows of their own: one is all beginning but its last token, one so long that
#: the beginning of the others is nothing but padding beside it.
SHARED = [(*range(100, 130), *range(5, 5 + length)) for length in (1, 3, 40, 11, 7, 90, 7, 23)]


@pytest.mark.parametrize("attention", ["eager", "sdpa", GROUPED])
@pytest.mark.parametrize("batch_size", [1, 3, 8])
def test_a_beginning_computed_once_changes_no_answer(generator: Generator, batch_size: int, attention: str) -> None:
    generator.model.set_attn_implementation(attention)
    beginning = compute_beginning(generator, SHARED)
    assert beginning is not None
    assert beginning.tokens == 30
    whole = [generate.generate(generator, [prompt])[0] for prompt in SHARED]
    assert said(answers(replace(generator, batch_size=batch_size), SHARED)) == said(whole)
    generator.model.set_attn_implementation("eager")


class _Counting:
    """A model that counts the tokens it is given."""

    def __init__(self, model: Any) -> None:
        self._model, self.config, self.tokens = model, model.config, 0

    def __call__(self, **inputs: Any) -> Any:
        self.tokens += inputs["input_ids"].numel()
        return self._model(**inputs)


def test_a_beginning_is_computed_once_for_all_batches(generator: Generator) -> None:
    prompts = [(*range(100, 180), last) for last in range(9)]
    counting = _Counting(generator.model)
    answers(replace(generator, model=counting, max_new_tokens=1), prompts)
    assert counting.tokens == 80 + 9
    assert tokens_to_read(generator.model.config, prompts) == 80 + 9


@pytest.mark.parametrize("prompts", [[], SHARED[:1], PROMPTS, [(1, 2, 3)] * 3])
def test_a_short_beginning_is_not_worth_it(generator: Generator, prompts: list[tuple[int, ...]]) -> None:
    assert compute_beginning(generator, prompts) is None
    assert tokens_to_read(generator.model.config, prompts) == sum(map(len, prompts))


def test_the_same_prompt_twice_keeps_its_last_token(generator: Generator) -> None:
    beginning = compute_beginning(generator, [SHARED[2]] * 3)
    assert beginning is not None
    assert beginning.tokens == len(SHARED[2]) - 1
    assert len(set(said(answers(generator, [SHARED[2]] * 3)))) == 1


def test_answers_are_those_of_transformers(generator: Generator) -> None:
    config = GenerationConfig(
        max_new_tokens=24, do_sample=False, eos_token_id=sorted(generator.end_ids), pad_token_id=0
    )
    expected = []
    for prompt in PROMPTS:
        ids = torch.tensor([prompt])
        made = generator.model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=config)
        new = made[0, len(prompt) :].tolist()
        ended = new[-1] in generator.end_ids
        text = generator.tokenizer.decode(new[:-1] if ended else new, skip_special_tokens=True).strip()
        expected.append((text, len(new), ended))
    assert said(answers(generator)) == expected


def test_an_answer_without_an_end_is_cut(generator: Generator) -> None:
    endless = replace(generator, end_ids=frozenset({2}), max_new_tokens=150)
    (found,) = answers(endless, [PROMPTS[0]])
    assert (found.tokens, found.natural_stop) == (150, False)


def test_what_the_template_writes_before_every_answer_is_no_part_of_it(generator: Generator) -> None:
    opening = "<think>\n\n</think>\n\n"
    made = [
        generated(replace(generator, opening=opening), generator.tokenizer(text).input_ids, seconds=0.0)
        for text in (f"{opening}4", "<think>\nlong\n</think>\n\n4", "4")
    ]
    assert [one.text for one in made] == ["4", "<think>\nlong\n</think>\n\n4", "4"]


def test_an_answer_may_be_empty(generator: Generator) -> None:
    every_token = replace(generator, end_ids=frozenset(range(300)))
    assert said(answers(every_token)) == [("", 1, True)] * len(PROMPTS)


def test_tokens_are_told_as_they_are_made(generator: Generator) -> None:
    with torch.inference_mode():
        told = list(generate.tokens_of(generator, PROMPTS[:3]))
    found = answers(generator, PROMPTS[:3])
    assert [sum(row == at for row, _ in told) for at in range(3)] == [one.tokens for one in found]


def test_a_stop_is_obeyed_between_two_tokens(generator: Generator) -> None:
    stopped = Stop(lease=Path("/nonexistent/lease"), max_lease_age_seconds=0)
    with pytest.raises(RunError) as ended:
        answers(replace(generator, stop=stopped))
    assert ended.value.reason is EndReason.LEASE_LOST


class _SmallMemory:
    """A model whose memory is enough for so many tokens a pass."""

    def __init__(self, model: Any, tokens: int) -> None:
        self._model, self._tokens = model, tokens
        self.config = model.config

    def __call__(self, **inputs: Any) -> Any:
        if inputs["input_ids"].numel() > self._tokens:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return self._model(**inputs)


def test_a_batch_too_large_for_the_memory_is_asked_in_halves(generator: Generator) -> None:
    small = replace(generator, model=_SmallMemory(generator.model, 100), batch_size=7)
    assert said(answers(small)) == said(answers(generator))


def test_a_row_too_large_for_the_memory_fails_alone(generator: Generator) -> None:
    small = replace(generator, model=_SmallMemory(generator.model, 50), batch_size=7)
    found = answers(small)
    assert [one.error is None for one in found] == [True, True, True, True, False, True, True]
    assert "Memory ran out" in (found[4].error or "")
    assert "Shorten the prompt and what stands in it, or lower max_new_tokens." in (found[4].error or "")
    assert (found[4].text, found[4].tokens) == ("", 0)
