"""The estimate of activations against what autograd really keeps, for models and methods that are fused in part."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from playbook.contracts.run_spec import RunSpec
from playbook.trainer.data import Row
from playbook.trainer.fused import fuse
from playbook.trainer.layout import Layout
from playbook.trainer.loss import loss_sum
from playbook.trainer.memory import Pass, estimate_memory
from playbook.trainer.model import LoadedModel, ModelSource, load_for_training
from playbook.trainer.prompt import Encoded
from tests.trainer.conftest import MakeRun

ROWS, WIDTH, ANSWER = 4, 120, 10
#: Some kinds have names of their own for the width of the MLP.
SHAPE = {
    "vocab_size": 512, "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 3, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 32, "n_inner": 384, "ffn_dim": 384, "bos_token_id": 1,
    "eos_token_id": 2, "pad_token_id": 0,
}  # fmt: skip


def bytes_kept(loaded: LoadedModel, rows: list[Row], *, layout: Layout = Layout.PADDED) -> int:
    """Return the size of all tensors that wait for the way back, weights aside."""
    weights = {tensor.untyped_storage().data_ptr() for tensor in (*loaded.model.parameters(), *loaded.model.buffers())}
    kept: dict[int, tuple[int, torch.Tensor]] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        loss = loss_sum(loaded, rows, pad_id=0, layout=layout)
    assert loss.requires_grad
    return sum(size for size, _ in kept.values())


def estimated_and_kept(
    folder: Path, kind: str, spec: RunSpec, *, width: int = WIDTH, dtype: str = "bfloat16"
) -> tuple[int, int]:
    """Return what the estimate says of a pass over a small random model, and what the pass keeps."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(kind, **SHAPE)
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    loaded = load_for_training(
        ModelSource(str(folder), None, is_local=True), spec.lora, seed=1, longest=width, compute_dtype=dtype,
        method=spec.method,
    )  # fmt: skip
    fuse(loaded)
    loaded.model.train()
    rows = [Row(n, Encoded(tuple(5 + (n * 7 + at) % 400 for at in range(width)), width - ANSWER)) for n in range(ROWS)]
    said = estimate_memory(
        config, spec, one=Pass(ROWS * width, width, ROWS * ANSWER), compute_dtype=dtype,
        attention=loaded.attention, device="cpu", checkpointing=False, prepack=False,
    )  # fmt: skip
    return said["activations"] + said["logits"], bytes_kept(loaded, rows)


def spec_of(folder: Path) -> RunSpec:
    return RunSpec.model_validate_json((folder / "spec.json").read_bytes())


@pytest.mark.parametrize("kind", ["llama", "gemma2", "cohere"])
@pytest.mark.parametrize(
    "lora",
    [{}, {"lora_dropout": 0.1}, {"use_dora": True}, {"lora_dropout": 0.1, "use_dora": True}],
    ids=["lora", "dropout", "dora", "dora with dropout"],
)
def test_the_estimate_of_activations_is_near_what_is_kept(
    make_run: MakeRun, tmp_path: Path, kind: str, lora: Any
) -> None:
    estimated, kept = estimated_and_kept(tmp_path / "model", kind, spec_of(make_run(lora=lora)))

    assert estimated == pytest.approx(kept, rel=0.15)


KINDS = [
    "qwen2", "qwen3", "mistral", "gemma", "gemma3_text", "phi3", "phi", "gpt2", "gpt_neox", "stablelm", "olmo2",
    "starcoder2", "opt", "granite", "smollm3", "bloom",
]  # fmt: skip


@pytest.mark.filterwarnings("ignore:fan_in_fan_out")  # peft finds out by itself how GPT-2 keeps its weights
@pytest.mark.parametrize("kind", KINDS)
def test_the_estimate_knows_what_other_kinds_of_models_keep(make_run: MakeRun, tmp_path: Path, kind: str) -> None:
    spec = spec_of(make_run(lora={"target_modules": "all-linear"}))

    estimated, kept = estimated_and_kept(tmp_path / "model", kind, spec)

    assert estimated == pytest.approx(kept, rel=0.15)


@pytest.mark.parametrize("kind", ["llama", "qwen3", "gemma3_text", "stablelm"])
@pytest.mark.parametrize(
    ("method", "width", "dtype"),
    [("lora", 600, "bfloat16"), ("lora", 600, "float32"), ("lora", WIDTH, "float32"), ("full", WIDTH, "bfloat16")],
    ids=["rows too long for plain attention", "the same in float32", "float32", "full tuning"],
)
def test_the_estimate_knows_how_a_pass_is_computed(
    make_run: MakeRun, tmp_path: Path, kind: str, method: str, width: int, dtype: str
) -> None:
    spec = spec_of(make_run(lora={"target_modules": "all-linear"}, method=method))

    estimated, kept = estimated_and_kept(tmp_path / "model", kind, spec, width=width, dtype=dtype)

    assert estimated == pytest.approx(kept, rel=0.15)
