"""Near duplicates by MinHash: rows whose sets of three-word runs overlap by about four fifths or more.

Signatures of 64 values (R-MinHash of the library `rensa`) are cut into 16 bands of 4: two rows that share a band are
candidates, and are near duplicates when at least 80 % of the 64 values agree. Broder 1997; banding as in Leskovec,
Rajaraman, Ullman, "Mining of Massive Datasets", section 3.4: a pair of similarity 0.8 is found with probability
1 - (1 - 0.8^4)^16 = 0.9998. Bands lie on disk; in memory a row costs 64 bytes, the lowest byte of each value.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rensa import RMinHash

from playbook.datasets.clusters import Clusters, Numbers
from playbook.datasets.text import Words

VALUES, BANDS, RUN = 64, 16, 3
ALIKE = 0.8
_PAIRS_AT_ONCE = 20_000


class NearDuplicates:
    """Takes rows in batches, in order; then names the clusters of rows that are nearly the same."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._bands = [(folder / f"band-{number:02d}").open("w+b") for number in range(BANDS)]
        self._low = bytearray()

    def add(self, words: Words) -> None:
        """Add a batch. Rows of fewer than three words get a signature of their own and are never near duplicates."""
        runs, counts = words.runs(RUN)
        short = counts == 0
        first = len(self._low) // VALUES
        offsets = np.concatenate(([0], np.cumsum(counts))).astype(np.uint64)
        matrix = RMinHash.digest_matrix_from_flat_token_hashes(runs, offsets, VALUES, 1)
        values = np.array(matrix.to_rows(), dtype=np.uint64).reshape(len(counts), VALUES)
        values[short] = (np.arange(first, first + len(counts), dtype=np.uint64)[short] << np.uint64(8))[:, None]
        self._low += values.astype(np.uint8).tobytes()
        for number, file in enumerate(self._bands):
            band = values[:, 4 * number : 4 * number + 4]
            mixed = (band[:, 0] << np.uint64(32)) ^ (band[:, 1] << np.uint64(21)) ^ (band[:, 2] << np.uint64(11))
            file.write((mixed ^ band[:, 3]).tobytes())

    def clusters(self, rows: Numbers) -> Clusters:
        """Return the clusters among `rows`; the others are left alone. Closes the files: call it once."""
        low = np.frombuffer(self._low, dtype=np.uint8).reshape(-1, VALUES)
        found = Clusters(len(low))
        for file in self._bands:
            file.seek(0)
            keys = np.fromfile(file, dtype=np.uint64)[rows]
            order = np.argsort(keys, kind="stable")
            same = keys[order[1:]] == keys[order[:-1]]
            left, right = rows[order[:-1][same]], rows[order[1:][same]]
            for start in range(0, len(left), _PAIRS_AT_ONCE):
                one, other = left[start : start + _PAIRS_AT_ONCE], right[start : start + _PAIRS_AT_ONCE]
                alike = _agreement(low, one, other) >= ALIKE
                found.join(one[alike], other[alike])
        self.close()
        return found

    def close(self) -> None:
        for file in self._bands:
            file.close()


def _agreement(low: NDArray[np.uint8], one: Numbers, other: Numbers) -> NDArray[np.float64]:
    share: NDArray[np.float64] = (low[one] == low[other]).mean(axis=1)
    return share
