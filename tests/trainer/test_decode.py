"""Attention without copies and a cache with room to grow give what transformers gives, whatever the shape."""

from typing import Any

import pytest
import torch
from transformers import DynamicCache, Gemma2Config, Gemma2ForCausalLM, LlamaConfig, LlamaForCausalLM
from transformers.cache_utils import DynamicLayer

from playbook.trainer import decode
from playbook.trainer.decode import GROUPED, RoomyLayer, attend_in_groups, new_cache

SIZES = {"vocab_size": 50, "hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 2, "head_dim": 4}


def llama(*, heads: int, key_heads: int) -> Any:
    torch.manual_seed(1)
    config = LlamaConfig(**SIZES, num_attention_heads=heads, num_key_value_heads=key_heads)
    return LlamaForCausalLM(config).eval()


def logits(model: Any, cache: DynamicCache) -> torch.Tensor:
    """Return the logits of two padded prompts and, after them, of a few tokens one by one: (2, all tokens, words)."""
    ids = torch.arange(24).view(2, 12)
    mask = torch.ones(2, 12, dtype=torch.long)
    mask[0, :5] = 0
    found = []
    with torch.inference_mode():
        for part in (slice(0, 7), slice(7, 8), slice(8, 9), slice(9, 12)):
            seen = mask[:, : part.stop]
            positions = (seen.cumsum(1) - 1).clamp(min=0)[:, part]
            found.append(
                model(input_ids=ids[:, part], attention_mask=seen, position_ids=positions, past_key_values=cache).logits
            )
    return torch.cat(found, dim=1)


@pytest.mark.parametrize("most_scores", [decode._MOST_SCORES, 0], ids=["products", "fused"])
@pytest.mark.parametrize(("heads", "key_heads"), [(6, 6), (6, 2), (6, 1)])
def test_the_logits_are_those_of_transformers(
    heads: int, key_heads: int, most_scores: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = llama(heads=heads, key_heads=key_heads)
    model.set_attn_implementation("eager")
    expected = logits(model, DynamicCache(config=model.config))
    monkeypatch.setattr(decode, "_MOST_SCORES", most_scores)

    assert attend_in_groups(model)

    assert model.config._attn_implementation == GROUPED
    # What stands in the columns of padding is nobody's.
    assert torch.allclose(logits(model, new_cache(model.config))[1], expected[1], atol=1e-5)
    assert torch.allclose(logits(model, new_cache(model.config))[0, 5:], expected[0, 5:], atol=1e-5)


def test_attention_that_is_more_than_a_softmax_stays_the_model_s_own() -> None:
    config = Gemma2Config(**SIZES, num_attention_heads=6, num_key_value_heads=2, attn_logit_softcapping=50.0)
    model = Gemma2ForCausalLM(config)

    assert not attend_in_groups(model)

    assert model.config._attn_implementation != GROUPED


def test_a_layer_with_room_holds_what_one_without_holds() -> None:
    plain, roomy = DynamicLayer(), _cache().layers[0]
    assert isinstance(roomy, RoomyLayer)
    torch.manual_seed(2)
    for rows, tokens, keep in ((4, 3, [0, 1, 3]), (3, 1, [2]), (1, 70, [0]), (1, 200, [0])):
        new = torch.randn(2, rows, 2, tokens, 4)
        for one, other in zip(roomy.update(*new), plain.update(*new), strict=True):
            assert torch.equal(one, other)
        for layer in (plain, roomy):
            layer.batch_select_indices(torch.tensor(keep))
        assert torch.equal(roomy.keys, plain.keys)
        assert torch.equal(roomy.values, plain.values)
        assert roomy.get_seq_length() == plain.get_seq_length()


def _cache() -> DynamicCache:
    return new_cache(LlamaConfig(**SIZES, num_attention_heads=6))


def test_a_token_is_written_beside_the_others_not_with_them() -> None:
    cache = _cache()
    cache.update(torch.ones(1, 2, 3, 4), torch.ones(1, 2, 3, 4), 0)
    before = cache.layers[0].keys.data_ptr()

    for _ in range(8):
        cache.update(torch.ones(1, 2, 1, 4), torch.ones(1, 2, 1, 4), 0)

    assert cache.layers[0].keys.data_ptr() == before
    assert cache.get_seq_length() == 11


def test_layers_that_forget_keys_stay_as_they_are() -> None:
    config = Gemma2Config(**SIZES, num_attention_heads=6, num_key_value_heads=2, sliding_window=4)

    before, after = (
        [type(layer) for layer in cache.layers] for cache in (DynamicCache(config=config), new_cache(config))
    )

    assert after == [RoomyLayer if kind is DynamicLayer else kind for kind in before]
    assert after.count(RoomyLayer) == 1
