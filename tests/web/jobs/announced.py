"""Events of the preflight and the probe steps, as a trainer sends them."""

from typing import Any

GB = 10**9


def split_tokens(**changes: Any) -> dict[str, Any]:
    sizes = {"rows": 40, "tokens": 3000, "supervised_tokens": 800, "shortest": 50, "median": 75, "p95": 90}
    return {**sizes, "longest": 101, **changes}


def tokens_of(*parts: tuple[str, bool]) -> list[dict[str, Any]]:
    return [{"text": text, "learned": learned} for text, learned in parts]


SAMPLE = {
    "split": "train",
    "line": 7,
    "tokens": tokens_of(("<|user|>\n", False), ("Why <b>?", False), ("Be", True), ("cause", True), ("<|end|>", True)),
    "ends_turn": True,
}
ENDLESS = {"split": "train", "line": 9, "tokens": tokens_of(("Hm", False), ("so", True)), "ends_turn": False}


def preflight(*, samples: list[dict[str, Any]] | None = None, **train: Any) -> dict[str, Any]:
    """The event; `train` changes the token statistics of the train split."""
    return {
        "kind": "preflight",
        "splits": {"train": split_tokens(**train), "test": split_tokens(rows=20)},
        "samples": [SAMPLE] if samples is None else samples,
        "memory_bytes": {"base_weights": 2 * GB, "adapter": GB // 2, "activations": GB},
    }


def configured(**effective: Any) -> dict[str, Any]:
    return {
        "kind": "configured",
        "effective": {"compute_dtype": "bfloat16", "max_length": 512, **effective},
        "trainable_parameters": 1000,
        "total_parameters": 100_000,
    }


def predicted(**changes: Any) -> dict[str, Any]:
    foretold = {"after_steps": 3, "seconds": 100.0, "seconds_per_step": 2.5, "peak_memory_bytes": 2 * GB}
    return {"kind": "predicted", **foretold, **changes}


def metric(step: int, **values: float) -> dict[str, Any]:
    return {"kind": "metric", "step": step, "values": values}
