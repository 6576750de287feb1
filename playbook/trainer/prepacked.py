"""Frozen weights of linear layers in the layout that the kernels of a CPU read, brought into it once.

oneDNN copies a weight into blocks at every product, to read it in the order that it multiplies in. What is never
trained can stay so: on two cores of an EPYC 9004 the products of the sample model's shapes took a twelfth less time in
bfloat16 and a quarter less than MKL's in float32. Forward and back read it along different sides, so that each weight
is held twice more: it is done where it is quicker, within a `Budget`.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import torch

from playbook.trainer.memory import PREPACKED_COPIES

#: Rows that the layout is chosen for; it serves any number. A step of the sample job has about as many tokens.
_ROWS = 448
_TRIES = 5


@dataclass(frozen=True)
class Plain:
    """A weight W (out, in) that is not trained, and the two products that a step makes with it."""

    weight: torch.Tensor
    bias: torch.Tensor | None = None

    @property
    def dtype(self) -> torch.dtype:
        return self.weight.dtype

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return x Wᵀ + bias, (n, out), for x (n, in)."""
        return x @ self.weight.T if self.bias is None else torch.addmm(self.bias, x, self.weight.T)

    def back(self, gradient: torch.Tensor) -> torch.Tensor:
        """Return dy W, (n, in), for dy (n, out)."""
        return gradient @ self.weight


class Prepacked:
    """The products of `Plain`, from prepacked copies."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None = None) -> None:
        self.dtype = weight.dtype
        self._bias, self._forward, self._back = bias, _prepacked(weight), _prepacked(weight.T.contiguous())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return _product(x, self._forward, self._bias)

    def back(self, gradient: torch.Tensor) -> torch.Tensor:
        return _product(gradient, self._back, None)


def _prepacked(weight: torch.Tensor) -> torch.Tensor:
    packed: torch.Tensor = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), _ROWS)
    return packed


def _product(x: torch.Tensor, packed: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(x, packed, bias, "none", [], "")
    return product


class Budget:
    """Prepacks the weights of one layer after another until `most_bytes` of copies are held. `prepacked`: how many."""

    def __init__(self, most_bytes: int) -> None:
        self._left = most_bytes
        self.prepacked = 0

    def prepack(self, layers: Sequence[torch.nn.Linear]) -> Prepacked | None:
        """Return prepacked copies of the layers' weights, those of one below those of the other, or nothing when they
        are beyond the budget."""
        size = sum(PREPACKED_COPIES * layer.weight.numel() * layer.weight.element_size() for layer in layers)
        if size > self._left:
            return None
        self._left -= size
        self.prepacked += len(layers)
        return Prepacked(torch.cat([layer.weight.detach() for layer in layers]), _joined_bias(layers))


def _joined_bias(layers: Sequence[torch.nn.Linear]) -> torch.Tensor | None:
    if all(layer.bias is None for layer in layers):
        return None
    return torch.cat(
        [layer.weight.new_zeros(len(layer.weight)) if layer.bias is None else layer.bias for layer in layers]
    )


@cache
def prepacking_pays(compute_dtype: str) -> bool:
    """Tell whether products with prepacked weights give the plain ones and are quicker here. Measured once a process.

    Over weights that the cache does not hold from one product to the next, as in a model.
    """
    dtype = getattr(torch, compute_dtype)
    generator = torch.Generator().manual_seed(1)
    size, many = 576, 24
    x = torch.randn(_ROWS, size, generator=generator).to(dtype)
    weight = (torch.randn(size, size, generator=generator) / size**0.5).to(dtype)
    try:
        plain: list[Plain | Prepacked] = [Plain(weight.clone()) for _ in range(many)]
        prepacked: list[Plain | Prepacked] = [Prepacked(weight) for _ in range(many)]
        tolerance = 1e-5 if dtype is torch.float32 else 0.01
        if not torch.allclose(plain[0].forward(x), prepacked[0].forward(x), rtol=tolerance, atol=tolerance):
            return False
        # In turns, and the best of each: another process may disturb any of them.
        tries = [(_seconds_each(plain, x), _seconds_each(prepacked, x)) for _ in range(_TRIES)]
    except (RuntimeError, AttributeError):
        return False  # built without oneDNN, or without its kernel for this format
    took_plain, took_prepacked = (sum(map(min, zip(*side, strict=True))) for side in zip(*tries, strict=True))
    return bool(took_prepacked < took_plain)


def _seconds_each(side: list[Plain | Prepacked], x: torch.Tensor) -> list[float]:
    times = [time.perf_counter()]
    for one in side:
        one.forward(x)
        times.append(time.perf_counter())
    return [end - start for start, end in pairwise(times)]
