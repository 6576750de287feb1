"""Base and adapter as one operation: the numbers of peft, and peft itself wherever a layer is not a plain one."""

from pathlib import Path
from typing import Any

import pytest
import torch

from playbook.contracts.run_spec import BaseModelRef, LoraSettings
from playbook.trainer.fused import fuse_adapters
from playbook.trainer.model import LoadedModel, load_for_training, resolve
from tests.trainer.conftest import TINY_ID

LORA_LAYERS = 2 * 7  # all-linear, in a model of two layers
IDS = torch.arange(3, 27).reshape(2, 12)


def load(models_dir: Path, *, dtype: str = "float32", **lora: Any) -> LoadedModel:
    source = resolve(BaseModelRef(id=TINY_ID), models_dir)
    loaded = load_for_training(source, LoraSettings(r=4, **lora), seed=1, longest=16, compute_dtype=dtype)
    torch.manual_seed(2)
    for name, parameter in loaded.model.named_parameters():
        if "lora_B" in name:  # zero at first, which would hide a wrong sign
            torch.nn.init.normal_(parameter, std=0.2)
    return loaded


def logits_and_gradients(loaded: LoadedModel) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    with torch.autocast("cpu", torch.bfloat16, enabled=loaded.compute_dtype == "bfloat16"):
        logits = loaded.model(input_ids=IDS, use_cache=False).logits.float()
    loaded.model.zero_grad()
    logits.logsumexp(-1).square().sum().backward()
    gradients = {name: p.grad.clone() for name, p in loaded.model.named_parameters() if p.grad is not None}
    return logits.detach(), gradients


def relative_difference(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())


def test_fused_layers_give_the_logits_and_gradients_of_peft(tiny_models_dir: Path) -> None:
    loaded = load(tiny_models_dir)
    logits, gradients = logits_and_gradients(loaded)

    assert fuse_adapters(loaded) == LORA_LAYERS
    fused_logits, fused_gradients = logits_and_gradients(loaded)

    assert relative_difference(fused_logits, logits) < 1e-5
    assert fused_gradients.keys() == gradients.keys()
    assert len(gradients) == 2 * LORA_LAYERS
    assert max(relative_difference(fused_gradients[name], gradients[name]) for name in gradients) < 1e-5


def test_in_bfloat16_fused_layers_are_as_near_to_float32_as_peft_is(tiny_models_dir: Path) -> None:
    exact, _ = logits_and_gradients(load(tiny_models_dir))
    loaded = load(tiny_models_dir, dtype="bfloat16")
    of_peft, _ = logits_and_gradients(loaded)
    fuse_adapters(loaded)
    fused, _ = logits_and_gradients(loaded)

    assert relative_difference(fused, exact) < 1.2 * relative_difference(of_peft, exact)
    assert relative_difference(of_peft, exact) < 0.2


def test_a_fused_model_with_its_adapters_off_or_merged_is_peft_s(tiny_models_dir: Path) -> None:
    loaded = load(tiny_models_dir)
    tuned, _ = logits_and_gradients(loaded)
    with loaded.model.disable_adapter(), torch.no_grad():
        base = loaded.model(input_ids=IDS, use_cache=False).logits
    fuse_adapters(loaded)

    with loaded.model.disable_adapter(), torch.no_grad():
        assert torch.equal(loaded.model(input_ids=IDS, use_cache=False).logits, base)
    loaded.model.merge_adapter()
    with torch.no_grad():
        merged = loaded.model(input_ids=IDS, use_cache=False).logits
    assert relative_difference(merged, tuned) < 1e-5
    assert relative_difference(base, tuned) > 1e-2


@pytest.mark.parametrize("lora", [{"use_dora": True}, {"lora_dropout": 0.1}])
def test_layers_that_compute_more_than_a_product_are_left_to_peft(tiny_models_dir: Path, lora: dict[str, Any]) -> None:
    assert fuse_adapters(load(tiny_models_dir, **lora)) == 0
