"""Rows of a micro-batch end to end as one sequence: nothing is padded, and what all begin with is computed once.

The rows of a dataset mostly begin with the same system prompt. A causal model computes the same of it in each, so that
everything but attention sees it a single time; attention sees every row by itself, as if they lay side by side. The
gradients of keys and values of what is shared are summed over the rows. What comes out is what each row alone gives:
the model passes `Places` down to `decode.grouped_attention`, and `loss.joins_exactly` proves it of a model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from playbook.trainer.layout import joined_tokens


@dataclass(frozen=True)
class Places:
    """Where the tokens of joined rows lie.

    of_rows: int64 (batch, width), the place in the sequence of each token of each row; behind the end of a row that of
    the last token, which belongs to none. of_tokens: int64 (tokens,), the other way: place in of_rows.view(-1).
    `shared`: tokens that all rows begin with. `filled`: tokens that belong to a row.
    """

    of_rows: torch.Tensor
    of_tokens: torch.Tensor
    shared: int
    filled: int
    _found: dict[tuple[str, int], torch.Tensor] = field(default_factory=dict)

    def to_rows(self, heads: int, *, heads_inside: bool) -> torch.Tensor:
        """Return int64 (batch · heads · width,): which vector of a sequence goes to each place of the rows. The
        sequence lies as (tokens, heads) when `heads_inside`, else as (heads, tokens)."""
        name = (f"to rows, {heads_inside}", heads)
        if name not in self._found:
            head = torch.arange(heads).view(1, -1, 1)
            rows = self.of_rows.unsqueeze(1)
            index = rows * heads + head if heads_inside else rows + head * len(self.of_tokens)
            self._found[name] = index.flatten()
        return self._found[name]

    def to_tokens(self, heads: int) -> torch.Tensor:
        """Return int64 (tokens · heads,): which vector of rows, lying as (batch, heads, width), goes to each token."""
        name = ("to tokens", heads)
        if name not in self._found:
            width = self.of_rows.shape[1]
            row, at = (self.of_tokens // width).unsqueeze(1), (self.of_tokens % width).unsqueeze(1)
            self._found[name] = ((row * heads + torch.arange(heads)) * width + at).flatten()
        return self._found[name]


def place(lengths: Sequence[int], *, shared: int, width: int) -> Places:
    """Return where rows of these lengths lie when what they share stands first and the rest of each follows."""
    tokens = joined_tokens(lengths, shared)
    of_rows = torch.full((len(lengths), width), tokens - 1)
    of_tokens = torch.zeros(tokens, dtype=torch.int64)
    of_tokens[:shared] = torch.arange(shared)
    of_rows[:, :shared] = torch.arange(shared)
    start = shared
    for at, length in enumerate(lengths):
        own = torch.arange(length - shared)
        of_rows[at, shared:length] = start + own
        of_tokens[start : start + length - shared] = at * width + shared + own
        start += length - shared
    return Places(of_rows, of_tokens, shared, filled=start)


class _ToRows(torch.autograd.Function):
    """x (1, heads, tokens, width) as (batch, heads, row, width)."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, places: Places) -> torch.Tensor:
        ctx.places = places
        _, heads, _, width = x.shape
        inside = x.transpose(1, 2).is_contiguous()  # as the projection wrote it
        flat = (x.transpose(1, 2) if inside else x).reshape(-1, width)
        index = places.to_rows(heads, heads_inside=inside)
        return flat.index_select(0, index).view(len(places.of_rows), heads, -1, width)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        places: Places = ctx.places
        _, heads, _, width = gradient.shape
        dx = gradient.reshape(-1, width).index_select(0, places.to_tokens(heads)).view(-1, heads, width)
        if places.shared:
            dx[: places.shared] += gradient[1:, :, : places.shared].sum(0).transpose(0, 1)
        dx[places.filled :] = 0
        return dx.unsqueeze(0).transpose(1, 2), None


class _ToTokens(torch.autograd.Function):
    """x (batch, row, heads, width) as (1, tokens, heads, width); of what rows share, the first row's."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, places: Places) -> torch.Tensor:
        ctx.places = places
        batch, row, heads, width = x.shape
        return x.reshape(batch * row, heads * width).index_select(0, places.of_tokens).view(1, -1, heads, width)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        places: Places = ctx.places
        _, tokens, heads, width = gradient.shape
        # Behind the end of a row stands the last token, whose gradient is zero.
        dx = gradient.reshape(tokens, heads * width).index_select(0, places.of_rows.flatten())
        dx = dx.view(*places.of_rows.shape, heads, width)
        dx[1:, : places.shared] = 0
        return dx, None


def to_rows(x: torch.Tensor, places: Places) -> torch.Tensor:
    """Return x (1, heads, tokens, width) of joined rows as (batch, heads, row, width)."""
    return _ToRows.apply(x, places)  # type: ignore[no-any-return, no-untyped-call]


def to_tokens(x: torch.Tensor, places: Places) -> torch.Tensor:
    """Return x (batch, row, heads, width) as (1, tokens, heads, width) of joined rows."""
    return _ToTokens.apply(x, places)  # type: ignore[no-any-return, no-untyped-call]
