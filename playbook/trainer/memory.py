"""How much memory training will take, by component, from config.json and the rows alone. Plain arithmetic, no torch.

The shape is that of a Llama-like decoder (attention with grouped keys, a gated MLP), which nearly all small base models
have; `_KINDS` says what others do. The constants of activations count what autograd keeps of a layer, tensor by tensor;
`make bench` holds the sum against the measured peak of the sample job.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from playbook.contracts.run_spec import LoraSettings, Method, RunSpec, TrainingSettings
from playbook.trainer.data import Row, rows_of_step
from playbook.trainer.layout import WINDOWS, Layout, joined_tokens, shared_tokens

_FLOAT32 = 4
#: 4 bits a weight and the scales of its block, 0.127 bit (QLoRA, Dettmers et al. 2023, section 3).
_NF4_BYTES = 4.127 / 8
#: Python with torch, transformers and peft loaded, the tokenizer and the kernels' scratch space. On a GPU: cuBLAS.
_RUNTIME_BYTES = {"cpu": 700_000_000, "cuda": 100_000_000}
#: A frozen weight is prepacked for x Wᵀ and for dy W (`prepacked`), up to so many bytes of all layers together: a model
#: of 135M parameters takes 0.4 GB in bfloat16, 0.9 GB in float32.
PREPACKED_COPIES = 2
MOST_PREPACKED_BYTES = 2**30
#: Steps whose rows are looked at for the largest batch; rows of one step are alike in length, so few suffice.
_STEPS_LOOKED_AT = 200


@dataclass(frozen=True)
class Kind:
    """What a layer of a kind of model keeps. `norms`: those as wide as the hidden states; `query_norms`: queries and
    keys have some too. `wide_norms`: they count in float32 by code of their own, which `fused` leaves alone. `between`:
    tensors as wide as the MLP that its activation keeps, and the input of the last product. `own_attention`:
    transformers lets nobody else compute it, so that it keeps its weights in float32 too, and repeated keys."""

    norms: int = 2
    query_norms: bool = False
    wide_norms: bool = False
    between: int = 4
    own_attention: bool = False


#: By model_type; a kind that is not named is as Llama. A plain MLP keeps what goes into its activation and what goes
#: into the last product; GELU written out by its formula keeps four steps of it.
_KINDS = {
    "gemma": Kind(wide_norms=True),
    "gemma2": Kind(norms=4, wide_norms=True),
    "gemma3_text": Kind(norms=4, query_norms=True, wide_norms=True),
    "qwen3": Kind(query_norms=True),
    "qwen3_moe": Kind(query_norms=True),
    "olmo2": Kind(query_norms=True),
    "stablelm": Kind(own_attention=True),
    "bloom": Kind(own_attention=True),
    "gpt2": Kind(between=5),
    "phi": Kind(between=5),
    "gpt_neox": Kind(between=2),
    "starcoder2": Kind(between=2),
    "opt": Kind(between=2),
}


@dataclass(frozen=True)
class Shape:
    """Widths of a decoder: `attention` = heads x head size, `keys` = key/value heads x head size."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    attention: int
    keys: int
    vocabulary: int
    tied: bool

    @classmethod
    def of(cls, config: Any) -> "Shape":
        """Read a transformers configuration; what it does not name is taken as a plain multi-head decoder has it."""
        hidden = config.hidden_size
        heads = config.num_attention_heads
        size = getattr(config, "head_dim", None) or hidden // heads
        return cls(
            hidden=hidden,
            intermediate=_widest(getattr(config, "intermediate_size", None)) or 4 * hidden,
            layers=config.num_hidden_layers,
            heads=heads,
            attention=heads * size,
            keys=(getattr(config, "num_key_value_heads", None) or heads) * size,
            vocabulary=config.vocab_size,
            tied=bool(getattr(config, "tie_word_embeddings", False)),
        )

    @property
    def linear(self) -> dict[str, tuple[int, int]]:
        """Return (in, out) of each linear module of a layer, by the name that target_modules uses."""
        return {
            "q_proj": (self.hidden, self.attention),
            "k_proj": (self.hidden, self.keys),
            "v_proj": (self.hidden, self.keys),
            "o_proj": (self.attention, self.hidden),
            "gate_proj": (self.hidden, self.intermediate),
            "up_proj": (self.hidden, self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }

    @property
    def embedding_parameters(self) -> int:
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def layer_parameters(self) -> int:
        return self.layers * (sum(wide * out for wide, out in self.linear.values()) + 2 * self.hidden) + self.hidden

    @property
    def parameters(self) -> int:
        return self.embedding_parameters + self.layer_parameters

    def adapter_parameters(self, lora: LoraSettings) -> int:
        """Return r (in + out) summed over the adapted modules, and with DoRA a magnitude for each output."""
        return sum(lora.r * (wide + out) + (out if lora.use_dora else 0) for wide, out in self.adapted(lora))

    def adapted(self, lora: LoraSettings) -> list[tuple[int, int]]:
        """Return (in, out) of each linear module that gets an adapter."""
        modules = self.adapted_in_a_layer(lora) * self.layers
        return [*modules, (self.hidden, self.vocabulary)] if "lm_head" in lora.target_modules else modules

    def adapted_in_a_layer(self, lora: LoraSettings) -> list[tuple[int, int]]:
        if lora.target_modules == "all-linear":
            return [*self.linear.values()]
        wanted = (lora.target_modules,) if isinstance(lora.target_modules, str) else lora.target_modules
        return [self.linear[name] for name in wanted if name in self.linear]


def _widest(size: Any) -> int:
    """Return a width; of a list with one for each layer the largest."""
    return int(max(size) if isinstance(size, list | tuple) else size or 0)


@dataclass(frozen=True)
class Pass:
    """One forward and backward pass: `positions` with padding, `width` of the longest row, `learned` positions.
    `attended`: positions that attention sees, where that is not as many."""

    positions: int
    width: int
    learned: int
    attended: int | None = None


def largest_pass(rows: Sequence[Row], training: TrainingSettings, layout: Layout, *, seed: int) -> Pass:
    """Return the micro-batch that needs the most among the first steps of the run, in the order they will be made."""
    size = training.per_device_train_batch_size
    per_step = size * training.gradient_accumulation_steps
    lengths = tuple(len(row.encoded.input_ids) for row in rows)
    steps = min(training.max_steps, _STEPS_LOOKED_AT)
    seen: list[Pass] = []
    for step in range(steps):
        chosen = rows_of_step(lengths, step=step, rows_per_step=per_step, seed=seed)
        seen += [pass_of([rows[index] for index in chosen[at : at + size]], layout) for at in range(0, per_step, size)]
    return max(seen, key=lambda one: one.positions * one.width)


def pass_of(rows: Sequence[Row], layout: Layout) -> Pass:
    lengths = [len(row.encoded.input_ids) for row in rows]
    learned = sum(row.encoded.supervised_tokens for row in rows)
    if layout is Layout.PACKED:
        return Pass(sum(lengths), sum(lengths), learned)
    padded = max(lengths) * len(rows)
    if layout is Layout.JOINED and len(rows) > 1:
        return Pass(joined_tokens(lengths, shared_tokens(rows)), max(lengths), learned, attended=padded)
    return Pass(padded, max(lengths), learned)


def expected_layout(config: Any, spec: RunSpec, *, attention: str, device: str, longest: int) -> Layout:
    """Return how rows will presumably lie (`loss.joins_exactly`), before there is a model to ask."""
    kind = _KINDS.get(getattr(config, "model_type", ""), Kind())
    plain = not (kind.own_attention or _capped(config) or _drops(config) or spec.lora.lora_dropout)
    seen = min(getattr(config, name, None) or longest for name in WINDOWS)
    if device == "cpu" and attention == "eager" and spec.method is Method.LORA and plain and seen >= longest:
        return Layout.JOINED
    return Layout.PACKED if spec.training.packing else Layout.PADDED


def estimate_memory(
    config: Any,
    spec: RunSpec,
    *,
    one: Pass,
    compute_dtype: str,
    attention: str,
    device: str,
    checkpointing: bool,
    prepack: bool,
) -> dict[str, int]:
    """Return bytes by component at the peak of a training step: the backward pass of `one`, the largest micro-batch.

    `attention`: the transformers implementation; eager keeps the weights (heads, width, width) that others recompute,
    and with it adapters train by `operations`, which keep less. Not all of a model may be computed so (`fused`): scores
    that are capped, adapters with dropout and DoRA keep more. `prepack`: weights under plain adapters are held in
    prepacked copies too.
    """
    shape = Shape.of(config)
    half = 2 if compute_dtype == "bfloat16" else _FLOAT32
    full = spec.method is Method.FULL
    trained = shape.parameters if full else shape.adapter_parameters(spec.lora)
    if full:
        # Under autocast each weight is cast once a step, and the cast copy lives as long as the activations.
        base_weights = shape.parameters * (_FLOAT32 + (half if half < _FLOAT32 else 0))
    elif spec.method is Method.QLORA:
        base_weights = int(shape.layer_parameters * _NF4_BYTES) + shape.embedding_parameters * half
    else:
        base_weights = shape.parameters * half
    kind = _KINDS.get(getattr(config, "model_type", ""), Kind())
    eager = attention == "eager"
    # On a CPU adapters are trained by `operations`; a GPU has kernels of its own, and full tuning its own way.
    fused = device == "cpu" and not full
    layers = one.positions * (
        _fused_layer_bytes(shape, kind, half=half) if fused else _layer_bytes(shape, kind, half=half)
    )
    attended = one.attended or one.positions
    layers += attended * _attention_bytes(shape, kind, config, one.width if eager else 0, half=half, fused=fused)
    # Queries, keys and values are kept as attention sees them.
    layers += (attended - one.positions) * half * (shape.attention + 2 * shape.keys)
    if not full:
        layers += one.positions * _adapter_bytes(shape, spec.lora, half=half)
    if checkpointing:
        activations = shape.layers * one.positions * shape.hidden * half + layers
    else:
        activations = shape.layers * layers
    return {
        "base_weights": base_weights,
        "prepacked_weights": _prepacked_bytes(shape, spec, half=half) if prepack else 0,
        "adapter": 0 if full else trained * _FLOAT32,
        "gradients": trained * _FLOAT32,
        "optimizer": 2 * trained * _FLOAT32,
        "activations": activations,
        # Their gradient takes their place.
        "logits": one.learned * shape.vocabulary * half,
        "runtime": _RUNTIME_BYTES[device],
    }


def _prepacked_bytes(shape: Shape, spec: RunSpec, *, half: int) -> int:
    """Return what copies of the weights under plain adapters take, in the layout that the CPU's kernels read."""
    if spec.method is not Method.LORA or spec.lora.use_dora or spec.lora.lora_dropout:
        return 0
    left = MOST_PREPACKED_BYTES
    for wide, out in shape.adapted(spec.lora):
        size = PREPACKED_COPIES * half * wide * out
        left -= size if size <= left else 0
    return MOST_PREPACKED_BYTES - left


def _fused_layer_bytes(shape: Shape, kind: Kind, *, half: int) -> int:
    """Return what `operations` keep of one layer and position: what goes into each norm and product."""
    norms = (_FLOAT32 if kind.wide_norms else half) * _normed(shape, kind)
    return norms + half * (2 * shape.hidden + 2 * shape.attention + 2 * shape.keys + kind.between * shape.intermediate)


def _normed(shape: Shape, kind: Kind) -> int:
    """Return how many numbers of a position the norms of a layer read."""
    return kind.norms * shape.hidden + (shape.attention + shape.keys if kind.query_norms else 0)


def _attention_bytes(shape: Shape, kind: Kind, config: Any, width: int, *, half: int, fused: bool) -> int:
    """Return what is kept of attention for a position beyond queries, keys and values. `width`: of the longest row
    where weights are kept, else 0.

    `operations` keep the weights, a model's own code what they are made of and repeated keys too. Nobody else computes
    capped scores. With dropout PyTorch's plain way is taken, all of it in float32.
    """
    each = shape.heads * width
    if _drops(config):
        return _FLOAT32 * (3 * each + 3 * shape.attention)
    capped = _capped(config)
    if fused and not (kind.own_attention or capped):
        return half * each
    repeated = 2 * half * (shape.attention - shape.keys) if width else 0
    weights = _FLOAT32 + (half if half < _FLOAT32 else 0)  # as softmax gives them and as they are multiplied
    return each * (weights + (2 * half if capped else 0)) + repeated


def _drops(config: Any) -> bool:
    return bool(getattr(config, "attn_pdrop", 0) or getattr(config, "attention_dropout", 0))


def _capped(config: Any) -> bool:
    return getattr(config, "attn_logit_softcapping", None) is not None


def _adapter_bytes(shape: Shape, lora: LoraSettings, *, half: int) -> int:
    """Return what adapters keep of a layer and position beyond the input of each product: what lies between their two
    matrices, with dropout what was dropped and by which mask, with DoRA what base and adapter gave."""
    adapted = shape.adapted_in_a_layer(lora)
    inner = lora.r * len(adapted)
    kept = 0
    if lora.lora_dropout:
        kept += sum(2 * wide for wide, _ in adapted) - 2 * shape.hidden - shape.attention - shape.intermediate
    if lora.use_dora:
        kept += sum(2 * out + out // 2 for _, out in adapted)
    return (inner + max(0, kept)) * half


def _layer_bytes(shape: Shape, kind: Kind, *, half: int) -> int:
    """Return what autograd keeps of one layer and position: norms in float32, projections, rotation, gated MLP."""
    norms = (2 * _FLOAT32 + 2 * half) * _normed(shape, kind)
    attention = half * (4 * shape.attention + 4 * shape.keys) + half * 2 * shape.attention
    mlp = half * (shape.hidden + kind.between * shape.intermediate)
    return norms + attention + mlp
