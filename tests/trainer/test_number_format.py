"""The probe by which a number format is chosen: by what the processor spent, not by how long it was waited for."""

import time
from collections.abc import Iterator

import pytest
import torch

from playbook.trainer.number_format import faster_dtype, probe_products

PRODUCTS = ("bfloat16", "float32")
OPERATIONS = 2 * 512 * 576 * 1536


class _Clock:
    """Gives each product the seconds that the processor is said to spend on it, in the order in which they are made."""

    def __init__(self, seconds: dict[str, list[float]]) -> None:
        self._left = {name: list(spent) for name, spent in seconds.items()}
        self.order = [*PRODUCTS] * len(seconds["float32"])
        self._now, self._running = 0.0, False

    def __call__(self) -> float:
        if self._running:
            self._now += self._left[self.order.pop(0)].pop(0)
        self._running = not self._running
        return self._now


@pytest.fixture(autouse=True)
def _measured_anew() -> Iterator[None]:
    probe_products.cache_clear()
    yield
    probe_products.cache_clear()


@pytest.mark.parametrize(
    ("seconds", "faster"),
    [
        ({"bfloat16": [0.5] * 7 + [0.1], "float32": [0.2] * 8}, "bfloat16"),
        ({"bfloat16": [0.3] * 8, "float32": [1.4] * 7 + [0.2]}, "float32"),
    ],
)
def test_the_format_with_the_shortest_product_is_chosen_by_the_clock_of_the_processor(
    monkeypatch: pytest.MonkeyPatch, seconds: dict[str, list[float]], faster: str
) -> None:
    """Disturbed products count for nothing, and neither does the time that passes while others have the processor."""
    monkeypatch.setattr(time, "thread_time", _Clock(seconds))
    monkeypatch.setattr(time, "monotonic", lambda: pytest.fail("the clock on the wall decided"))
    monkeypatch.setattr(time, "perf_counter", lambda: pytest.fail("the clock on the wall decided"))

    assert faster_dtype(torch.device("cpu")) == faster
    assert probe_products() == pytest.approx({name: OPERATIONS / min(spent) for name, spent in seconds.items()})


def test_a_format_without_instructions_for_it_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A single product takes a second then, on a machine with AVX2 alone."""
    clock = _Clock({"bfloat16": [9.0], "float32": [0.2] * 8})
    clock.order = ["bfloat16", *["float32"] * 8]
    monkeypatch.setattr(time, "thread_time", clock)

    assert faster_dtype(torch.device("cpu")) == "float32"
    assert probe_products() == pytest.approx({"bfloat16": OPERATIONS / 9, "float32": OPERATIONS / 0.2})


def test_a_process_measures_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "thread_time", _Clock({"bfloat16": [0.1] * 8, "float32": [0.2] * 8}))
    first = probe_products()
    monkeypatch.setattr(time, "thread_time", lambda: pytest.fail("measured again"))

    assert probe_products() is first
