"""The calculators against published figures; the number in each comment is where the figure stands in its source."""

import pytest

from playbook.library.calculators import (
    ModelShape,
    Precision,
    RunShape,
    Target,
    activation_bytes,
    full_memory,
    logit_bytes,
    lora_memory,
    lora_parameters,
    weight_bytes,
)

QWEN_3B = ModelShape(2048, 36, 11008, 151936, heads=16, kv_heads=2)
LLAMA_3B = ModelShape(3072, 28, 8192, 128256, heads=24, kv_heads=8)
LLAMA_7B = ModelShape(4096, 32, 11008, 32000, heads=32, kv_heads=32, tied_embeddings=False)
SMOLLM2 = ModelShape(576, 30, 1536, 49152, heads=9, kv_heads=3)
QUERY_VALUE = (Target.Q, Target.V)
MLP = (Target.GATE, Target.UP, Target.DOWN)


def _run(**changes: object) -> RunShape:
    values = {"batch": 4, "sequence": 512, "precision": Precision.BF16, "checkpointing": False, "logit_tokens": 512}
    return RunShape(**{**values, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("shape", "published"),
    [(QWEN_3B, 3_085_938_688), (LLAMA_3B, 3_212_749_824), (LLAMA_7B, 6_738_415_616), (SMOLLM2, 134_515_008)],
)
def test_parameters_of_known_models(shape: ModelShape, published: int) -> None:
    assert shape.parameters == pytest.approx(published, rel=1e-4)  # Qwen has biases, which are left out


def test_adapter_of_qwen_3b_has_the_published_size_and_share() -> None:
    adapter = lora_parameters(QWEN_3B, rank=16, targets=QUERY_VALUE)

    assert adapter == 3_686_400
    assert round(100 * adapter / (QWEN_3B.parameters + adapter), 4) == 0.1193


def test_a_square_matrix_costs_two_n_r() -> None:
    square = ModelShape(100, 1, 100, 10, heads=1, kv_heads=1)

    assert lora_parameters(square, rank=4, targets=(Target.Q,)) == 2 * 100 * 4


@pytest.mark.parametrize(
    ("rank", "targets", "megabytes"), [(32, QUERY_VALUE, 36.7), (64, QUERY_VALUE, 73.4), (10, MLP, 37.8)]
)
def test_adapter_files_of_the_metamathqa_comparison(rank: int, targets: tuple[Target, ...], megabytes: float) -> None:
    assert round(4 * lora_parameters(LLAMA_3B, rank=rank, targets=targets) / 1e6, 1) == megabytes


def test_lora_needs_far_less_than_full_tuning_without_activations() -> None:
    """Biderman et al. 2024, table S14: 112 GB with Adam against 15.12 GB with LoRA, 7B, 1 % of it trained."""
    parameters, trained = 7_000_000_000, 70_000_000

    assert 16 * parameters / 1e9 == 112
    assert (2 * parameters + 16 * trained) / 1e9 == 15.12
    run = _run()
    parts = {part.name: part.size_bytes for part in lora_memory(LLAMA_7B, run, rank=16, targets=tuple(Target))}
    adapter = lora_parameters(LLAMA_7B, rank=16, targets=tuple(Target))
    assert parts["Adapter"] + parts["Gradients"] + parts["Optimizer"] == 16 * adapter
    assert parts["Base weights"] == 2 * LLAMA_7B.parameters


def test_a_billion_parameters_in_16_bits_take_1863_mib() -> None:
    billion = ModelShape(1000, 1, 1000, 1_000_000_000 // 1000 - 7000 - 3, heads=1, kv_heads=1)

    assert billion.parameters == 1_000_000_000
    assert round(weight_bytes(billion, Precision.BF16) / 2**30, 3) == 1.863


def test_full_tuning_takes_18_bytes_a_parameter() -> None:
    parts = full_memory(SMOLLM2, _run())

    assert [part.name for part in parts] == [
        "Base weights", "Adapter", "Gradients", "Optimizer", "Activations", "Logits",
    ]  # fmt: skip
    assert sum(part.size_bytes for part in parts[:4]) == 18 * SMOLLM2.parameters


def test_double_quantisation_brings_65b_near_its_published_size() -> None:
    """QLoRA: 65B from more than 780 GB to less than 48 GB; 0.37 bit a parameter saved is about 3 GB."""
    llama_65b = ModelShape(8192, 80, 22016, 32000, heads=64, kv_heads=64, tied_embeddings=False)

    assert 12 * llama_65b.parameters / 1e9 == pytest.approx(780, rel=0.01)
    assert 33e9 < weight_bytes(llama_65b, Precision.NF4) < 48e9
    assert 0.373 / 8 * llama_65b.parameters / 1e9 == pytest.approx(3, abs=0.1)


def test_quantised_weights_keep_embeddings_in_16_bits() -> None:
    rest = SMOLLM2.parameters - SMOLLM2.linear_parameters

    assert weight_bytes(SMOLLM2, Precision.INT8) == SMOLLM2.linear_parameters + 2 * rest
    assert weight_bytes(SMOLLM2, Precision.FP32) == 4 * SMOLLM2.parameters


def test_activations_grow_with_tokens_and_shrink_with_checkpointing() -> None:
    tokens = 4 * 512 * 576

    assert activation_bytes(SMOLLM2, _run()) == tokens * 34 * 30
    assert activation_bytes(SMOLLM2, _run(checkpointing=True)) == tokens * (2 * 30 + 34)
    assert activation_bytes(SMOLLM2, _run(precision=Precision.FP32)) == 2 * tokens * 34 * 30


def test_logits_count_only_the_tokens_that_need_them() -> None:
    assert logit_bytes(SMOLLM2, _run()) == 8 * 4 * 512 * 49152
    assert logit_bytes(SMOLLM2, _run(logit_tokens=50)) == 8 * 4 * 50 * 49152


def test_every_part_states_formula_and_source() -> None:
    for precision in Precision:
        parts = lora_memory(SMOLLM2, _run(precision=precision), rank=8, targets=QUERY_VALUE)
        assert [part.name for part in parts if not (part.formula and part.source)] == []
