"""Text as the checks see it: folded words, their hashes, and hashes of runs of words, for a batch of rows at once.

The hashes are of our own making and the same in every run; they name words and never protect anything.
"""

import re
import zlib
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Self
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(29)
#: Words whose hashes are kept, and their longest: a few megabytes.
_WORDS_KEPT, _LETTERS_KEPT = 30_000, 40
#: Kana and Han: scripts that put no blank between words.
_DENSE = r"\u3005-\u3007\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f"
_HAS_DENSE = re.compile(f"[{_DENSE}]")
_DENSE_OR_WORD = re.compile(rf"[{_DENSE}]|[^\s{_DENSE}]+")


def hash64(text: str) -> int:
    """Return 64 bits of a digest; among a million texts the chance that any two meet is 3 in 100 million."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def words_of(text: str) -> list[str]:
    """Return the words of a text in lower case, with each letter and its marks in one: some systems take them apart,
    and the same question would look like another.

    >>> words_of("A Cafe\\u0301") == words_of("a café")
    True
    """
    return (text if text.isascii() else normalize("NFC", text)).lower().split()


def runs_of(words: list[str], text: str) -> list[str]:
    """Return the words that runs are made of, given those of a text and the text that they make up. Of a script without
    blanks each letter counts as a word: a whole sentence would be one, and two that differ in a letter nothing alike.

    >>> runs_of(["返金は30日以内"], "返金は30日以内")
    ['返', '金', 'は', '30', '日', '以', '内']
    """
    if text.isascii() or not _HAS_DENSE.search(text):
        return words
    return _DENSE_OR_WORD.findall(text)


def mix(hashes: Hashes) -> Hashes:
    """Return a hash of each hash, whose high bits depend on the low ones and the other way round."""
    mixed = (hashes ^ (hashes >> _SHIFT)) * _FACTOR
    return mixed ^ (mixed >> _SHIFT)


class Texts:
    """Texts of a batch of rows, to be asked which of them hold a word: none of them, most often, and one look at all of
    them together is many times quicker than a look at each."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._texts = texts
        self.joined = "\n".join(texts)

    def holding(self, *words: str) -> Iterator[int]:
        """Yield the positions of the texts that hold one of the words, none of which holds a line end."""
        # A rare letter that nothing holds is missed many times sooner than a word.
        here = [word for word in words if all(letter in self.joined for letter in word) and word in self.joined]
        if not here:
            return
        for position, text in enumerate(self._texts):
            for word in here:
                if word in text:
                    yield position
                    break


class _Crc(dict[str, int]):
    """The hash of each word that was met of late. A few words make up most of a text, and to look is less than half the
    work of hashing."""

    def __missing__(self, word: str) -> int:
        found = zlib.crc32(word.encode())
        if len(word) <= _LETTERS_KEPT:
            if len(self) >= _WORDS_KEPT:
                self.clear()
            self[word] = found
        return found


_CRC = _Crc()


class Words:
    """The word hashes of a batch of rows, one after the other (`hashes`). `lengths`: words of each row."""

    def __init__(self, words: Sequence[str], lengths: Sequence[int]) -> None:
        self.hashes: Hashes = np.fromiter(map(_CRC.__getitem__, words), dtype=np.uint64, count=len(words))
        self.lengths = np.array(lengths, dtype=np.int64)

    @classmethod
    def of_hashes(cls, hashes: NDArray[np.uint32], lengths: NDArray[np.uint32]) -> Self:
        """Return the words whose hashes were kept."""
        words = cls([], [])
        words.hashes, words.lengths = hashes.astype(np.uint64), lengths.astype(np.int64)
        return words

    def runs(self, size: int) -> tuple[Hashes, NDArray[np.int64]]:
        """Return (hashes of all runs of `size` words, how many each row has); a run never crosses two rows.

        A row shorter than `size` has none.
        """
        counts, starts = self._places(size)
        total = len(self.hashes) - size + 1
        mixed = np.zeros(max(total, 0), dtype=np.uint64)
        for place in range(size if total > 0 else 0):
            mixed = (mixed ^ self.hashes[place : place + total]) * _FACTOR
            mixed ^= mixed >> _SHIFT
        return mixed[starts], counts

    def _places(self, size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return (how many runs of `size` words each row has, where each run begins)."""
        counts = np.maximum(self.lengths - size + 1, 0)
        # Each run begins one word behind the one before it, but for the first of a row.
        skipped = np.cumsum(self.lengths - counts) - (self.lengths - counts)
        return counts, np.arange(counts.sum()) + np.repeat(skipped, counts)
