"""Operations written out by hand give the numbers of peft and transformers, whose own code stays where it does more."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma3TextConfig,
    LlamaConfig,
    Phi3Config,
    Qwen2Config,
    Qwen3Config,
)
from transformers.models.llama import modeling_llama

from playbook.contracts.run_spec import BaseModelRef, LoraSettings, Method
from playbook.trainer.adapters import with_lora
from playbook.trainer.fused import fuse, fuse_norms, fuse_rotation
from playbook.trainer.fused_adapters import fuse_adapters, release_prepacked
from playbook.trainer.model import (
    LoadedModel,
    compile_layers,
    compute_activations_twice,
    in_float32,
    inputs_as_they_are,
    load_for_training,
    resolve,
)
from tests.trainer.conftest import TINY_ID
from tests.trainer.test_prepacked import IN_BFLOAT16

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


def logits_and_gradients(
    loaded: LoadedModel, mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    with torch.autocast("cpu", torch.bfloat16, enabled=loaded.compute_dtype == "bfloat16"):
        logits = loaded.model(input_ids=IDS, attention_mask=mask, use_cache=False).logits.float()
    loaded.model.zero_grad()
    counted = logits if mask is None else logits[mask.bool()]
    counted.logsumexp(-1).square().sum().backward()
    gradients = {name: p.grad.clone() for name, p in loaded.model.named_parameters() if p.grad is not None}
    return logits.detach(), gradients


def relative_difference(one: torch.Tensor, other: torch.Tensor) -> float:
    return float((one - other).norm() / other.norm())


@pytest.mark.parametrize("prepack", [False, True])
def test_fused_layers_give_the_logits_and_gradients_of_peft(tiny_models_dir: Path, prepack: bool) -> None:
    loaded = load(tiny_models_dir)
    logits, gradients = logits_and_gradients(loaded)

    found = fuse_adapters(loaded, prepack=prepack)
    assert found == {"adapters": LORA_LAYERS, "prepacked weights": LORA_LAYERS * prepack}
    fused_logits, fused_gradients = logits_and_gradients(loaded)

    assert relative_difference(fused_logits, logits) < 1e-5
    assert fused_gradients.keys() == gradients.keys()
    assert len(gradients) == 2 * LORA_LAYERS
    # Another number of threads adds in another order: up to 3e-5 was seen.
    assert max(relative_difference(fused_gradients[name], gradients[name]) for name in gradients) < 1e-4


@pytest.mark.parametrize("prepack", [False, pytest.param(True, marks=IN_BFLOAT16)])
def test_in_bfloat16_fused_layers_are_as_near_to_float32_as_peft_is(tiny_models_dir: Path, prepack: bool) -> None:
    exact, _ = logits_and_gradients(load(tiny_models_dir))
    loaded = load(tiny_models_dir, dtype="bfloat16")
    of_peft, _ = logits_and_gradients(loaded)
    fuse_adapters(loaded, prepack=prepack)
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
    assert relative_difference(merged, tuned) < 1e-4
    assert relative_difference(base, tuned) > 1e-2


@pytest.mark.parametrize("lora", [{"use_dora": True}, {"lora_dropout": 0.1}])
def test_layers_that_compute_more_than_a_product_are_left_to_peft(tiny_models_dir: Path, lora: dict[str, Any]) -> None:
    found = fuse_adapters(load(tiny_models_dir, **lora), prepack=True)
    assert found == {"adapters": 0, "prepacked weights": 0}


def together(loaded: LoadedModel) -> set[frozenset[str]]:
    """The names of the layers that are computed as one."""
    by_layers: dict[int, set[str]] = {}
    for name, module in loaded.model.named_modules():
        if (forward := vars(module).get("forward")) is not None and hasattr(forward, "layers"):
            by_layers.setdefault(id(forward.layers), set()).add(".".join(name.split(".")[-3:]))
    return {frozenset(names) for names in by_layers.values() if len(names) > 1}


def test_prepacked_layers_that_read_the_same_are_one_product(tiny_models_dir: Path) -> None:
    loaded = load(tiny_models_dir)
    fuse_adapters(loaded, prepack=True)

    assert together(loaded) == {
        frozenset(f"{layer}.{name}" for name in names)
        for layer in range(2)
        for names in (
            ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
            ("mlp.gate_proj", "mlp.up_proj"),
        )
    }


def test_layers_on_their_own_are_computed_one_by_one(tiny_models_dir: Path) -> None:
    loaded = load(tiny_models_dir, target_modules=["q_proj", "o_proj", "up_proj"])
    assert fuse_adapters(loaded, prepack=True) == {"adapters": 6, "prepacked weights": 6}
    assert not together(loaded)


def test_a_layer_asked_out_of_turn_answers_about_what_it_was_given(tiny_models_dir: Path) -> None:
    loaded = load(tiny_models_dir)
    attention = loaded.model.base_model.model.model.layers[0].self_attn
    x, other = torch.randn(2, 3, 5, attention.q_proj.in_features)
    asked = [("k_proj", x), ("q_proj", other), ("k_proj", x), ("k_proj", x), ("v_proj", x), ("q_proj", x)]
    with torch.no_grad():
        expected = [getattr(attention, name)(given) for name, given in asked]
        fuse_adapters(loaded, prepack=True)
        found = [getattr(attention, name)(given) for name, given in asked]

    assert max(map(relative_difference, found, expected)) < 1e-5


def test_where_memory_holds_not_all_of_a_group_its_layers_are_prepacked_as_far_as_it_goes(
    tiny_models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = load(tiny_models_dir)
    logits, gradients = logits_and_gradients(loaded)
    queries = loaded.model.base_model.model.model.layers[0].self_attn.q_proj.base_layer.weight
    monkeypatch.setattr("playbook.trainer.fused_adapters.MOST_PREPACKED_BYTES", 2 * queries.nbytes)

    found = fuse_adapters(loaded, prepack=True)
    fused_logits, fused_gradients = logits_and_gradients(loaded)

    assert found == {"adapters": LORA_LAYERS, "prepacked weights": 1}
    assert relative_difference(fused_logits, logits) < 1e-5
    assert max(relative_difference(fused_gradients[name], gradients[name]) for name in gradients) < 1e-4


@pytest.mark.parametrize("dtype", [pytest.param("bfloat16", marks=IN_BFLOAT16)])
def test_after_prepacked_weights_were_let_go_a_layer_reads_the_weight_as_it_now_is(
    tiny_models_dir: Path, dtype: str
) -> None:
    loaded = load(tiny_models_dir, dtype=dtype)
    fuse_adapters(loaded, prepack=True)

    release_prepacked(loaded)
    assert not together(loaded)
    tuned = in_float32(loaded)
    fused, _ = logits_and_gradients(tuned)

    exact = load(tiny_models_dir, dtype=dtype)
    expected, _ = logits_and_gradients(in_float32(exact))
    assert relative_difference(fused, expected) < 1e-5


#: Small models by kind, and how many of their norms are plain RMS norms. Those of gemma3 multiply by 1 + weight, those
#: of cohere take the mean off, and qwen3 has two more in each layer; cohere turns neighbours, phi3 half of each head;
#: qwen2 has a bias under some.
KINDS: dict[str, tuple[Any, dict[str, Any], int]] = {
    "llama": (LlamaConfig, {}, 5),
    "qwen3": (Qwen3Config, {"head_dim": 8}, 9),
    "gemma3_text": (Gemma3TextConfig, {"head_dim": 8, "sliding_window": 4}, 0),
    "cohere": (CohereConfig, {}, 0),
    "phi3": (Phi3Config, {"partial_rotary_factor": 0.5, "pad_token_id": 0}, 5),
    "qwen2": (Qwen2Config, {}, 5),
}
ROTATED_OTHERWISE = {"cohere"}
PARTS_FUSED = {
    "llama": ("norms", "rotation", "attention"),
    "qwen3": ("norms", "rotation", "attention"),
    "gemma3_text": ("rotation", "attention"),
    "cohere": ("attention",),
    "phi3": ("norms", "rotation", "attention"),
    "qwen2": ("norms", "rotation", "attention"),
}


def random_model(kind: str, *, method: Method = Method.LORA, dtype: str = "float32") -> LoadedModel:
    config_of, more, _ = KINDS[kind]
    config = config_of(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, attn_implementation="eager", **more,
    )  # fmt: skip
    torch.manual_seed(4)
    base = AutoModelForCausalLM.from_config(config).to(getattr(torch, dtype))
    for name, parameter in base.named_parameters():
        if "norm" in name:  # all one at first, which would hide a weight that is left out
            torch.nn.init.normal_(parameter, mean=1.0, std=0.3)
        if name.endswith("bias"):  # all zero at first
            torch.nn.init.normal_(parameter, std=0.3)
    model = base if method is Method.FULL else with_lora(base, LoraSettings(r=4), seed=1)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return LoadedModel(model, method, torch.device("cpu"), dtype, "eager", False, 0, 0)


@pytest.mark.parametrize("prepack", [False, True])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_fused_model_of_any_kind_gives_its_own_logits_and_gradients(kind: str, padded: bool, prepack: bool) -> None:
    mask = torch.ones_like(IDS)
    mask[1, :3] = 0 if padded else 1
    logits, gradients = logits_and_gradients(random_model(kind), mask)
    loaded = random_model(kind)
    fused = fuse(loaded, prepack=prepack)
    fused_logits, fused_gradients = logits_and_gradients(loaded, mask)

    assert set(fused) == {"adapters", *PARTS_FUSED[kind], *(["prepacked weights"] if prepack else [])}

    seen = mask.bool()  # what padding gives is nobody's business
    assert relative_difference(fused_logits[seen], logits[seen]) < 1e-5
    assert fused_gradients.keys() == gradients.keys()
    assert max(relative_difference(fused_gradients[name], gradients[name]) for name in gradients) < 1e-4


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")  # torch's own, as it traces
def test_a_fused_model_whose_layers_are_compiled_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a long run on a GPU does it; here what goes into the graph is of interest, not the kernels made of it."""
    monkeypatch.setattr(
        torch.nn.Module,
        "compile",
        lambda module, **given: monkeypatch.setattr(
            module, "forward", torch.compile(module.forward, backend="eager", fullgraph=True, **given)
        ),
    )
    # Replaced on a CPU alone, for the whole process: a test before this one may have done it.
    rotate = modeling_llama.apply_rotary_pos_emb
    monkeypatch.setattr(modeling_llama, "apply_rotary_pos_emb", getattr(rotate, "replaced", rotate))
    loaded = random_model("llama")
    loaded.model.set_attn_implementation("sdpa")
    fuse_adapters(loaded)
    logits, gradients = logits_and_gradients(loaded)
    compile_layers(loaded.model)
    compiled_logits, compiled_gradients = logits_and_gradients(loaded)

    assert relative_difference(compiled_logits, logits) < 1e-5
    assert max(relative_difference(compiled_gradients[name], gradients[name]) for name in gradients) < 1e-5


@pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")  # peft asks for it by its old name
def test_prepacked_layers_that_compute_their_activations_twice_give_the_same() -> None:
    loaded = random_model("llama")
    loaded.model.train()
    logits, gradients = logits_and_gradients(loaded)
    loaded = random_model("llama")
    fuse(loaded, prepack=True)
    compute_activations_twice(loaded)
    loaded.model.train()
    with inputs_as_they_are(loaded):
        fused_logits, fused_gradients = logits_and_gradients(loaded)

    assert together(loaded)
    assert relative_difference(fused_logits, logits) < 1e-5
    assert max(relative_difference(fused_gradients[name], gradients[name]) for name in gradients) < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_computed_alike_is_replaced(kind: str) -> None:
    loaded = random_model(kind)

    assert fuse_norms(loaded) == KINDS[kind][2]
    assert fuse_rotation(loaded) == (kind not in ROTATED_OTHERWISE)
    assert fuse_rotation(loaded) == (kind not in ROTATED_OTHERWISE)  # once more is no other


def test_weights_that_are_trained_keep_their_norms_own_code() -> None:
    loaded = random_model("llama", method=Method.FULL)
    assert fuse_norms(loaded) == 0
    fuse(loaded)
    _, gradients = logits_and_gradients(loaded)

    assert {"model.norm.weight", "model.layers.0.input_layernorm.weight"} <= gradients.keys()


def test_fusing_draws_no_number_that_training_would_draw() -> None:
    loaded = random_model("llama")
    torch.manual_seed(9)
    before = torch.rand(1)
    torch.manual_seed(9)
    fuse(loaded)

    assert torch.equal(torch.rand(1), before)


def test_answers_are_computed_by_the_model_s_own_norms_and_rotation() -> None:
    loaded = random_model("llama")
    loaded.model.set_attn_implementation("eager")
    loaded.model.eval()
    fuse_adapters(loaded)
    with torch.inference_mode():
        own = loaded.model(input_ids=IDS, use_cache=False).logits
        fuse_norms(loaded)
        fuse_rotation(loaded)

        assert torch.equal(loaded.model(input_ids=IDS, use_cache=False).logits, own)
