"""Rows joined into clusters, by equal hashes or by near-equal texts. Arrays of numbers, a few bytes a row."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from playbook.datasets.text import Hashes

Numbers = NDArray[np.int64]


class Clusters:
    """A partition of rows 0 to n-1. A cluster is named by its first row."""

    def __init__(self, count: int) -> None:
        self._parent: NDArray[np.int32] = np.arange(count, dtype=np.int32)

    def join(self, left: Numbers, right: Numbers) -> None:
        """Put `left[i]` and `right[i]` into one cluster, for each i."""
        roots = self.roots
        apart = roots[left] != roots[right]
        parent = self._parent
        for one, other in zip(left[apart].tolist(), right[apart].tolist(), strict=True):
            a, b = _root(parent, one), _root(parent, other)
            if a != b:
                parent[max(a, b)] = min(a, b)

    def join_equal(self, keys: Hashes, rows: Numbers | None = None) -> None:
        """Join the rows with the same key; `rows`: the row that each key belongs to, by default its position."""
        order = np.argsort(keys, kind="stable")
        same = keys[order[1:]] == keys[order[:-1]]
        left, right = order[:-1][same], order[1:][same]
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


def groups_of(keys: NDArray[np.generic]) -> Iterator[Numbers]:
    """Yield the positions of each key that occurs more than once, ascending, in the order of their first position."""
    order = np.argsort(keys, kind="stable")
    starts = np.flatnonzero(np.concatenate(([True], keys[order[1:]] != keys[order[:-1]]))) if len(keys) else order
    sizes = np.diff(np.append(starts, len(keys)))
    firsts = order[starts[sizes > 1]]
    for at in np.argsort(firsts, kind="stable"):
        start, size = starts[sizes > 1][at], sizes[sizes > 1][at]
        yield order[start : start + size]
