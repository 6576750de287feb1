"""How likely a model finds what was expected, token by token: one pass over prompt and answer, nothing generated."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from playbook.trainer.data import Row
from playbook.trainer.errors import is_out_of_memory
from playbook.trainer.loss import IGNORED, logits_of, make_batch
from playbook.trainer.model import LoadedModel
from playbook.trainer.stop import Stop

_BATCH_ROWS = 25
_BATCH_TOKENS = 8192


@dataclass(frozen=True)
class Likelihood:
    """Of the expected tokens of one row, in order. `nats`: negative log-likelihood of each. `likeliest`: the model
    would have said it, given those before it."""

    nats: tuple[float, ...]
    likeliest: tuple[bool, ...]


def likelihoods(loaded: LoadedModel, rows: Sequence[Row], *, pad_id: int, stop: Stop) -> list[Likelihood]:
    """Return one value a row, in their order. Adapters are merged or switched off by the caller.

    Raises RunError(cancelled_by_user, lease_lost) between two batches.
    """
    waiting = sorted(range(len(rows)), key=lambda at: len(rows[at].encoded.input_ids), reverse=True)
    found: dict[int, Likelihood] = {}
    with torch.inference_mode():
        while waiting:
            stop.check()
            size = max(1, min(_BATCH_ROWS, _BATCH_TOKENS // len(rows[waiting[0]].encoded.input_ids)))
            batch, waiting = waiting[:size], waiting[size:]
            found.update(
                zip(batch, _of_batch_or_halves(loaded, [rows[at] for at in batch], pad_id=pad_id), strict=True)
            )
    return [found[at] for at in range(len(rows))]


def _of_batch_or_halves(loaded: LoadedModel, rows: Sequence[Row], *, pad_id: int) -> list[Likelihood]:
    try:
        return _of_batch(loaded, rows, pad_id=pad_id)
    except Exception as error:
        if len(rows) == 1 or not is_out_of_memory(error):
            raise
    half = len(rows) // 2
    return [one for part in (rows[:half], rows[half:]) for one in _of_batch_or_halves(loaded, part, pad_id=pad_id)]


def _of_batch(loaded: LoadedModel, rows: Sequence[Row], *, pad_id: int) -> list[Likelihood]:
    batch = make_batch(rows, pad_id=pad_id, device=loaded.device)
    learned = batch.labels != IGNORED
    wanted = batch.labels[learned]
    logits = logits_of(loaded, batch, learned).float()
    nats = functional.cross_entropy(logits, wanted, reduction="none").tolist()
    likeliest = (logits.argmax(-1) == wanted).tolist()
    found, at = [], 0
    for row in rows:
        end = at + row.encoded.supervised_tokens
        found.append(Likelihood(tuple(nats[at:end]), tuple(likeliest[at:end])))
        at = end
    return found
