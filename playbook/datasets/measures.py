"""Lengths and classes of the rows: what the plots of a dataset show, and rows to open behind each of them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from playbook.contracts.dataset import Split
from playbook.datasets.gathering import ClassField, Gathered
from playbook.datasets.spec import Balance, Histogram
from playbook.datasets.splits import LEFT_OUT, SPLITS, Assignment

_BINS = 24
#: Rows that are shown of a class, and of each end of the lengths.
SHOWN = 5
#: Of many values, such as numbers, that repeat now and then, few are classes.
_MANY, _ROWS_OF_MANY, _ROWS_OF_FEW = 50, 10, 2
Rows = NDArray[np.uint32]


@dataclass(frozen=True)
class OneClass:
    """A value of one field of the answers. `rows`: those that have it; of a class that both test and train have the
    first alone, for a million numbers a field would take their memory."""

    field: str
    value: str
    counts: dict[Split, int]
    rows: Rows

    @property
    def size(self) -> int:
        return sum(self.counts.values())

    @property
    def is_gap(self) -> bool:
        return not (self.counts[Split.TEST] and self.counts[Split.TRAIN])

    def __str__(self) -> str:
        name = "the answer" if self.field == "answer" else self.field
        counted = ", ".join(f"{count:,} {split}" for split, count in self.counts.items())
        return f"{name} “{self.value or '(empty)'}”: {counted}"


def histograms(rows: Gathered, assignment: Assignment) -> tuple[Histogram, ...]:
    """Return the lengths of prompts and answers in characters; the last bin also holds the longest hundredth."""
    used = assignment != LEFT_OUT
    return tuple(_histogram(name, sizes[used]) for name, sizes in rows.sizes.items())


def _histogram(name: str, sizes: NDArray[np.uint32]) -> Histogram:
    width = max(1, int(np.ceil(float(np.percentile(sizes, 99)) / _BINS)))
    counts = np.bincount(np.minimum(sizes // width, _BINS - 1), minlength=1)
    return Histogram(
        name=name,
        low=0,
        width=width,
        counts=tuple(counts.tolist()),
        median=float(np.median(sizes)),
        p95=float(np.percentile(sizes, 95)),
        largest=int(sizes.max()),
    )


def ends_of_lengths(rows: Gathered, assignment: Assignment) -> Iterator[tuple[str, Rows]]:
    """Yield (what they are, a few rows): those with the longest and the shortest prompts, then answers."""
    used = np.flatnonzero(assignment != LEFT_OUT).astype(np.uint32)
    for name, sizes in rows.sizes.items():
        by_size = used[np.argsort(sizes[used], kind="stable")]
        longest, shortest = by_size[::-1][:SHOWN], by_size[:SHOWN]
        yield f"The longest {name}s: {int(sizes[longest[-1]]):,} to {int(sizes[longest[0]]):,} characters", longest
        yield f"The shortest {name}s: {int(sizes[shortest[0]]):,} to {int(sizes[shortest[-1]]):,} characters", shortest


def classes(rows: Gathered, assignment: Assignment) -> list[list[OneClass]]:
    """Return the classes of each field of answers that are JSON, then of the answer, where values repeat; the most
    frequent first."""
    found = []
    for name, values in sorted(rows.classes.items(), key=lambda field: not field[0]):
        here = sorted(_of_field(name or "answer", values, assignment), key=lambda one: -one.size)
        rows_each = _ROWS_OF_MANY if len(here) > _MANY else _ROWS_OF_FEW
        if 2 <= len(here) <= sum(one.size for one in here) / rows_each:
            found.append(here)
    return found


def _of_field(field: str, values: ClassField, assignment: Assignment) -> Iterator[OneClass]:
    rows, numbers = np.frombuffer(values.rows, dtype=np.uint32), np.frombuffer(values.values, dtype=np.uint16)
    splits = assignment[rows]
    by_value = np.argsort(numbers, kind="stable")
    ends = np.cumsum(np.bincount(numbers, minlength=len(values.names)))
    for value, begin, end in zip(values.names, (0, *ends[:-1]), ends, strict=True):
        here = by_value[begin:end]
        here = here[splits[here] != LEFT_OUT]
        if len(here):
            counts = {split: int((splits[here] == at).sum()) for at, split in enumerate(SPLITS)}
            one = OneClass(field, value, counts, rows[here[:SHOWN]])
            yield replace(one, rows=rows[here]) if one.is_gap else one


def balances(found: Iterable[list[OneClass]]) -> tuple[Balance, ...]:
    """Return how often each class occurs in each split."""
    return tuple(
        Balance(field=field[0].field, counts=tuple((one.value, one.counts) for one in field)) for field in found
    )


def gaps(found: Iterable[list[OneClass]]) -> Iterator[OneClass]:
    """Yield the classes that test or train lacks; of two that are the same rows, such as a field and an answer that
    holds nothing else, the first."""
    told = set()
    for one in (one for field in found for one in field):
        key = one.rows.tobytes()
        if one.is_gap and key not in told:
            told.add(key)
            yield one
