"""How quick this machine multiplies matrices, and how many such operations a training step takes.

What a product reaches over a second, not in its best moment, for training is no sprint either: where other machines
share the processor, a product is up to a third quicker from one moment to the next. Measured before and after it.

`python -m tests.benchmarks.ceiling` measures in a process of its own and prints operations a second by number format,
or with a number format and products as JSON, those of a training pass, what they reach one after the other.
"""

import json
import math
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch

from playbook.contracts.report import TrainingSummary
from playbook.contracts.run_spec import Method, RunSpec
from playbook.trainer.memory import Shape

ROOT = Path(__file__).resolve().parents[2]
#: Rows, inner and outer size of the products: large squares, and what a batch of the sample job multiplies.
_SHAPES = {
    "cpu": ((1024, 1024, 1024), (2048, 2048, 2048), (4096, 2048, 2048), (512, 576, 1536), (1024, 1536, 576)),
    "cuda": ((4096, 4096, 4096), (8192, 8192, 8192), (16384, 4096, 8192)),
}
_SECONDS_EACH = 1.0
#: Times by which a number format may be slower on the smallest product and still be tried on the others.
_FAR_SLOWER = 5
#: Of the many small products of a pass.
_SECONDS_OF_A_PASS = 0.2
#: Rows, inner and outer size of a matrix product.
Product = tuple[int, int, int]


def measured_ceiling() -> dict[str, float]:
    """Return the floating-point operations a second of the quickest product, for "bfloat16" and "float32"."""
    found: dict[str, float] = _in_a_process()
    return found


def between(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    """Return the mean of two ceilings: the one of the time that lies between them."""
    return {name: (before[name] + after[name]) / 2 for name in before}


def measured_ceiling_of(shape: Shape, spec: RunSpec, training: TrainingSummary, dtype: str) -> float:
    """Return the floating-point operations a second of the bare products of a mean training pass."""
    passes = training.steps * spec.training.gradient_accumulation_steps
    rows = (training.computed_tokens or training.tokens) // passes
    products = products_of(shape, spec, rows=rows, learned=training.supervised_tokens // passes)
    return float(_in_a_process(dtype, json.dumps(products)))


def products_of(shape: Shape, spec: RunSpec, *, rows: int, learned: int) -> list[Product]:
    """Return the products of a forward and backward pass over `rows` tokens, `learned` of which get logits.

    Those of `training_flops` without attention: x W and its adapter's x A B; back to the inputs through both; and the
    gradients of what is trained, A and B or W itself.
    """
    found = []
    for wide, out in [*shape.linear.values()] * shape.layers:
        found += [(rows, wide, out), (rows, out, wide)]
        if spec.method is Method.FULL:
            found.append((out, rows, wide))
        else:
            r = spec.lora.r
            found += [(rows, wide, r), (rows, r, out), (rows, out, r), (rows, r, wide), (r, rows, wide), (out, rows, r)]
    head = [(learned, shape.hidden, shape.vocabulary), (learned, shape.vocabulary, shape.hidden)]
    return [*found, *head, *([(shape.vocabulary, learned, shape.hidden)] if spec.method is Method.FULL else [])]


def _in_a_process(*arguments: str) -> Any:
    command = [sys.executable, "-m", "tests.benchmarks.ceiling", *arguments]
    return json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout)


def training_flops(shape: Shape, spec: RunSpec, training: TrainingSummary, *, mean_length: float) -> float:
    """Return the floating-point operations that the model itself asks for in a run: padding is left out, what is
    computed twice too, and what rows begin with alike, which is computed once, counts once.

    A product of (a, b) and (b, c) takes 2abc. Forward: every linear layer for every token, the vocabulary at supervised
    tokens alone, attention over half the row on average. Backward: the gradient of the inputs takes as much again, that
    of the weights as much again where they are trained (Kaplan et al. 2020, section 2.1, with frozen weights left out).
    """
    linear = shape.layers * sum(wide * out for wide, out in shape.linear.values())
    attention = shape.layers * 2 * shape.attention * mean_length / 2
    head = shape.vocabulary * shape.hidden
    tokens, learned = training.computed_tokens or training.tokens, training.supervised_tokens
    frozen = 4 * (linear * tokens + attention * training.tokens + head * learned)
    if spec.method is Method.FULL:
        return frozen + 2 * (linear * tokens + head * learned)
    return frozen + 6 * shape.adapter_parameters(spec.lora) * tokens


def _measure_here() -> dict[str, float]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    smallest, *larger = sorted(_SHAPES[device], key=math.prod)
    found = {name: _reached(device, name, smallest) for name in ("bfloat16", "float32")}
    least = max(found.values()) / _FAR_SLOWER
    for name, reached in found.items():
        # A format that is computed without instructions for it takes minutes for the rest, and is not the quickest.
        if reached > least:
            found[name] = max(reached, *(_reached(device, name, product) for product in larger))
    return found


def _reached(device: str, dtype: str, product: Product) -> float:
    return _operations(product) / _seconds(device, dtype, product, during=_SECONDS_EACH)


def _measure_pass(dtype: str, products: list[Product]) -> float:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    times = Counter(products)
    seconds = sum(many * _seconds(device, dtype, one, during=_SECONDS_OF_A_PASS) for one, many in times.items())
    return sum(many * _operations(one) for one, many in times.items()) / seconds


def _operations(product: Product) -> int:
    return 2 * math.prod(product)


def _seconds(device: str, dtype: str, product: Product, *, during: float) -> float:
    """Return the mean time of a product that is repeated for so many seconds."""
    rows, inner, outer = product
    left = torch.randn(rows, inner, device=device).to(getattr(torch, dtype))
    right = torch.randn(inner, outer, device=device).to(getattr(torch, dtype))
    left @ right
    times = 0
    start = _now(device)
    while (passed := _now(device) - start) < during:
        left @ right
        times += 1
    return passed / times


def _now(device: str) -> float:
    """Return the time when everything that was asked for is done."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    _, *given = sys.argv
    found = _measure_pass(given[0], [tuple(one) for one in json.loads(given[1])]) if given else _measure_here()
    print(json.dumps(found))
