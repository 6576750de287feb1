"""Rows → train, validation, test. What belongs together stays together; equal rows and seed give equal splits."""

from array import array

import numpy as np
from numpy.typing import NDArray

from playbook.contracts.dataset import Split
from playbook.contracts.dataset_problems import Problem, ProblemCode
from playbook.datasets.clusters import Clusters
from playbook.datasets.spec import SplitPlan
from playbook.datasets.text import Hashes

Assignment = NDArray[np.uint8]
#: The number of a split in an assignment is its place here; LEFT_OUT is a row in none.
SPLITS = tuple(Split)
LEFT_OUT = 255


def deal(prompts: Hashes, groups: Hashes, plan: SplitPlan) -> Assignment | Problem:
    """Return the split of each row, or why there cannot be three.

    Rows with the same prompt land in one split, and so do rows of one group (0: in none). Units of such rows fill test,
    then validation, up to their shares, in an order by hash; the rest is train. When no unit fits (few large groups),
    an empty split takes the smallest unit of train; train is never empty.

    The order is by what the rows say, not by where they stand: when rows are added, removed or moved about, the others
    stay in their split, but for the few that the new shares let over the border.
    """
    clusters = Clusters(len(prompts))
    clusters.join_equal(prompts)
    grouped = np.flatnonzero(groups)
    clusters.join_equal(groups[grouped], grouped)
    roots = clusters.roots
    sizes = np.bincount(roots, minlength=len(roots))
    named = np.flatnonzero(sizes)
    if len(named) < len(SPLITS):
        return _too_few(len(named), grouped=bool(len(grouped)))
    keys = np.full(len(roots), np.iinfo(np.uint64).max, dtype=np.uint64)
    np.minimum.at(keys, roots, np.where(groups, groups, prompts))
    order = np.argsort(_mixed(keys[named], plan.seed), kind="stable")
    units = array("I", named[order].astype(np.uint32).tobytes())  # a list of a million takes 40 MB
    wanted = {
        Split.TEST: max(1, round(len(prompts) * plan.test_share)),
        Split.VALIDATION: max(1, round(len(prompts) * plan.validation_share)),
    }
    dealt: dict[Split, array[int]] = {split: array("I") for split in SPLITS}
    filled = dict.fromkeys(wanted, 0)
    room = sum(wanted.values())
    for at, unit in enumerate(units):
        if not room:  # no unit fits any more
            dealt[Split.TRAIN].extend(units[at:])
            break
        size = int(sizes[unit])
        split = next((held for held in wanted if filled[held] + size <= wanted[held]), Split.TRAIN)
        dealt[split].append(unit)
        if split in filled:
            filled[split] += size
            room -= size
    for split in (*wanted, Split.TRAIN):  # of few rows, shares that round up may take all
        if not dealt[split]:
            _fill(split, dealt, sizes, wanted)
    of_unit = np.zeros(len(roots), dtype=np.uint8)
    for number, split in enumerate(SPLITS):
        of_unit[dealt[split]] = number
    return of_unit[roots]


def _mixed(keys: Hashes, seed: int) -> Hashes:
    """Return 64 bits that look drawn by lot for each key and seed (the finalizer of SplitMix64, Steele et al. 2014)."""
    mixed = keys + np.uint64((0x9E3779B97F4A7C15 * (seed + 1)) % 2**64)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))


def _fill(split: Split, dealt: "dict[Split, array[int]]", sizes: NDArray[np.int64], wanted: dict[Split, int]) -> None:
    """Give an empty split the smallest unit of train; where that has no second one, its share of the other's rows. An
    empty train takes the smallest unit of the split with the most."""
    giver = max(SPLITS, key=lambda held: (len(dealt[held]) > 1, held is Split.TRAIN, len(dealt[held])))
    rows = sum(int(sizes[unit]) for unit in dealt[giver])
    share = 0 if Split.TRAIN in (giver, split) else rows * wanted[split] // (wanted[split] + wanted[giver])
    by_size = sorted(dealt[giver], key=lambda unit: int(sizes[unit]))
    taken, filled = by_size[:1], int(sizes[by_size[0]])
    for unit in by_size[1:-1]:
        filled += int(sizes[unit])
        if filled > share:
            break
        taken.append(unit)
    dealt[split].extend(taken)
    kept = set(taken)
    dealt[giver] = array("I", (unit for unit in dealt[giver] if unit not in kept))


def _too_few(units: int, *, grouped: bool) -> Problem:
    kind = "group" if grouped else "prompt"
    return Problem(
        line=1,
        field="file",
        value=f"{units} different {kind}{'' if units == 1 else 's'}",
        code=ProblemCode.NO_TEST_ROWS,
        fix=f"Give at least {len(SPLITS)}: train, validation and test need one each, and a job without test rows could "
        "prove nothing.",
    )


def places(assignment: Assignment) -> NDArray[np.uint32]:
    """Return the number of each row in its split, from 1."""
    found = np.zeros(len(assignment), dtype=np.uint32)
    for number in range(len(SPLITS)):
        rows = np.flatnonzero(assignment == number)
        found[rows] = np.arange(1, len(rows) + 1)
    return found
