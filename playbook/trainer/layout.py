"""How the rows of a micro-batch lie in memory, and how many tokens that leaves to compute. No torch."""

from collections.abc import Sequence
from enum import StrEnum

from playbook.trainer.data import Row

#: Joined rows are filled up to a multiple of this, by one token at least: a CPU keeps a compiled kernel for each number
#: of tokens that it has met (`loss`).
_TOKENS_STEP = 16
VALIDATION_BATCH_ROWS = 8
#: What models call the number of tokens that some of their layers see.
WINDOWS = ("sliding_window", "attention_chunk_size")


class Layout(StrEnum):
    """PADDED: side by side, as wide as the longest. PACKED: end to end, apart by a block mask. JOINED: end to end, what
    all begin with once, apart by `joined`."""

    PADDED = "padded"
    PACKED = "packed"
    JOINED = "joined"


def shared_tokens(rows: Sequence[Row]) -> int:
    """Return how many tokens all of `rows` begin with that nothing is learned at: a label counts for each row."""
    # In the order of a dictionary, what the first and the last have in common is what all have.
    first, last = (choose(row.encoded.input_ids for row in rows) for choose in (min, max))
    most = max(0, min(row.encoded.learned[0][0] for row in rows) - 1)
    return next((at for at in range(most) if first[at] != last[at]), most)


def joined_tokens(lengths: Sequence[int], shared: int) -> int:
    """Return how many tokens rows of these lengths are when joined, filled up."""
    return (sum(lengths) - shared * (len(lengths) - 1)) // _TOKENS_STEP * _TOKENS_STEP + _TOKENS_STEP


def computed_tokens(rows: Sequence[Row], layout: Layout, *, batch_size: int) -> int:
    """Return how many tokens of `rows` go through the model in micro-batches of `batch_size`, padding left out."""
    tokens = sum(len(row.encoded.input_ids) for row in rows)
    if layout is not Layout.JOINED:
        return tokens
    batches = (rows[at : at + batch_size] for at in range(0, len(rows), batch_size))
    return tokens - sum(shared_tokens(batch) * (len(batch) - 1) for batch in batches)
