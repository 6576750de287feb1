"""Text as the checks see it: folded words, their hashes, and hashes of runs of words, for a batch of rows at once.

The hashes are of our own making and the same in every run; they name words and never protect anything.
"""

import zlib
from collections.abc import Sequence
from hashlib import blake2b
from typing import Self

import numpy as np
from numpy.typing import NDArray

from playbook.contracts.dataset import Message

Hashes = NDArray[np.uint64]
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)


def fold(messages: Sequence[Message]) -> str:
    """Return roles and contents in lower case with white space folded: what makes two rows the same row."""
    return "\x1e".join(f"{message.role}\x1f{' '.join(message.content.lower().split())}" for message in messages)


def hash64(text: str) -> int:
    """Return 64 bits of a digest; among a million texts the chance that any two meet is 3 in 100 million."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def spoken_words(messages: Sequence[Message]) -> list[str]:
    """Return the folded words of all turns but the system's, which many rows share by design."""
    return [word for message in messages if message.role != "system" for word in message.content.lower().split()]


class Words:
    """The word hashes of a batch of rows, one after the other (`hashes`). `lengths`: words of each row."""

    def __init__(self, rows: Sequence[Sequence[str]]) -> None:
        flat = [zlib.crc32(word.encode()) for row in rows for word in row]
        self.hashes: Hashes = np.array(flat, dtype=np.uint64)
        self.lengths = np.array([len(row) for row in rows], dtype=np.int64)

    @classmethod
    def of_hashes(cls, hashes: NDArray[np.uint32], lengths: NDArray[np.uint32]) -> Self:
        """Return the words whose hashes were kept."""
        words = cls([])
        words.hashes, words.lengths = hashes.astype(np.uint64), lengths.astype(np.int64)
        return words

    def runs(self, size: int) -> tuple[Hashes, NDArray[np.int64]]:
        """Return (hashes of all runs of `size` words, how many each row has); a run never crosses two rows.

        A row shorter than `size` has none.
        """
        counts = np.maximum(self.lengths - size + 1, 0)
        total = len(self.hashes) - size + 1
        if total <= 0:
            return np.empty(0, dtype=np.uint64), counts
        mixed = np.zeros(total, dtype=np.uint64)
        for place in range(size):
            mixed = (mixed ^ self.hashes[place : place + total]) * _FACTOR
            mixed ^= mixed >> _SHIFT
        ends = np.cumsum(self.lengths)
        # The row that a run begins in, and the place where that row ends: a run must end before it.
        row_of = np.repeat(np.arange(len(self.lengths)), self.lengths)[:total]
        return mixed[np.arange(total) + size <= ends[row_of]], counts
