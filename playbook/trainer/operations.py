"""What a decoder layer does between its products, forward and backward as few steps: the same numbers, less memory.

autograd records a norm as seven small steps and a rotation as nine, keeps what each made, and goes back through all of
them. On a CPU each step is a pass over memory and a call that takes as long. Written out by hand they are three or four
each way. `fused` puts them into a model, and only where they give what the model's own code gives.
"""

from typing import Any

import torch

#: Logits whose cross-entropy is computed together: in float32 3 MB on a CPU, which a cache holds, and 256 MB on a GPU,
#: where many small steps would cost more.
_AT_ONCE = {"cpu": 2**20 * 3 // 4, "cuda": 2**26}


def scaled_product(left: torch.Tensor, right: torch.Tensor, scale: float) -> torch.Tensor:
    """Return scale · left @ right, of two matrices or two batches of them, without a pass over the result."""
    multiply = torch.addmm if left.ndim == 2 else torch.baddbmm
    # beta 0: what would be added is not even read.
    return multiply(left.new_empty((1,) * left.ndim), left, right, beta=0, alpha=scale)


class _Norm(torch.autograd.Function):
    """x / rms(x) · weight (Zhang and Sennrich 2019). x (..., width); weight (width,), frozen; computed in float32."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        wide = x.float()
        norm = torch.linalg.vector_norm(wide, dim=-1, keepdim=True)
        scale: torch.Tensor = norm.square_().div_(x.shape[-1]).add_(epsilon).rsqrt_()
        ctx.save_for_backward(x, scale, weight)
        return (wide * scale).to(x.dtype).mul_(weight)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, scale, weight = ctx.saved_tensors
        # With s the scale and g the gradient times weight: dx = s g - x s³ mean(g x).
        weighted = (gradient * weight).float()
        wide = x.float()
        along = torch.linalg.vecdot(weighted, wide).unsqueeze_(-1).mul_(scale.pow(3)).div_(x.shape[-1])
        return weighted.mul_(scale).addcmul_(wide, along, value=-1).to(x.dtype), None, None


class _Rotation(torch.autograd.Function):
    """Rotary position embedding (Su et al. 2021): x cos + (-x₂, x₁) sin. x (batch, heads, tokens, width), its halves
    x₁ and x₂; cos, sin (batch or 1, 1, tokens, width). What comes back lies as attention's products read it."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(cos, sin)
        half = x.shape[-1] // 2
        out = torch.mul(x, cos, out=torch.empty(x.shape, dtype=x.dtype, device=x.device))
        out[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-1)
        out[..., half:].addcmul_(x[..., :half], sin[..., half:])
        return out

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        cos, sin = ctx.saved_tensors
        half = gradient.shape[-1] // 2
        # As the projection wrote x: tokens outside, heads inside, so that the view of its output costs no copy.
        batch, heads, tokens, width = gradient.shape
        dx = torch.empty((batch, tokens, heads, width), dtype=gradient.dtype, device=gradient.device).transpose(1, 2)
        torch.mul(gradient, cos, out=dx)
        dx[..., :half].addcmul_(gradient[..., half:], sin[..., half:])
        dx[..., half:].addcmul_(gradient[..., :half], sin[..., :half], value=-1)
        return dx, None, None


class _Attention(torch.autograd.Function):
    """softmax(scale q kᵀ + mask) v, where `each` heads share a key: those are one product of more rows.

    query (batch, heads, tokens, width); key, value (batch, heads / each, held, width); mask (batch or 1, 1, tokens,
    held); out (batch, tokens, heads, width). Keeps the weights (batch, heads, tokens, held), as eager attention does.
    """

    @staticmethod
    def forward(
        ctx: Any, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scale: float
    ) -> torch.Tensor:
        batch, heads, tokens, width = query.shape
        shared, held = key.shape[1], key.shape[2]
        rows = (batch * shared, heads // shared * tokens)
        q, k, v = query.reshape(*rows, width), key.reshape(-1, held, width), value.reshape(-1, held, value.shape[-1])
        scores = scaled_product(q, k.transpose(1, 2), scale)
        scores.view(batch, shared, -1, tokens, held).add_(mask.unsqueeze(2))
        # The kernel itself counts in float32 and rounds once, as eager attention does by a copy each way.
        weights = torch.softmax(scores, dim=-1)
        ctx.save_for_backward(q, k, v, weights)
        ctx.scale, ctx.shapes = scale, (query.shape, key.shape, value.shape)
        return (weights @ v).view(batch, heads, tokens, -1).transpose(1, 2).contiguous()

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        q, k, v, weights = ctx.saved_tensors
        of_query, of_key, of_value = ctx.shapes
        out = gradient.transpose(1, 2).reshape(q.shape[0], q.shape[1], v.shape[-1])
        dv = weights.transpose(1, 2) @ out
        dweights = out @ v.transpose(1, 2)
        scores = torch._softmax_backward_data(dweights, weights, -1, weights.dtype)
        dq = scaled_product(scores, k, ctx.scale)
        dk = scaled_product(scores.transpose(1, 2), q, ctx.scale)
        return dq.view(of_query), dk.view(of_key), dv.view(of_value), None, None


class _CrossEntropy(torch.autograd.Function):
    """Σ -log softmax(logits)[label], in float32. logits (n, vocabulary); labels (n,), all counted.

    The gradient, softmax less one at the label, is made on the way forward, a few rows at a time: what they take in
    float32 stays in the cache. It is written over the logits, the largest tensor of a step, which nobody reads again.
    """

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        gradient = logits.detach() if ctx.needs_input_grad[0] else None
        total = torch.zeros((), dtype=torch.float32, device=logits.device)
        size = max(1, _AT_ONCE[logits.device.type] // logits.shape[1])
        # One for all: on its own, each would be another place in memory, which no cache holds yet.
        wide = logits.new_empty(min(size, len(logits)), logits.shape[1], dtype=torch.float32)
        for at in range(0, len(logits), size):
            rows = slice(at, at + size)
            label = labels[rows].unsqueeze(1)
            less = wide[: len(label)].copy_(logits[rows])
            less.sub_(less.amax(1, keepdim=True))
            at_label = less.gather(1, label)
            powers = less.exp_()
            sums = powers.sum(1, keepdim=True)
            total += sums.log().sub_(at_label).sum()
            if gradient is not None:
                powers.div_(sums).scatter_add_(1, label, powers.new_full((1, 1), -1).expand(len(label), 1))
                gradient[rows] = powers
        ctx.save_for_backward(gradient)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        (of_logits,) = ctx.saved_tensors
        return of_logits.mul_(gradient), None  # in place: nobody goes back twice through a step


def norm(x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
    """Return x / rms(x) · weight for x (..., width) and a frozen weight (width,)."""
    return _Norm.apply(x, weight, epsilon)  # type: ignore[no-any-return, no-untyped-call]


def rotated(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Return x (batch, heads, tokens, width), rotated by cos and sin (batch or 1, 1, tokens, width)."""
    return _Rotation.apply(x, cos, sin)  # type: ignore[no-any-return, no-untyped-call]


def attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor, scale: float
) -> torch.Tensor:
    """Return attention (batch, tokens, heads, width) of query (batch, heads, tokens, width) over key and value (batch,
    key heads, held, width); mask (batch or 1, 1, tokens, held) is added to the scores."""
    return _Attention.apply(query, key, value, mask, scale)  # type: ignore[no-any-return, no-untyped-call]


def cross_entropy_sum(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the summed cross-entropy, a float32 scalar, of logits (n, vocabulary) and labels int64 (n,).

    Logits that a gradient is wanted of hold that gradient afterwards.
    """
    return _CrossEntropy.apply(logits, labels)  # type: ignore[no-any-return, no-untyped-call]
