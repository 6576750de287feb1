"""Prepacked weights give the products of plain ones, within a budget, and only where memory and speed allow."""

from pathlib import Path

import pytest
import torch

from playbook.contracts.events import Configured
from playbook.trainer import prepacked
from playbook.trainer.prepacked import Budget, Plain, Prepacked, prepacking_pays
from tests.trainer.conftest import MakeRun, Train, events_of


def _has_kernel(dtype: torch.dtype) -> bool:
    try:
        Prepacked(torch.ones(8, 8, dtype=dtype))
    except RuntimeError:
        return False
    return True


#: oneDNN computes with prepacked weights in bfloat16 on processors that know some vectors of 512 bits, or AVX-NE.
_KERNEL = pytest.mark.skipif(
    not _has_kernel(torch.bfloat16), reason="this processor has no kernel for prepacked weights in bfloat16"
)
IN_BFLOAT16 = (pytest.mark.processor, _KERNEL)


@pytest.fixture(autouse=True)
def measured_anew() -> None:
    prepacking_pays.cache_clear()


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.bfloat16, marks=IN_BFLOAT16)])
@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("rows", [1, 7, 448])
def test_products_are_those_of_the_plain_weight(dtype: torch.dtype, biased: bool, rows: int) -> None:
    torch.manual_seed(3)
    layer = torch.nn.Linear(48, 33, bias=biased).to(dtype)
    x, gradient = torch.randn(rows, 48).to(dtype), torch.randn(rows, 33).to(dtype)
    plain, packed = (side(layer.weight.detach(), layer.bias) for side in (Plain, Prepacked))

    tolerance = 1e-5 if dtype is torch.float32 else 0.02
    torch.testing.assert_close(packed.forward(x), plain.forward(x), rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(packed.back(gradient), plain.back(gradient), rtol=tolerance, atol=tolerance)


def test_a_budget_takes_layers_until_the_next_is_beyond_it() -> None:
    layers = [torch.nn.Linear(16, 16), torch.nn.Linear(16, 64), torch.nn.Linear(16, 16)]
    budget = Budget(most_bytes=2 * 2 * 4 * 16 * 16)

    packed = [budget.prepack([layer]) is not None for layer in layers]

    assert packed == [True, False, True]
    assert budget.prepacked == 2


def test_nothing_is_prepacked_where_the_products_differ_or_the_kernel_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = prepacked._product
    monkeypatch.setattr(prepacked, "_product", lambda *given: right(*given) * 1.1)
    assert not prepacking_pays("float32")

    def missing(weight: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("built without oneDNN")

    prepacking_pays.cache_clear()
    monkeypatch.setattr(prepacked, "_prepacked", missing)
    assert not prepacking_pays("float32")


@pytest.mark.parametrize("quicker", [False, True])
def test_the_quicker_side_is_taken(monkeypatch: pytest.MonkeyPatch, quicker: bool) -> None:
    took = {Plain: 2.0, Prepacked: 1.0 if quicker else 3.0}
    monkeypatch.setattr(prepacked, "_seconds_each", lambda side, x: [took[type(one)] for one in side])

    assert prepacking_pays("float32") is quicker


@pytest.mark.parametrize(("free", "fused"), [(10**12, True), (0, False)])
def test_a_run_prepacks_where_memory_allows_and_says_so(
    make_run: MakeRun, train: Train, monkeypatch: pytest.MonkeyPatch, free: int, fused: bool
) -> None:
    monkeypatch.setattr("playbook.trainer.preflight.free_memory_bytes", lambda device: free)
    monkeypatch.setattr("playbook.trainer.prepacked.prepacking_pays", lambda dtype: True)
    folder: Path = make_run()

    assert train(folder) == 0

    effective = next(event.effective for event in events_of(folder) if isinstance(event, Configured))
    assert ("prepacked weights" in str(effective["fused"])) is fused
