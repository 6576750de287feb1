"""Near duplicates by MinHash: rows whose sets of three-word runs overlap by about four fifths or more.

Signatures of 64 values (R-MinHash of the library `rensa`) are cut into 16 bands of 4: two rows that share a band are
candidates, and are near duplicates when at least 80 % of the 64 values agree. Broder 1997; banding as in Leskovec,
Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4: a pair of similarity 0.8 is found with probability
1 - (1 - 0.8^4)^16 = 0.9998. All of it lies on disk: 16 bands, and 64 bytes a row, the lowest
byte of each value, which are read for candidates alone.
"""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

from playbook.datasets.clusters import Clusters, Numbers, equal_pairs
from playbook.datasets.text import Words

VALUES, BANDS, RUN = 64, 16, 3
ALIKE = 0.8
_PAIRS_AT_ONCE = 20_000
#: Rows that are no further apart are read together: at most this many times the bytes wanted.
_NEIGHBOURS = 8


class NearDuplicates:
    """Takes rows in batches, in order; then names the clusters of rows that are nearly the same."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._bands = [(folder / f"band-{number:02d}").open("w+b") for number in range(BANDS)]
        self._low = (folder / "low").open("w+b")
        self._rows = 0

    def add(self, words: Words) -> None:
        """Add a batch. Rows of fewer than three words get a signature of their own and are never near duplicates."""
        runs, counts = words.runs(RUN)
        short = counts == 0
        first = self._rows
        offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.uint64)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(runs, offsets, VALUES, 1)
        values = np.array(matrix.to_rows(), dtype=np.uint64).reshape(len(counts), VALUES)
        values[short] = (np.arange(first, first + len(counts), dtype=np.uint64)[short] << np.uint64(8))[:, None]
        self._low.write(values.astype(np.uint8).tobytes())
        self._rows += len(counts)
        for number, file in enumerate(self._bands):
            band = values[:, 4 * number : 4 * number + 4]
            mixed = (band[:, 0] << np.uint64(32)) ^ (band[:, 1] << np.uint64(21)) ^ (band[:, 2] << np.uint64(11))
            file.write((mixed ^ band[:, 3]).tobytes())

    def clusters(self, rows: Numbers) -> Clusters:
        """Return the clusters among `rows`; the others are left alone. Closes the files: call it once."""
        self._low.flush()
        found = Clusters(self._rows)
        for file in self._bands:
            file.seek(0)
            left, right = equal_pairs(np.fromfile(file, dtype=np.uint64)[rows])
            for start in range(0, len(left), _PAIRS_AT_ONCE):
                one, other = rows[left[start : start + _PAIRS_AT_ONCE]], rows[right[start : start + _PAIRS_AT_ONCE]]
                apart = found.apart(one, other)  # what an earlier band has joined need not be compared again
                one, other = one[apart], other[apart]
                alike = self._agreement(one, other) >= ALIKE
                found.join(one[alike], other[alike])
        self.close()
        return found

    def close(self) -> None:
        for file in (*self._bands, self._low):
            file.close()

    def _agreement(self, one: Numbers, other: Numbers) -> NDArray[np.float64]:
        """Return for each pair the share of the values that agree."""
        wanted, places = np.unique(np.concatenate((one, other)), return_inverse=True)
        low = self._signatures(wanted)
        share: NDArray[np.float64] = (low[places[: len(one)]] == low[places[len(one) :]]).mean(axis=1)
        return share

    def _signatures(self, rows: Numbers) -> NDArray[np.uint8]:
        """Return the low bytes of these rows, which are in order; neighbours are read at once."""
        cuts = np.flatnonzero(np.diff(rows) > _NEIGHBOURS) + 1
        found = []
        for near in np.split(rows, cuts) if len(rows) else []:
            first, count = int(near[0]), int(near[-1] - near[0]) + 1
            read = os.pread(self._low.fileno(), VALUES * count, VALUES * first)
            found.append(np.frombuffer(read, dtype=np.uint8).reshape(-1, VALUES)[near - first])
        return np.concatenate(found) if found else np.empty((0, VALUES), dtype=np.uint8)
