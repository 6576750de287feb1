"""Rows as tensors, and their loss: the inner part of the training loop, which validation shares."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from playbook.trainer.data import Row
from playbook.trainer.decode import GROUPED
from playbook.trainer.joined import Places, place
from playbook.trainer.layout import WINDOWS, Layout, shared_tokens
from playbook.trainer.model import LoadedModel, inputs_as_they_are
from playbook.trainer.operations import cross_entropy_sum

IGNORED = -100
#: Widths of batches are rounded up to this. A CPU keeps a compiled kernel for each shape that it has met, 20 MB with
#: AMX, so not every width may be its own. Steps of 4 tokens give the sample job 12 widths and 3 % padding; steps of 16
#: gave 4 widths and 10 %, and after 20 steps as much memory (1,722 and 1,733 MB, without AMX).
_WIDTH_STEP = 4
#: Largest difference of a logit, as a share of the largest logit, that another order of additions makes. A row that
#: sees its neighbour moves them by a tenth and more.
_PROOF_TOLERANCE = {"float32": 1e-4, "bfloat16": 0.02}


@dataclass(frozen=True)
class Batch:
    """input_ids, attention_mask, position_ids: int64 (batch, seq), padded on the left; no mask when nothing is padded.
    labels: int64 (batch, seq), what each position predicts, IGNORED = -100 where nothing is learned."""

    input_ids: torch.Tensor
    attention_mask: torch.Tensor | None
    position_ids: torch.Tensor
    labels: torch.Tensor
    places: Places | None = None


def loss_sum(loaded: LoadedModel, rows: Sequence[Row], *, pad_id: int, layout: Layout = Layout.PADDED) -> torch.Tensor:
    """Return the summed cross-entropy of the supervised tokens of `rows`: a float32 scalar."""
    if layout is Layout.PACKED:
        batch = pack_batch(rows, pad_id=pad_id, device=loaded.device)
    elif layout is Layout.JOINED and len(rows) > 1:
        batch = join_batch(rows, pad_id=pad_id)
    else:
        batch = make_batch(rows, pad_id=pad_id, device=loaded.device, width_step=_WIDTH_STEP)
    learned = batch.labels != IGNORED
    logits = logits_of(loaded, batch, learned)
    return cross_entropy_sum(logits, batch.labels[learned])


def logits_of(loaded: LoadedModel, batch: Batch, chosen: torch.Tensor) -> torch.Tensor:
    """Return logits (chosen positions, vocabulary) as training computes them. `chosen`: bool (batch, seq)."""
    model = loaded.model
    autocast = torch.autocast(loaded.device.type, torch.bfloat16, enabled=loaded.compute_dtype == "bfloat16")
    with autocast, inputs_as_they_are(loaded), _logits_at(model, chosen):
        logits: torch.Tensor = model(
            input_ids=batch.input_ids,
            attention_mask=batch.attention_mask,
            position_ids=batch.position_ids,
            use_cache=False,
            **({} if batch.places is None else {"places": batch.places}),
        ).logits.squeeze(0)  # not [0]: going back, that fills a copy of the whole with zeros
    return logits


@contextmanager
def _logits_at(model: Any, chosen: torch.Tensor) -> Iterator[None]:
    """Within, the model gives logits of shape (1, chosen positions, vocabulary). `chosen`: bool (batch, seq).

    The vocabulary is by far the widest layer, so what it would say at prompt and padding is not even computed. The
    hidden states are picked, (batch, seq, hidden) to (1, n, hidden), in front of whatever module makes logits of them.
    """

    def pick(_: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
        return (inputs[0][chosen].unsqueeze(0), *inputs[1:])

    hook = model.get_output_embeddings().register_forward_pre_hook(pick)
    try:
        yield
    finally:
        hook.remove()


def make_batch(rows: Sequence[Row], *, pad_id: int, device: torch.device, width_step: int = 1) -> Batch:
    """Return `rows` as tensors, as wide as the longest, rounded up to `width_step`. The logit at position t predicts
    token t + 1, so labels are shifted by one here.

    Two rows of 3 and 2 tokens, 2 and 1 of them supervised, give labels [[a1, a2, -100], [-100, b1, -100]]; the last
    position predicts nothing.
    """
    width = _width([len(row.encoded.input_ids) for row in rows], width_step)
    input_ids = torch.full((len(rows), width), pad_id)
    mask = torch.zeros((len(rows), width), dtype=torch.int64)
    labels = torch.full((len(rows), width), IGNORED)
    for at, row in enumerate(rows):
        ids = torch.tensor(row.encoded.input_ids)
        start = width - len(ids)
        input_ids[at, start:] = ids
        mask[at, start:] = 1
        for first, end in row.encoded.learned:
            labels[at, start + first - 1 : start + end - 1] = ids[first:end]
    padded = bool((mask == 0).any())
    return Batch(
        input_ids=input_ids.to(device),
        # Without a mask attention takes its faster causal path.
        attention_mask=mask.to(device) if padded else None,
        position_ids=(mask.cumsum(1) - 1).clamp(min=0).to(device),
        labels=labels.to(device),
    )


def _width(lengths: Sequence[int], step: int) -> int:
    return -(-max(lengths) // step) * step


def pack_batch(rows: Sequence[Row], *, pad_id: int, device: torch.device) -> Batch:
    """Return `rows` end to end as one sequence (1, all tokens) without padding.

    Positions start at 0 with each row. From that transformers builds the block mask (or flash attention its sequence
    borders), so that no row sees another; `packs_exactly` proves it of a model. Labels are as in `make_batch`.
    """
    singles = [make_batch([row], pad_id=pad_id, device=device) for row in rows]
    return Batch(
        input_ids=torch.cat([batch.input_ids for batch in singles], dim=1),
        attention_mask=None,
        position_ids=torch.cat([batch.position_ids for batch in singles], dim=1),
        labels=torch.cat([batch.labels for batch in singles], dim=1),
    )


def join_batch(rows: Sequence[Row], *, pad_id: int) -> Batch:
    """Return `rows` as one sequence (1, tokens) on the CPU in which what they begin with alike stands once (`joined`).

    The mask is that of one row of `places`, (1, 1, width, width), added to scores. Two rows a b c and a b d e, of which
    c and d e are learned, are the tokens a b c b d e and padding: b predicts something else in each.
    """
    shared = shared_tokens(rows)
    lengths = [len(row.encoded.input_ids) for row in rows]
    places = place(lengths, shared=shared, width=_width(lengths, _WIDTH_STEP))
    tokens = len(places.of_tokens)
    input_ids, position_ids = torch.full((1, tokens), pad_id), torch.zeros((1, tokens), dtype=torch.int64)
    labels = torch.full((1, tokens), IGNORED)
    for row, at in zip(rows, places.of_rows, strict=True):
        ids = torch.tensor(row.encoded.input_ids)
        own = at[: len(ids)]
        input_ids[0, own] = ids
        position_ids[0, own] = torch.arange(len(ids))
        for first, end in row.encoded.learned:
            labels[0, own[first - 1 : end - 1]] = ids[first:end]
    width = places.of_rows.shape[1]
    # The least of bfloat16, which float32 holds too.
    later = torch.full((1, 1, width, width), torch.finfo(torch.bfloat16).min).triu_(1)
    return Batch(input_ids, later, position_ids, labels, places)


def joins_exactly(loaded: LoadedModel, rows: Sequence[Row], *, pad_id: int, longest: int) -> bool:
    """Tell whether joined rows give the logits that each gives alone, and the model draws nothing by chance.

    Only where attention is that of `decode`, which knows of places. Not so where layers look at their neighbours by
    something else, and not known where rows, `longest` tokens at most, are longer than the window that some layers see:
    those get the mask of all.
    """
    config = loaded.model.config.get_text_config()
    windows = (getattr(config, name, None) for name in WINDOWS)
    dropouts = (module.p for module in loaded.model.modules() if isinstance(module, torch.nn.Dropout))
    by_chance = any(dropouts) or bool(getattr(config, "attention_dropout", 0))
    if by_chance or config._attn_implementation != GROUPED or any(window and window < longest for window in windows):
        return False
    few = [*rows[:3]] * (3 if len(rows) < 3 else 1)
    try:
        return _same_as_alone(loaded, join_batch(few, pad_id=pad_id), few, pad_id=pad_id)
    except (AttributeError, IndexError, RuntimeError, TypeError, ValueError):
        return False  # it takes no word of places, or does something of its own with masks


def packs_exactly(loaded: LoadedModel, rows: Sequence[Row], *, pad_id: int) -> bool:
    """Tell whether packed rows give the logits that each gives alone: not so where a model has a mask of its own."""
    few = [*rows[:3]] * (3 if len(rows) < 3 else 1)
    return _same_as_alone(loaded, pack_batch(few, pad_id=pad_id, device=loaded.device), few, pad_id=pad_id)


def _same_as_alone(loaded: LoadedModel, batch: Batch, rows: Sequence[Row], *, pad_id: int) -> bool:
    """Tell whether the logits of `batch`, which holds `rows`, are those of each of them alone."""
    loaded.model.eval()
    try:
        with torch.inference_mode():
            together = _all_logits(loaded, batch)
            alone = [_all_logits(loaded, make_batch([row], pad_id=pad_id, device=loaded.device)) for row in rows]
    finally:
        loaded.model.train()
    expected = torch.cat(alone)
    largest = float((together - expected).abs().max() / expected.abs().max())
    return largest < _PROOF_TOLERANCE[loaded.compute_dtype]


def _all_logits(loaded: LoadedModel, batch: Batch) -> torch.Tensor:
    return logits_of(loaded, batch, batch.labels != IGNORED).float()
