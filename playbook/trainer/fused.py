"""Puts operations written out by hand into a model: the same numbers with half the small steps and less memory.

On a CPU the small steps between two matrix products take nearly as long as the products. LoRA layers are those of
`fused_adapters`, what else a decoder layer does is in `operations`. Each of those takes the place of the model's own
code only where both give the same on random numbers; a model that does something of its own keeps it.
"""

import sys
from types import ModuleType
from typing import Any

import torch

from playbook.contracts.run_spec import Method
from playbook.trainer import operations
from playbook.trainer.decode import attend_in_groups
from playbook.trainer.fused_adapters import fuse_adapters
from playbook.trainer.model import LoadedModel

#: The function by which the models of transformers rotate queries and keys, one for each kind of model.
_ROTATE = "apply_rotary_pos_emb"


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
