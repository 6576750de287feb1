"""A linear layer with its adapter as one operation, forward and backward: the same numbers with half the small steps.

peft adds base and adapter layer by layer, each a matrix product, a scaling, an addition and casts between float32 and
the compute dtype. On a CPU these small steps take longer than the products. Written out after Hu et al. 2021, 4.1:

    y = x Wᵀ + s (x Aᵀ) Bᵀ,  and back:  h = s dy B,  dA = hᵀ x,  dB = s dyᵀ (x Aᵀ),  dx = dy W + h A
"""

from typing import Any

import torch
from peft.tuners.lora import Linear as LoraLinear

from playbook.trainer.model import LoadedModel

_ADAPTER = "default"


class _LinearWithAdapter(torch.autograd.Function):
    """x (..., in) → (..., out). W (out, in): frozen, in the compute dtype. A (r, in), B (out, r): float32, trained."""

    @staticmethod
    def forward(ctx: Any, x: Any, weight: Any, bias: Any, a: Any, b: Any, scaling: float) -> torch.Tensor:
        flat = x.reshape(-1, x.shape[-1]).to(weight.dtype)
        a, b = a.to(weight.dtype), b.to(weight.dtype) * scaling
        inner = flat @ a.T
        out = flat @ weight.T if bias is None else torch.addmm(bias, flat, weight.T)
        out.addmm_(inner, b.T)
        ctx.save_for_backward(flat, weight, a, b, inner)
        ctx.scaling, ctx.shape, ctx.dtype = scaling, x.shape, x.dtype
        return out.reshape(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        flat, weight, a, b, inner = ctx.saved_tensors
        dy = gradient.reshape(-1, gradient.shape[-1]).to(weight.dtype)
        back = dy @ b
        da = (back.T @ flat).float()
        db = (dy.T @ inner).float() * ctx.scaling
        dx = None
        if ctx.needs_input_grad[0]:
            dx = (dy @ weight).addmm_(back, a).reshape(ctx.shape).to(ctx.dtype)
        return dx, None, None, da, db, None


def fuse_adapters(loaded: LoadedModel) -> int:
    """Compute every plain LoRA layer of the model as one operation and return how many those are.

    DoRA, dropout, 4-bit weights and layers that are no linear module keep peft's own way.
    """
    fused = 0
    for module in loaded.model.modules():
        if isinstance(module, LoraLinear) and _is_plain(module):
            module.forward = _forward_of(module)
            fused += 1
    return fused


def _is_plain(module: Any) -> bool:
    return (
        type(module.base_layer) is torch.nn.Linear
        and list(module.lora_A) == [_ADAPTER]
        and not module.lora_variant
        and type(module.lora_dropout[_ADAPTER]) is torch.nn.Identity
    )


def _forward_of(module: Any) -> Any:
    peft_forward = module.forward

    def forward(x: torch.Tensor) -> Any:
        if module.disable_adapters or module.merged:
            return peft_forward(x)
        base = module.base_layer
        a, b = module.lora_A[_ADAPTER].weight, module.lora_B[_ADAPTER].weight
        return _LinearWithAdapter.apply(x, base.weight, base.bias, a, b, module.scaling[_ADAPTER])  # type: ignore[no-untyped-call]

    return forward
