"""Rows that share a run of 13 words with a row of another split: the measure of contamination in Brown et al. 2020
(GPT-3), appendix C. Exact, in bounded memory: the runs of one are held a block at a time, the other streams by from
disk."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from playbook.datasets.gathering import Gathered
from playbook.datasets.text import Hashes, Words

RUN = 13
_ROWS_AT_ONCE = 4_000
_WORDS_AT_ONCE = 200_000
_RUNS_AT_ONCE = 1_500_000
#: 16 MB of truth values, of which the runs of a block set less than an eighth.
_BEGIN_BITS = 24


def shared_runs(rows: Gathered, *, held: NDArray[np.bool_], base: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return for each held row the first row of the base that shares 13 words in a row with it, -1 where none does.

    One entry a row of the import; rows that are not held have -1. The system message is left out: many rows share it.
    """
    none = len(rows)
    partner = np.full(len(rows), none, dtype=np.int32)
    for runs, owners in _blocks(rows, held):
        # The first base row of each run, kept at the run's first place: a phrase that all rows share costs no more
        # than any other.
        first_base = np.full(len(runs), none, dtype=np.int32)
        is_known = np.zeros(1 << _BEGIN_BITS, dtype=np.bool_)
        is_known[_begins(runs)] = True
        for found, their_rows in _runs_of(rows, base):
            # A look at the first bits of a hash tells of most that no held run has them, in a tenth of the time.
            candidates = np.flatnonzero(is_known[_begins(found)])
            found, their_rows = found[candidates], their_rows[candidates]
            at = np.searchsorted(runs, found)
            at[at == len(runs)] = 0
            hits = runs[at] == found
            np.minimum.at(first_base, at[hits], their_rows[hits].astype(np.int32))
        is_first = np.concatenate(([True], runs[1:] != runs[:-1]))
        np.minimum.at(partner, owners, first_base[is_first][np.cumsum(is_first) - 1])
    partner[partner == none] = -1
    return partner


def _begins(runs: Hashes) -> Hashes:
    return runs >> np.uint64(64 - _BEGIN_BITS)


def _blocks(rows: Gathered, wanted: NDArray[np.bool_]) -> Iterator[tuple[Hashes, NDArray[np.uint32]]]:
    """Yield the runs of the wanted rows in order, and their rows, a million and a half at most."""
    kept: list[tuple[Hashes, NDArray[np.uint32]]] = []
    held = 0
    for runs, owners in _runs_of(rows, wanted):
        kept.append((runs, owners.astype(np.uint32)))
        held += len(runs)
        if held >= _RUNS_AT_ONCE:
            yield _in_order(kept)
            kept, held = [], 0
    if held:
        yield _in_order(kept)


def _in_order(kept: list[tuple[Hashes, NDArray[np.uint32]]]) -> tuple[Hashes, NDArray[np.uint32]]:
    runs, owners = np.concatenate([runs for runs, _ in kept]), np.concatenate([owners for _, owners in kept])
    kept.clear()
    order = np.argsort(runs, kind="stable")
    return runs[order], owners[order]


def _runs_of(rows: Gathered, wanted: NDArray[np.bool_]) -> Iterator[tuple[Hashes, NDArray[np.int64]]]:
    with rows.words.open("rb") as file:
        for start, end in _stretches(rows.word_counts):
            counts = rows.word_counts[start:end]
            hashes = np.fromfile(file, dtype=np.uint32, count=int(counts.sum()))
            here = wanted[start:end]
            if not here.any():
                continue
            words = Words.of_hashes(hashes[np.repeat(here, counts)], counts[here])
            runs, per_row = words.runs(RUN)
            yield runs, np.repeat(np.flatnonzero(here) + start, per_row)


def _stretches(word_counts: NDArray[np.uint32]) -> Iterator[tuple[int, int]]:
    """Yield (first, end) of rows to look at together: some thousand short ones, few long ones, one at least."""
    start, words = 0, 0
    for row, count in enumerate(word_counts.tolist()):
        if row > start and (row - start >= _ROWS_AT_ONCE or words + count > _WORDS_AT_ONCE):
            yield start, row
            start, words = row, 0
        words += count
    if start < len(word_counts):
        yield start, len(word_counts)
