"""Greedy answers to prompts, in batches: rows alike in length together, padded on the left, each dropped when it ends.

The key-value cache is ours to cut: a row that has ended its turn leaves the batch, so one long answer does not keep
the others' rows computing. What all prompts begin with, a system message or solved examples, is computed once and laid
under each batch. Nothing but token ids is kept: logits of a whole split would not fit beside the model.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from playbook.trainer.decode import new_cache
from playbook.trainer.errors import IN_ANSWERING, RunError, ending_of, is_out_of_memory
from playbook.trainer.stop import Stop

#: Tokens of a batch, padding and answers included: long prompts come in smaller batches, which bounds the cache.
_MAX_BATCH_TOKENS = 32_768
#: A shorter common beginning saves less than laying it under a batch costs.
_LEAST_COMMON = 16


@dataclass(frozen=True)
class Generated:
    """What the model said: decoded text without the end of the turn, and how it stopped. `seconds`: from the start of
    the batch to its last token, divided by the rows of the batch. `error`: why there is no answer."""

    text: str
    tokens: int
    natural_stop: bool
    seconds: float
    error: str | None = None


@dataclass(frozen=True)
class Generator:
    """A model ready to answer: adapters merged or disabled by the caller. `stop` is asked between two tokens.
    `opening`: what the chat template writes before every answer (`PromptBuilder.opening`), which is no part of it."""

    model: Any
    tokenizer: Any
    device: torch.device
    end_ids: frozenset[int]
    max_new_tokens: int
    batch_size: int
    stop: Stop
    opening: str = ""


@dataclass(frozen=True)
class Beginning:
    """What all prompts of an arm begin with, computed once. `layers`: keys and values of each layer, (1, heads, tokens,
    width)."""

    tokens: int
    layers: tuple[tuple[torch.Tensor, torch.Tensor], ...]


def answer(generator: Generator, prompts: Sequence[tuple[int, ...]]) -> Iterator[dict[int, Generated]]:
    """Yield the answers of one batch after the other, each by the index of its prompt.

    Longest first: rows of a batch are alike, and what is too large for the memory fails at once. A batch for which
    memory runs out is asked again in halves; a row that does not fit by itself is answered with an error.

    Raises RunError(cancelled_by_user, lease_lost) between two tokens.
    """
    waiting = sorted(range(len(prompts)), key=lambda at: len(prompts[at]), reverse=True)
    beginning = compute_beginning(generator, prompts)
    while waiting:
        longest = len(prompts[waiting[0]]) + generator.max_new_tokens
        size = max(1, min(generator.batch_size, _MAX_BATCH_TOKENS // longest))
        batch, waiting = waiting[:size], waiting[size:]
        yield dict(zip(batch, _answer_or_halve(generator, [prompts[at] for at in batch], beginning), strict=True))


def compute_beginning(generator: Generator, prompts: Sequence[tuple[int, ...]]) -> Beginning | None:
    """Return what all prompts begin with, ready to be laid under them; None when that is not worth it.

    Each prompt keeps at least its last token, which the first answer token is computed from. None too for models where
    a beginning computed alone is another one, or cannot be cut to size.
    """
    config = generator.model.config.get_text_config()
    tokens = shared_tokens(config, prompts)
    if not tokens:
        return None
    cache = new_cache(config)
    try:
        with torch.inference_mode():
            generator.model(
                input_ids=torch.tensor([prompts[0][:tokens]], device=generator.device),
                past_key_values=cache,
                use_cache=True,
                logits_to_keep=1,
            )
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return None
    return Beginning(tokens, tuple((layer.keys, layer.values) for layer in cache.layers))


def shared_tokens(config: Any, prompts: Sequence[tuple[int, ...]]) -> int:
    """Return the length of the beginning that is computed once for all prompts; 0 when none is. `config`: of the text
    model."""
    if len(prompts) < 2:
        return 0
    first, last = min(prompts), max(prompts)
    # All lie between these two in order, so what these share is shared by all.
    most = min(map(len, prompts)) - 1
    tokens = next((at for at in range(min(most, len(last))) if first[at] != last[at]), most)
    return tokens if tokens >= _LEAST_COMMON and _keeps_every_key(config, DynamicCache(config=config)) else 0


def tokens_to_read(config: Any, prompts: Sequence[tuple[int, ...]]) -> int:
    """Return the tokens that `answer` computes before the first token of each answer, padding aside."""
    return sum(map(len, prompts)) - max(0, len(prompts) - 1) * shared_tokens(config, prompts)


def _keeps_every_key(config: Any, cache: DynamicCache) -> bool:
    """Tell whether keys stay as they were computed: no sliding window, no recurrence, and no rotation that changes
    with the length of the prompt."""
    rotation = str(getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None))
    scaled = any(kind in rotation for kind in ("dynamic", "longrope"))
    return not scaled and all(type(layer) is DynamicLayer for layer in cache.layers)


def _answer_or_halve(
    generator: Generator, prompts: Sequence[tuple[int, ...]], beginning: Beginning | None
) -> list[Generated]:
    try:
        return generate(generator, prompts, beginning=beginning)
    except RunError:
        raise
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        problem = ending_of(error, less_memory=IN_ANSWERING).message
    if len(prompts) == 1:
        return [Generated("", 0, natural_stop=False, seconds=0.0, error=problem)]
    half = len(prompts) // 2
    parts = (prompts[:half], prompts[half:])
    return [said for part in parts for said in _answer_or_halve(generator, part, beginning)]


def generate(
    generator: Generator, prompts: Sequence[tuple[int, ...]], *, beginning: Beginning | None = None
) -> list[Generated]:
    """Return the greedy continuation of each prompt, at most `max_new_tokens` tokens long. `beginning`: of all."""
    start = time.monotonic()
    said: list[list[int]] = [[] for _ in prompts]
    with torch.inference_mode():
        for row, token in tokens_of(generator, prompts, beginning=beginning):
            said[row].append(token)
    seconds = (time.monotonic() - start) / len(prompts)
    return [generated(generator, ids, seconds) for ids in said]


def tokens_of(
    generator: Generator, prompts: Sequence[tuple[int, ...]], *, beginning: Beginning | None = None
) -> Iterator[tuple[int, int]]:
    """Yield (row, token) as they are made; a row's last one ends its turn, unless it is cut.

    `beginning`: what all prompts begin with, if it was computed. To be driven within `torch.inference_mode()`. Raises
    RunError(cancelled_by_user, lease_lost) between two tokens.
    """
    device, ends = generator.device, torch.tensor(sorted(generator.end_ids), device=generator.device)
    width = max(len(prompt) for prompt in prompts)
    pad_id = generator.tokenizer.pad_token_id
    ids = torch.tensor([[pad_id] * (width - len(prompt)) + list(prompt) for prompt in prompts], device=device)
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=device)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    rows = torch.arange(len(prompts), device=device)
    cache = new_cache(generator.model.config.get_text_config())
    if beginning is not None:
        _lay_under(cache, beginning, [width - len(prompt) for prompt in prompts])
        ids, positions = ids[:, beginning.tokens :], positions[:, beginning.tokens :]
    for made in range(1, generator.max_new_tokens + 1):
        generator.stop.check()
        output = generator.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        chosen = output.logits[:, -1].argmax(-1)
        yield from zip(rows.tolist(), chosen.tolist(), strict=True)
        goes_on = ~torch.isin(chosen, ends)
        if made == generator.max_new_tokens or not bool(goes_on.any()):
            return
        positions = positions[:, -1:] + 1
        if not bool(goes_on.all()):
            keep = goes_on.nonzero().squeeze(1)
            cache.batch_select_indices(keep)
            rows, chosen, mask, positions = rows[keep], chosen[keep], mask[keep], positions[keep]
        ids = chosen.unsqueeze(1)
        mask = torch.cat([mask, mask.new_ones(len(rows), 1)], dim=1)


def _lay_under(cache: DynamicCache, beginning: Beginning, paddings: Sequence[int]) -> None:
    """Fill an empty cache with the first `beginning.tokens` columns of a batch padded on the left by `paddings`.

    A row's keys carry its positions, not its columns: those of the beginning are moved to the right by the padding, and
    as much as then exceeds these columns is left to be computed with the rest of the row. Padding is masked.
    """
    for number, (keys, values) in enumerate(beginning.layers):
        laid = [part.new_zeros((len(paddings), *part.shape[1:])) for part in (keys, values)]
        for row, padding in enumerate(paddings):
            if padding < beginning.tokens:
                for part, whole in zip(laid, (keys, values), strict=True):
                    part[row, :, padding:] = whole[0, :, : beginning.tokens - padding]
        cache.update(*laid, number)


def generated(generator: Generator, ids: Sequence[int], seconds: float) -> Generated:
    """Return the answer that the tokens `ids` are, however it stopped."""
    ended = bool(ids) and ids[-1] in generator.end_ids
    said = ids[:-1] if ended else ids
    return Generated(
        text=_without(generator.opening, str(generator.tokenizer.decode(said, skip_special_tokens=True))),
        tokens=len(ids),
        natural_stop=ended,
        seconds=seconds,
    )


def _without(opening: str, text: str) -> str:
    return text.strip().removeprefix(opening.strip()).strip()
