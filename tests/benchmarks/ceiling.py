"""How quick this machine multiplies matrices at best, and how many such operations a training step takes.

`python -m tests.benchmarks.ceiling` measures in a process of its own and prints operations a second by number format.
"""

import json
import subprocess
import sys
import time
from pathlib import Path

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


def measured_ceiling() -> dict[str, float]:
    """Return the most floating-point operations a second of any product, for "bfloat16" and "float32"."""
    command = [sys.executable, "-m", "tests.benchmarks.ceiling"]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def training_flops(shape: Shape, spec: RunSpec, training: TrainingSummary, *, mean_length: float) -> float:
    """Return the floating-point operations that the model itself asks for in a run, padding and repetition left out.

    A product of (a, b) and (b, c) takes 2abc. Forward: every linear layer for every token, the vocabulary at supervised
    tokens alone, attention over half the row on average. Backward: the gradient of the inputs takes as much again, that
    of the weights as much again where they are trained (Kaplan et al. 2020, section 2.1, with frozen weights left out).
    """
    linear = shape.layers * sum(wide * out for wide, out in shape.linear.values())
    attention = shape.layers * 2 * shape.attention * mean_length / 2
    head = shape.vocabulary * shape.hidden
    tokens, learned = training.tokens, training.supervised_tokens
    frozen = 4 * ((linear + attention) * tokens + head * learned)
    if spec.method is Method.FULL:
        return frozen + 2 * (linear * tokens + head * learned)
    return frozen + 6 * shape.adapter_parameters(spec.lora) * tokens


def _measure_here() -> dict[str, float]:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return {
        name: max(_operations_per_second(device, name, *sizes) for sizes in _SHAPES[device])
        for name in ("bfloat16", "float32")
    }


def _operations_per_second(device: str, dtype: str, rows: int, inner: int, outer: int) -> float:
    """Return the best of repeated products within a second: what no other process disturbed."""
    left = torch.randn(rows, inner, device=device).to(getattr(torch, dtype))
    right = torch.randn(inner, outer, device=device).to(getattr(torch, dtype))
    left @ right
    best = float("inf")
    until = time.perf_counter() + _SECONDS_EACH
    while time.perf_counter() < until:
        if device == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        left @ right
        if device == "cuda":
            torch.cuda.synchronize()
        best = min(best, time.perf_counter() - start)
    return 2 * rows * inner * outer / best


if __name__ == "__main__":
    print(json.dumps(_measure_here()))
