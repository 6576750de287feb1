"""Rows of one split that are like rows of another: of test and train, validation and train, test and validation.

Three measures: the same prompt, nearly the same row (`near`), thirteen words in a row (`overlap`). What is learned,
chosen by and measured on must be three things; rows that two of them share make the numbers flatter than the model.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from playbook.contracts.dataset import Split
from playbook.datasets.gathering import Gathered
from playbook.datasets.overlap import shared_runs
from playbook.datasets.splits import SPLITS, Assignment

MAX_LISTED = 200
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Pair:
    """Rows of `held` are compared with those of `base`, which came before: they were learned, or chosen by."""

    held: Split
    base: Split
    why: str


TRAIN_TEST = Pair(Split.TEST, Split.TRAIN, "It measures memory.")
PAIRS = (
    TRAIN_TEST,
    Pair(Split.VALIDATION, Split.TRAIN, "Its loss then falls with memory, and the best step is chosen too late."),
    Pair(Split.TEST, Split.VALIDATION, "The best step is chosen by such rows, so that the score flatters."),
)
_WORDS = {
    "exact": (
        "{held} rows with a prompt of {base}",
        "The same prompt in both, white space and case aside.",
    ),
    "near": (
        "{held} rows nearly equal to {base} rows",
        "Four fifths of their three-word runs agree (MinHash). Group them by a field, so that they share a split.",
    ),
    "13": (
        "{held} rows that share 13 words in a row with {base}",
        "The measure of contamination of the GPT-3 paper; in Chinese and Japanese a character counts as a word. "
        "Standing phrases cause it too: read some.",
    ),
}


@dataclass(frozen=True)
class Alike:
    """Rows of the held split that are like some of the base: how many, and the first of them with their like."""

    rows: int
    listed: list[tuple[list[int], str]]


def code_of(measure: str, pair: Pair) -> str:
    """Return the code of a check.

    >>> code_of("exact", TRAIN_TEST), code_of("near", PAIRS[1])
    ('overlap_exact', 'overlap_near_validation_train')
    """
    return f"overlap_{measure}" + ("" if pair is TRAIN_TEST else f"_{pair.held}_{pair.base}")


def in_words() -> Iterator[tuple[str, str, str]]:
    """Yield (code, title, text) of each measure on each pair."""
    for measure, (title, text) in _WORDS.items():
        for pair in PAIRS:
            named = title.format(held=pair.held.capitalize(), base=pair.base)
            yield code_of(measure, pair), named, f"{text} {pair.why}" if measure == "exact" else text


def shared_prompts(rows: Gathered, assignment: Assignment, pair: Pair) -> tuple[Rows, Rows]:
    """Return (the held rows whose prompt the base has too, the first row of the base with it for each)."""
    prompts = rows.columns["prompt"]
    held, base = _rows_of(pair.held, assignment), _rows_of(pair.base, assignment)
    if not len(base):
        return base, base
    known, firsts = np.unique(prompts[base], return_index=True)
    at = np.minimum(np.searchsorted(known, prompts[held]), len(known) - 1)
    hits = known[at] == prompts[held]
    return held[hits], base[firsts[at[hits]]]


def exact_prompts(same: Sequence[tuple[Rows, Rows]]) -> Iterator[Alike]:
    """Yield for each pair the held rows with a prompt of the base. `same`: the `shared_prompts` of each pair."""
    for held, base in same:
        yield Alike(len(held), _one_by_one(held, base))


def long_runs(rows: Gathered, assignment: Assignment) -> Iterator[Alike]:
    """Yield for each pair the held rows that share thirteen words in a row with the base."""
    train, validation, test = (assignment == number for number in range(len(SPLITS)))
    of_train = shared_runs(rows, held=validation | test, base=train)  # at once: train is the most to read
    for held, partner in (
        (test, of_train),
        (validation, of_train),
        (test, shared_runs(rows, held=test, base=validation)),
    ):
        hits = np.flatnonzero(held & (partner >= 0))
        yield Alike(len(hits), _one_by_one(hits, partner[hits]))


def near_rows(
    clusters: NDArray[np.int32], assignment: Assignment, same: Sequence[tuple[Rows, Rows]]
) -> Iterator[Alike]:
    """Yield for each pair the held rows that are in one cluster with a row of the base, which has not their prompt.

    `clusters`: that of each row; `same`: the `shared_prompts` of each pair.
    """
    sizes = {
        split: np.bincount(clusters[assignment == number], minlength=len(clusters)).astype(np.uint32)
        for number, split in enumerate(SPLITS)
    }
    for pair, (same_held, _) in zip(PAIRS, same, strict=True):
        held = _rows_of(pair.held, assignment)
        held = held[sizes[pair.base][clusters[held]] > 0]
        held = held[np.isin(held, same_held, invert=True)]
        _, firsts = np.unique(clusters[held], return_index=True)
        base = _rows_of(pair.base, assignment)
        listed = []
        for at in np.sort(firsts)[:MAX_LISTED].tolist():
            cluster = clusters[held[at]]
            like = base[np.argmax(clusters[base] == cluster)]
            note = f"{sizes[pair.held][cluster]:,} of {pair.held}, {sizes[pair.base][cluster]:,} of {pair.base}"
            listed.append(([int(held[at]), int(like)], note))
        yield Alike(len(held), listed)


def _rows_of(split: Split, assignment: Assignment) -> Rows:
    return np.flatnonzero(assignment == SPLITS.index(split))


def _one_by_one(held: Rows, base: NDArray[np.signedinteger]) -> list[tuple[list[int], str]]:
    return [([int(one), int(other)], "") for one, other in zip(held[:MAX_LISTED], base[:MAX_LISTED], strict=True)]
