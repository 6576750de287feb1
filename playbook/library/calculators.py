"""The arithmetic behind the calculator of memory: parameters and bytes of a LoRA run.

Pure functions on plain numbers; the site reads the inputs, bounds them and draws the results. Every formula names its
source, and `tests/library/test_calculators.py` checks it against published values. What reports use too, break-even and
the rows of a test, is in `scoring.costs` and `scoring.power`.
"""

from dataclasses import dataclass
from enum import StrEnum


class Target(StrEnum):
    """A linear layer of a Llama-like block, by the name that PEFT's `target_modules` knows."""

    Q = "q_proj"
    K = "k_proj"
    V = "v_proj"
    O = "o_proj"  # noqa: E741 - the letter is the layer's name in every paper
    GATE = "gate_proj"
    UP = "up_proj"
    DOWN = "down_proj"


class Precision(StrEnum):
    """How the frozen base weights are kept during training."""

    FP32 = "fp32"
    BF16 = "bf16"
    INT8 = "int8"
    NF4 = "nf4"


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a decoder-only model, as its `config.json` states them. `kv_heads` < `heads` is grouped-query
    attention. Biases (below 0.01 % of a model) are left out."""

    hidden_size: int
    layers: int
    intermediate_size: int
    vocabulary: int
    heads: int
    kv_heads: int
    tied_embeddings: bool = True

    def linear(self, target: Target) -> tuple[int, int]:
        """Return the inputs and outputs of a linear layer."""
        head_size = self.hidden_size // self.heads
        attention, keys = self.heads * head_size, self.kv_heads * head_size
        return {
            Target.Q: (self.hidden_size, attention),
            Target.K: (self.hidden_size, keys),
            Target.V: (self.hidden_size, keys),
            Target.O: (attention, self.hidden_size),
            Target.GATE: (self.hidden_size, self.intermediate_size),
            Target.UP: (self.hidden_size, self.intermediate_size),
            Target.DOWN: (self.intermediate_size, self.hidden_size),
        }[target]

    @property
    def linear_parameters(self) -> int:
        """Weights of all linear layers of all blocks: those that a quantised base keeps in few bits."""
        return self.layers * sum(rows * columns for rows, columns in map(self.linear, Target))

    @property
    def parameters(self) -> int:
        """All weights: linear layers, embeddings (twice unless tied) and norms."""
        embeddings = self.vocabulary * self.hidden_size * (1 if self.tied_embeddings else 2)
        norms = (2 * self.layers + 1) * self.hidden_size
        return self.linear_parameters + embeddings + norms


@dataclass(frozen=True)
class RunShape:
    """One training run: tokens and precision. `logit_tokens`: tokens of a row for which logits are computed; all of
    them unless the trainer computes logits at supervised tokens alone."""

    batch: int
    sequence: int
    precision: Precision
    checkpointing: bool
    logit_tokens: int


@dataclass(frozen=True)
class MemoryPart:
    """A share of the memory, with how it is computed and who says so."""

    name: str
    size_bytes: float
    formula: str
    source: str


def lora_parameters(shape: ModelShape, *, rank: int, targets: tuple[Target, ...]) -> int:
    """Return how many numbers the adapter holds: rank x (inputs + outputs) for each adapted layer.

    Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021, section 4.1.

    >>> qwen = ModelShape(2048, 36, 11008, 151936, heads=16, kv_heads=2)
    >>> lora_parameters(qwen, rank=16, targets=(Target.Q, Target.V))
    3686400
    """
    return shape.layers * rank * sum(sum(shape.linear(target)) for target in targets)


def lora_memory(shape: ModelShape, run: RunShape, *, rank: int, targets: tuple[Target, ...]) -> tuple[MemoryPart, ...]:
    """Return what a LoRA step keeps in memory at its peak, part by part. An estimate: a framework adds its own."""
    trained = lora_parameters(shape, rank=rank, targets=targets)
    adam = "Transformers documentation: AdamW keeps two fp32 numbers a trained parameter"
    return (
        MemoryPart("Base weights", weight_bytes(shape, run.precision), *_WEIGHTS[run.precision]),
        MemoryPart("Adapter", 4 * trained, "4 bytes × adapter parameters (fp32)", "Hu et al., 2021, section 4.1"),
        MemoryPart("Gradients", 4 * trained, "4 bytes × adapter parameters", "Transformers documentation"),
        MemoryPart("Optimizer", 8 * trained, "8 bytes × adapter parameters", adam),
        *_activations_and_logits(shape, run),
    )


def full_memory(shape: ModelShape, run: RunShape) -> tuple[MemoryPart, ...]:
    """Return the same for full tuning in mixed precision: 18 bytes a parameter, then activations and logits.

    Source: Transformers documentation, "Model training anatomy": 6 bytes of weights, 4 of gradients, 8 of AdamW.
    """
    source = "Transformers documentation, model training anatomy"
    return (
        MemoryPart("Base weights", 6 * shape.parameters, "6 bytes × parameters (bf16 and an fp32 copy)", source),
        MemoryPart("Adapter", 0, "none", ""),
        MemoryPart("Gradients", 4 * shape.parameters, "4 bytes × parameters", source),
        MemoryPart("Optimizer", 8 * shape.parameters, "8 bytes × parameters", source),
        *_activations_and_logits(shape, run),
    )


_NF4_BITS = 4.127
_WEIGHTS = {
    Precision.FP32: ("4 bytes × parameters", "arithmetic"),
    Precision.BF16: ("2 bytes × parameters", "PEFT documentation: 1B at 16 bits is 1.863 GiB"),
    Precision.INT8: ("1 byte × linear weights + 2 bytes × the rest", "arithmetic"),
    Precision.NF4: (
        f"{_NF4_BITS} bits × linear weights + 2 bytes × the rest",
        "Dettmers et al., QLoRA, 2023: 4 bits and 0.127 for the doubly quantised constants",
    ),
}


def weight_bytes(shape: ModelShape, precision: Precision) -> float:
    """Return the bytes of the frozen weights. Quantisation reaches the linear layers alone; embeddings stay 16-bit."""
    if precision is Precision.FP32:
        return 4 * shape.parameters
    if precision is Precision.BF16:
        return 2 * shape.parameters
    bits = 8 if precision is Precision.INT8 else _NF4_BITS
    return shape.linear_parameters * bits / 8 + 2 * (shape.parameters - shape.linear_parameters)


def activation_bytes(shape: ModelShape, run: RunShape) -> float:
    """Return the bytes of activations kept for the backward pass, with an attention that never stores its matrix.

    34 bytes x batch x sequence x hidden a layer in 16 bits; with checkpointing 2 bytes for the input of each layer,
    and one layer whole while it is computed again. Source: Korthikanti et al., "Reducing Activation Recomputation in
    Large Transformer Models", 2022, equations 1 and 2; written for an MLP four times as wide as the hidden size.
    """
    width = 2 if run.precision is Precision.FP32 else 1
    tokens = run.batch * run.sequence * shape.hidden_size * width
    return tokens * (2 * shape.layers + 34) if run.checkpointing else tokens * 34 * shape.layers


def logit_bytes(shape: ModelShape, run: RunShape) -> float:
    """Return the bytes of the logits in fp32 and of their gradient: 8 x batch x tokens x vocabulary."""
    return 8 * run.batch * run.logit_tokens * shape.vocabulary


def _activations_and_logits(shape: ModelShape, run: RunShape) -> tuple[MemoryPart, MemoryPart]:
    kept = "(2 × layers + 34)" if run.checkpointing else "34 × layers"
    return (
        MemoryPart(
            "Activations",
            activation_bytes(shape, run),
            f"batch × sequence × hidden size × {kept}{' × 2 (fp32)' if run.precision is Precision.FP32 else ''}",
            "Korthikanti et al., Reducing Activation Recomputation, 2022",
        ),
        MemoryPart("Logits", logit_bytes(shape, run), "8 bytes × batch × tokens × vocabulary", "arithmetic"),
    )
