"""Memory and work stay in proportion to the rows, also for files in which everything is like everything else."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from playbook.datasets.clusters import groups_of
from playbook.datasets.near import NearDuplicates
from playbook.datasets.text import Words
from tests.datasets.conftest import Importing, chat, rows_of, three
from tests.datasets.test_checks import check

_GROWTH = """
import re
from pathlib import Path
import numpy as np
from playbook.datasets.clusters import Clusters
from playbook.datasets.near import NearDuplicates
from playbook.datasets.parquet import read_parquet
from playbook.datasets.spec import Limits, SplitPlan
from playbook.datasets.splits import deal
from playbook.datasets.text import Words

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) / 1000

before = peak()
{work}
print(peak() - before)
"""


def growth_mb(work: str) -> float:
    """Return by how much a fresh process grows at most while it works."""
    done = subprocess.run(
        [sys.executable, "-c", _GROWTH.replace("{work}", work)],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    return float(done.stdout)


def test_a_million_rows_are_dealt_in_little_memory() -> None:
    work = "deal(np.arange(1_000_000, dtype=np.uint64), np.zeros(1_000_000, dtype=np.uint64), SplitPlan())"
    assert growth_mb(work) < 60


def test_a_million_equal_rows_are_joined_in_little_memory() -> None:
    assert growth_mb("Clusters(1_000_000).join_equal(np.ones(1_000_000, dtype=np.uint64))") < 60


def test_a_hundred_thousand_pairs_are_found_in_one_pass() -> None:
    keys = np.tile(np.arange(100_000, dtype=np.uint64), 2)
    assert [tuple(group) for group in groups_of(keys)] == [(n, n + 100_000) for n in range(100_000)]


def test_a_row_group_of_different_rows_is_read_in_the_memory_of_a_small_one(tmp_path: Path) -> None:
    def growth_of(rows: int) -> float:
        file = tmp_path / f"{rows}.parquet"
        texts = [f"{n} " + " ".join(f"{n * 7_919 % (at + 9_973)}" for at in range(40)) for n in range(rows)]
        pq.write_table(pa.table({"prompt": texts, "completion": texts[::-1]}), file, row_group_size=rows)
        return growth_mb(f"for row in read_parquet(Path({str(file)!r}), Limits()): pass")

    assert growth_of(50_000) - growth_of(2_000) < 40


def test_signatures_of_rows_lie_on_disk(tmp_path: Path) -> None:
    near = NearDuplicates(tmp_path / "near")
    far = [f"{letter}{n}" for n in range(50) for letter in "abc"]
    for _ in range(2):
        near.add(Words([*far, "one", "and", "same"], [3] * 51))
    assert (tmp_path / "near/low").exists()
    assert near.clusters(np.arange(102)).roots.tolist() == [*range(51), *range(51)]


def test_a_phrase_that_all_rows_share_is_no_more_work_than_another(importing: Importing) -> None:
    phrase = " ".join(f"word{n}" for n in range(30))
    train = [*rows_of(1), *(chat(f"{phrase} {n}", f"a{n}") for n in range(8_000))]
    test = [*rows_of(1, word="clean"), *(chat(f"{phrase} t{n}", f"b{n}") for n in range(4_000))]
    found = check(importing(*three(train, test)), "overlap_13")
    assert found.rows == 4_000
    assert [ref.row for ref in found.groups[-1].rows] == [201, 2]  # the first train row that has the phrase
