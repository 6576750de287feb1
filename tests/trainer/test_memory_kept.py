"""The estimate of activations against what autograd really keeps, for models and methods that are fused in part."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from playbook.contracts.run_spec import LoraSettings, Method, RunSpec
from playbook.trainer.data import Row
from playbook.trainer.fused import fuse
from playbook.trainer.loss import loss_sum
from playbook.trainer.memory import Pass, estimate_memory
from playbook.trainer.model import LoadedModel, ModelSource, load_for_training
from playbook.trainer.prompt import Encoded
from tests.trainer.conftest import MakeRun

ROWS, WIDTH, ANSWER = 4, 120, 10
SHAPE = {
    "vocab_size": 512, "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 32, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip


def bytes_kept(loaded: LoadedModel, rows: list[Row]) -> int:
    """Return the size of all tensors that wait for the way back, weights aside."""
    weights = {tensor.untyped_storage().data_ptr() for tensor in (*loaded.model.parameters(), *loaded.model.buffers())}
    kept: dict[int, tuple[int, torch.Tensor]] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = loss_sum(loaded, rows, pad_id=0)
    assert loss.requires_grad
    return sum(size for size, _ in kept.values())


@pytest.mark.parametrize("kind", ["llama", "gemma2", "cohere"])
@pytest.mark.parametrize(
    "lora",
    [{}, {"lora_dropout": 0.1}, {"use_dora": True}, {"lora_dropout": 0.1, "use_dora": True}],
    ids=["lora", "dropout", "dora", "dora with dropout"],
)
def test_the_estimate_of_activations_is_near_what_is_kept(
    make_run: MakeRun, tmp_path: Path, kind: str, lora: Any
) -> None:
    torch.manual_seed(0)
    folder = tmp_path / "model"
    config = AutoConfig.for_model(kind, **SHAPE)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    settings = LoraSettings.model_validate(lora)
    loaded = load_for_training(
        ModelSource(str(folder), None, is_local=True), settings, seed=1, longest=WIDTH, compute_dtype="bfloat16"
    )
    fuse(loaded)
    loaded.model.train()
    rows = [Row(n, Encoded(tuple(5 + (n * 7 + at) % 400 for at in range(WIDTH)), WIDTH - ANSWER)) for n in range(ROWS)]
    spec = RunSpec.model_validate_json((make_run(lora=lora) / "spec.json").read_bytes())
    assert spec.method is Method.LORA

    estimated = estimate_memory(
        config, spec, one=Pass(ROWS * WIDTH, WIDTH, ROWS * ANSWER), compute_dtype="bfloat16",
        attention=loaded.attention, device="cpu", checkpointing=False, prepack=False,
    )  # fmt: skip

    assert estimated["activations"] + estimated["logits"] == pytest.approx(bytes_kept(loaded, rows), rel=0.15)
