"""What one more token costs in a batch: a key-value cache with room to grow, and attention that copies no keys.

transformers joins old and new keys anew for every token, and repeats them for each head that shares them. In float32 on
one core that was a fifth of a layer of the sample model's shape at 20 rows of 70 tokens, nearly half at 300 tokens. The
numbers are those of its eager attention. For inference on a CPU; on a GPU fused kernels do this.
"""

from typing import Any

import torch
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache
from transformers.cache_utils import DynamicLayer
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import eager_mask

from playbook.trainer.joined import Places, to_rows, to_tokens
from playbook.trainer.operations import attention

GROUPED = "grouped"
#: New tokens for which room is made at a time.
_ROOM = 64
#: Above so many scores a head, 512 tokens of 512, they are not held at once.
_MOST_SCORES = 512 * 512


class RoomyLayer(DynamicLayer):  # type: ignore[misc] # transformers comes without types
    """Keys and values of one layer, written into buffers with room behind them; `keys` and `values` show what is held.

    Buffers: (batch, key heads, tokens held and free, width).
    """

    _buffers: tuple[torch.Tensor, torch.Tensor] | None = None

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        held = self.get_seq_length()
        needed = held + key_states.shape[-2]
        if self._buffers is None or needed > self._buffers[0].shape[-2]:
            self._grow(key_states, value_states, held=held, needed=needed)
        assert self._buffers is not None  # noqa: S101 - just grown
        for buffer, new in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:, :, held:needed] = new
        self._show(needed)
        return self.keys, self.values

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        if self._buffers is not None:
            held = self.get_seq_length()
            keys, values = self._buffers
            self._buffers = (keys[indices], values[indices])
            self._show(held)

    def _grow(self, key_states: torch.Tensor, value_states: torch.Tensor, *, held: int, needed: int) -> None:
        keys, values = (
            new.new_empty((*new.shape[:2], needed + _ROOM, new.shape[-1])) for new in (key_states, value_states)
        )
        if held:
            keys[:, :, :held], values[:, :, :held] = self.keys, self.values
        self._buffers = (keys, values)

    def _show(self, tokens: int) -> None:
        assert self._buffers is not None  # noqa: S101 - shown after it was filled
        self.keys, self.values = (buffer[:, :, :tokens] for buffer in self._buffers)


def new_cache(config: Any) -> DynamicCache:
    """Return an empty cache for a text model; layers that keep every key get room to grow."""
    cache = DynamicCache(config=config)
    cache.layers = [RoomyLayer() if type(layer) is DynamicLayer else layer for layer in cache.layers]
    return cache


def attend_in_groups(model: Any) -> bool:
    """Have a model on a CPU attend without copies of its keys, and tell whether it does.

    Not where attention is more than a softmax of scaled products (capped scores, sinks, biases of position), nor where
    the model does not let others compute it.
    """
    config = model.config.get_text_config()
    odd = getattr(config, "attn_logit_softcapping", None) is not None or any(
        hasattr(module, name) for module in model.modules() for name in ("sinks", "position_bias")
    )
    if odd or model.device.type != "cpu" or not getattr(model, "_supports_attention_backend", False):
        return False
    model.set_attn_implementation(GROUPED)
    return True


def grouped_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    places: Places | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Return attention (batch, tokens, heads, width): the heads that share keys are one product of more rows.

    query: (batch, heads, tokens, width); key, value: (batch, key heads, all tokens, width); mask: added to the scores,
    (batch or 1, 1, tokens, all tokens). `places`: these are joined rows, (1, …); the mask is that of one row.
    """
    if places is not None:
        query, key, value = (to_rows(x, places) for x in (query, key, value))
        out, _ = grouped_attention(
            module, query, key, value, attention_mask, scaling=scaling, dropout=dropout, **kwargs
        )
        return to_tokens(out, places), None
    batch, heads, tokens, width = query.shape
    shared, held = key.shape[1], key.shape[2]
    if tokens * held > _MOST_SCORES or dropout or attention_mask is None:
        found: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return found
    each = heads // shared
    scale = width**-0.5 if scaling is None else scaling
    if torch.is_grad_enabled():
        return attention(query, key, value, attention_mask, scale), None
    scores = query.reshape(batch, shared, each * tokens, width) @ key.transpose(2, 3) * scale
    scores = scores.view(batch, shared, each, tokens, held) + attention_mask.unsqueeze(2)
    weights = torch.softmax(scores, dim=-1, dtype=torch.float32).to(query.dtype)
    mixed = weights.view(batch, shared, each * tokens, held) @ value
    return mixed.view(batch, heads, tokens, -1).transpose(1, 2).contiguous(), None


AttentionInterface.register(GROUPED, grouped_attention)
AttentionMaskInterface.register(GROUPED, eager_mask)
