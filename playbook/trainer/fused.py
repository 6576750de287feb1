"""Puts operations written out by hand into a model: the same numbers with half the small steps and less memory.

On a CPU the small steps between two matrix products take nearly as long as the products. peft adds base and adapter
layer by layer, each a matrix product, a scaling, an addition and casts between float32 and the compute dtype. Written
out after Hu et al. 2021, 4.1:

    y = x Wᵀ + s (x Aᵀ) Bᵀ,  and back:  h = s dy B,  dA = hᵀ x,  dB = s dyᵀ (x Aᵀ),  dx = dy W + h A

What else a decoder layer does is in `operations`. Each takes the place of the model's own code only where both give the
same on random numbers; a model that does something of its own keeps it.
"""

import sys
from types import ModuleType
from typing import Any

import torch
from peft.tuners.lora import Linear as LoraLinear

from playbook.contracts.run_spec import Method
from playbook.trainer import operations
from playbook.trainer.decode import attend_in_groups
from playbook.trainer.memory import MOST_PREPACKED_BYTES
from playbook.trainer.model import LoadedModel
from playbook.trainer.prepacked import Budget, Plain, Prepacked

_ADAPTER = "default"
#: The function by which the models of transformers rotate queries and keys, one for each kind of model.
_ROTATE = "apply_rotary_pos_emb"


class _LinearWithAdapter(torch.autograd.Function):
    """x (..., in) → (..., out). W (out, in): frozen, in the compute dtype. A (r, in), B (out, r): float32, trained."""

    @staticmethod
    def forward(ctx: Any, x: Any, frozen: Plain | Prepacked, a: Any, b: Any, scaling: float) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1]).to(frozen.dtype)
        a, b = a.to(frozen.dtype), b.to(frozen.dtype)
        inner = flat @ a.T
        out = frozen.forward(flat).addmm_(inner, b.T, alpha=scaling)
        ctx.save_for_backward(flat, a, b, inner)
        ctx.frozen, ctx.scaling, ctx.shape, ctx.dtype = frozen, scaling, x.shape, x.dtype
        return out.reshape(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        flat, a, b, inner = ctx.saved_tensors
        dy = gradient.reshape(-1, gradient.shape[-1]).to(ctx.frozen.dtype)
        back = dy @ b
        da = operations.scaled_product(back.T, flat, ctx.scaling).float()
        # A few rows times many columns take half as long as many rows times a few columns.
        db = operations.scaled_product(inner.T, dy, ctx.scaling).T.float()
        dx = None
        if ctx.needs_input_grad[0]:
            dx = ctx.frozen.back(dy).addmm_(back, a, alpha=ctx.scaling).reshape(ctx.shape).to(ctx.dtype)
        return dx, None, da, db, None


def fuse(loaded: LoadedModel, *, prepack: bool = False) -> dict[str, int]:
    """Have `loaded`, which is to be trained, compute what it can by operations written out here. `prepack`: with
    prepacked weights, which was found to pay here.

    Norms, rotation and attention on a CPU alone, where the small steps cost; a GPU has fused kernels (SDPA, Liger).
    Returns what was replaced and in how many places, to be told.
    """
    fused = fuse_adapters(loaded, prepack=prepack)
    if loaded.device.type == "cpu" and loaded.method is not Method.FULL:
        fused |= {"norms": fuse_norms(loaded), "rotation": fuse_rotation(loaded)}
        fused["attention"] = int(loaded.attention == "eager" and attend_in_groups(loaded.model))
    return {name: places for name, places in fused.items() if places}


def fuse_adapters(loaded: LoadedModel, *, prepack: bool = False) -> dict[str, int]:
    """Compute every plain LoRA layer of the model as one operation, with its base weight prepacked if `prepack`.

    DoRA, dropout, 4-bit weights and layers that are no linear module keep peft's own way. Returns how many layers were
    fused, and how many of them prepacked, which `release_prepacked` ends.
    """
    budget = Budget(MOST_PREPACKED_BYTES if prepack else 0)
    fused = 0
    for module in loaded.model.modules():
        if isinstance(module, LoraLinear) and _is_plain(module):
            module.forward = _FusedLayer(module, budget.prepack(module.base_layer))
            fused += 1
    return {"adapters": fused, "prepacked weights": budget.prepacked}


def release_prepacked(loaded: LoadedModel) -> None:
    """Let go of prepacked weights: after training, before anything writes to the weights that they are copies of."""
    for module in loaded.model.modules():
        forward = vars(module).get("forward")
        if isinstance(forward, _FusedLayer):
            forward.prepacked = None


def _is_plain(module: Any) -> bool:
    return (
        type(module.base_layer) is torch.nn.Linear
        and list(module.lora_A) == [_ADAPTER]
        and not module.lora_variant
        and type(module.lora_dropout[_ADAPTER]) is torch.nn.Identity
    )


class _FusedLayer:
    """Stands in for the forward of a LoRA layer. `prepacked`: copies of its base weight, where those are quicker."""

    def __init__(self, module: Any, prepacked: Prepacked | None) -> None:
        self._module, self._own_forward, self.prepacked = module, module.forward, prepacked

    def __call__(self, x: torch.Tensor) -> Any:
        module = self._module
        if module.disable_adapters or module.merged:
            return self._own_forward(x)
        frozen = self.prepacked or Plain(module.base_layer.weight, module.base_layer.bias)
        a, b = module.lora_A[_ADAPTER].weight, module.lora_B[_ADAPTER].weight
        return _LinearWithAdapter.apply(x, frozen, a, b, module.scaling[_ADAPTER])  # type: ignore[no-untyped-call]


def fuse_norms(loaded: LoadedModel) -> int:
    """Compute every frozen RMS norm of the model as one operation and return how many those are."""
    proved: dict[type, bool] = {}
    fused = 0
    for module in loaded.model.modules():
        weight, epsilon = getattr(module, "weight", None), getattr(module, "variance_epsilon", None)
        if not isinstance(weight, torch.nn.Parameter) or weight.requires_grad or not isinstance(epsilon, float):
            continue
        if type(module) not in proved:
            proved[type(module)] = _is_rms_norm(module)
        if proved[type(module)]:
            module.forward = _norm_of(module)
            fused += 1
    return fused


@torch.no_grad()
def _is_rms_norm(module: Any) -> bool:
    (x,) = _random((3, module.weight.shape[-1]), dtype=module.weight.dtype)
    try:
        own = module(x)
    except (RuntimeError, TypeError):
        return False  # it wants more than x
    return _same(own, operations.norm(x, module.weight, module.variance_epsilon))


def _norm_of(module: Any) -> Any:
    own = module.forward

    def forward(x: torch.Tensor) -> Any:
        return operations.norm(x, module.weight, module.variance_epsilon) if torch.is_grad_enabled() else own(x)

    return forward


def fuse_rotation(loaded: LoadedModel) -> int:
    """Rotate queries and keys by one operation each, in all modules of transformers that the model's layers come from.

    Returns how many those are. A module rotates by a function of its own, so that it changes for the whole process.
    """
    names = {type(module).__module__ for module in loaded.model.modules()}
    return sum(
        _replace_rotation(sys.modules[name]) for name in sorted(names) if name.startswith("transformers.models.")
    )


def _replace_rotation(module: ModuleType) -> bool:
    own = getattr(module, _ROTATE, None)
    if own is None:
        return False
    if not hasattr(own, "replaced"):
        if not _is_rotation(own):
            return False
        setattr(module, _ROTATE, _rotation_of(own))
    return True


@torch.no_grad()
def _is_rotation(own: Any) -> bool:
    q, k, cos, sin = _random((2, 3, 5, 8), (2, 1, 5, 8), (2, 5, 8), (2, 5, 8), dtype=torch.float32)
    try:
        found = own(q, k, cos, sin)
    except (RuntimeError, TypeError):
        return False  # it wants more, or other shapes
    ours = (operations.rotated(x, cos.unsqueeze(1), sin.unsqueeze(1)) for x in (q, k))
    return isinstance(found, tuple) and all(map(_same, found, ours))


def _rotation_of(own: Any) -> Any:
    def rotate(q: torch.Tensor, k: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, *more: Any, **named: Any) -> Any:
        plain = not more and not named and q.ndim == 4 and cos.ndim == 3 and cos.shape[-1] == q.shape[-1]
        if not plain or not torch.is_grad_enabled():
            return own(q, k, cos, sin, *more, **named)
        cos, sin = cos.unsqueeze(1), sin.unsqueeze(1)
        return operations.rotated(q, cos, sin), operations.rotated(k, cos, sin)

    rotate.replaced = own  # type: ignore[attr-defined]
    return rotate


def _random(*shapes: tuple[int, ...], dtype: torch.dtype) -> list[torch.Tensor]:
    # Of a generator of its own: what training draws must not depend on how often something was tried.
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(shape, generator=generator).to(dtype) for shape in shapes]


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    # In bfloat16 two ways to round differ by a unit in the last of 8 bits.
    tolerance = 1e-5 if one.dtype is torch.float32 else 0.01
    return one.shape == other.shape and bool(torch.allclose(one, other, rtol=tolerance, atol=tolerance))
