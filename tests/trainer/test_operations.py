"""Each operation written out by hand gives what autograd makes of the plain formula, forward and backward."""

from collections.abc import Callable

import pytest
import torch

from playbook.trainer import operations

Formula = Callable[..., torch.Tensor]


def of_both(ours: Formula, plain: Formula, *given: torch.Tensor) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return result and gradient of each input, ours beside those of the formula."""
    torch.manual_seed(3)
    found = []
    weights: torch.Tensor | None = None
    for compute in (ours, plain):
        inputs = [one.clone().requires_grad_() for one in given]
        out = compute(*inputs)
        weights = torch.randn_like(out) if weights is None else weights
        (out.float() * weights.float()).sum().backward()  # type: ignore[no-untyped-call]
        gradients = [one.grad for one in inputs]
        assert all(one is not None for one in gradients)
        found.append([out.detach(), *gradients])
    return list(zip(*found, strict=True))


def assert_near(pairs: list[tuple[torch.Tensor, torch.Tensor]], *, dtype: torch.dtype = torch.float32) -> None:
    for ours, plain in pairs:
        assert (ours.shape, ours.dtype) == (plain.shape, dtype)
        assert plain.dtype is dtype
        assert float((ours - plain).norm() / plain.norm()) < (1e-5 if dtype is torch.float32 else 0.01)


def random(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(sum(shape))).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_norm(dtype: torch.dtype) -> None:
    weight = random(12, dtype=dtype)

    def plain(x: torch.Tensor) -> torch.Tensor:
        wide = x.float()
        return weight * (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + 1e-2)).to(dtype)

    x = random(3, 5, 12, dtype=dtype)
    assert_near(of_both(lambda x: operations.norm(x, weight, 1e-2), plain, x), dtype=dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rotation(dtype: torch.dtype) -> None:
    cos, sin = random(2, 1, 7, 8, dtype=dtype), random(2, 1, 7, 8, dtype=dtype) + 1

    def plain(x: torch.Tensor) -> torch.Tensor:
        return x * cos + torch.cat((-x[..., 4:], x[..., :4]), dim=-1) * sin

    x = random(2, 7, 3, 8, dtype=dtype).transpose(1, 2)
    assert_near(of_both(lambda x: operations.rotated(x, cos, sin), plain, x), dtype=dtype)


@pytest.mark.parametrize("each", [1, 3], ids=["a key for each head", "a key for three heads"])
@pytest.mark.parametrize("batch_of_mask", [1, 2])
def test_attention(each: int, batch_of_mask: int) -> None:
    mask = torch.full((batch_of_mask, 1, 5, 5), torch.finfo(torch.float32).min).triu(1)
    mask[0, :, :, 0] = torch.finfo(torch.float32).min  # the first token of a row is padding, and sees nothing

    def plain(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
        key, value = (one.repeat_interleave(each, dim=1) for one in (key, value))
        return (torch.softmax(query @ key.transpose(2, 3) * 0.3 + mask, dim=-1) @ value).transpose(1, 2)

    query, key = random(2, 2 * each, 5, 8), random(2, 2, 5, 8)
    value = random(2, 5, 2, 8).transpose(1, 2)
    assert_near(of_both(lambda q, k, v: operations.attention(q, k, v, mask, 0.3), plain, query, key, value))


@pytest.mark.parametrize("at_once", [1, 20, 1000], ids=["a row", "two rows", "all"])
def test_cross_entropy(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setitem(operations._AT_ONCE, "cpu", at_once)
    labels = torch.tensor([3, 0, 8, 3])

    def plain(logits: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(logits.float(), labels, reduction="sum") / 7

    def ours(logits: torch.Tensor) -> torch.Tensor:
        return operations.cross_entropy_sum(logits, labels) / 7

    assert_near(of_both(ours, plain, random(4, 9)))
    (loss, expected), (gradient, exact) = of_both(ours, plain, random(4, 9, dtype=torch.bfloat16))
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    assert gradient.dtype is torch.bfloat16
    assert float((gradient - exact).norm() / exact.norm()) < 0.01


def test_logits_of_any_size_give_the_same_loss_whether_or_not_it_is_gone_back_through() -> None:
    labels = torch.tensor([1, 2, 0])
    logits = (100 * random(3, 4)).add(1e4)

    with torch.no_grad():
        forward = operations.cross_entropy_sum(logits, labels)

    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="sum")
    assert forward.item() == pytest.approx(expected.item(), rel=1e-6)
    assert operations.cross_entropy_sum(logits.requires_grad_(), labels).item() == forward.item()


def test_the_gradient_takes_the_place_of_the_logits() -> None:
    logits = random(3, 4).requires_grad_()
    operations.cross_entropy_sum(logits, torch.tensor([1, 2, 0])).backward()  # type: ignore[no-untyped-call]

    assert logits.grad is not None
    assert torch.equal(logits.detach(), logits.grad)


def test_a_loss_that_is_no_number_stays_one() -> None:
    logits = torch.tensor([[1.0, float("nan")], [float("inf"), 0.0]])

    assert operations.cross_entropy_sum(logits, torch.tensor([0, 0])).isnan()


def test_no_logits_give_no_loss() -> None:
    logits = torch.zeros(0, 9, requires_grad=True)
    loss = operations.cross_entropy_sum(logits, torch.zeros(0, dtype=torch.int64))
    loss.backward()  # type: ignore[no-untyped-call]

    assert (loss.item(), logits.grad is not None and logits.grad.shape) == (0, (0, 9))
