"""Rows joined into clusters, by equal hashes or by near-equal texts. Arrays of numbers, a few bytes a row."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from playbook.datasets.text import Hashes

Numbers = NDArray[np.int64]
_PAIRS_AT_ONCE = 50_000


class Clusters:
    """A partition of rows 0 to n-1. A cluster is named by its first row."""

    def __init__(self, count: int) -> None:
        self._parent: NDArray[np.int32] = np.arange(count, dtype=np.int32)

    def join(self, left: Numbers, right: Numbers) -> None:
        """Put `left[i]` and `right[i]` into one cluster, for each i."""
        apart = self.apart(left, right)
        left, right, parent = left[apart], right[apart], self._parent
        for start in range(0, len(left), _PAIRS_AT_ONCE):  # as Python numbers they take ten times the memory
            stop = start + _PAIRS_AT_ONCE
            for one, other in zip(left[start:stop].tolist(), right[start:stop].tolist(), strict=True):
                a, b = _root(parent, one), _root(parent, other)
                if a != b:
                    parent[max(a, b)] = min(a, b)

    def apart(self, left: Numbers, right: Numbers) -> NDArray[np.bool_]:
        """Return for each i whether `left[i]` and `right[i]` are in two clusters."""
        roots = self.roots
        return np.asarray(roots[left] != roots[right])

    def join_equal(self, keys: Hashes, rows: Numbers | None = None) -> None:
        """Join the rows with the same key; `rows`: the row that each key belongs to, by default its position."""
        left, right = equal_pairs(keys)
        self.join(*((left, right) if rows is None else (rows[left], rows[right])))

    @property
    def roots(self) -> NDArray[np.int32]:
        """The first row of each row's cluster."""
        while (self._parent[self._parent] != self._parent).any():
            self._parent = self._parent[self._parent]
        return self._parent


def _root(parent: NDArray[np.int32], row: int) -> int:
    while (above := int(parent[row])) != row:
        parent[row] = parent[above]
        row = above
    return row


def equal_pairs(keys: Hashes) -> tuple[Numbers, Numbers]:
    """Return (positions, the next positions with the same key): each key's occurrences as a chain, ascending."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    same = ordered[1:] == ordered[:-1]
    return order[:-1][same], order[1:][same]


def groups_of(keys: NDArray[np.generic]) -> Iterator[Numbers]:
    """Yield the positions of each key that occurs more than once, ascending, in the order of their first position."""
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1]))) if len(keys) else order
    del ordered
    sizes = np.diff(np.append(starts, len(keys)))
    starts, sizes = starts[sizes > 1], sizes[sizes > 1]
    for at in np.argsort(order[starts], kind="stable"):
        yield order[starts[at] : starts[at] + sizes[at]]
