"""Between the site and `playbook.datasets`: what a version is made of, from an import folder or from bytes."""

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from playbook.contracts.dataset import Split
from playbook.contracts.dataset_problems import shown
from playbook.datasets.importing import run_import, split_file
from playbook.datasets.spec import ORDER, Order, Report, Source
from playbook.scoring.figures import counted

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class Splits:
    """What a dataset version is made of: the bytes of each split file, in chunks, and what the import found."""

    content: Mapping[Split, Iterable[bytes]]
    report: Report
    #: How they came about, where no file was brought.
    note: str = ""

    @property
    def made_from(self) -> str:
        """How the splits came about, in one sentence for the reader."""
        if self.note:
            return self.note
        report = self.report
        left_out = f" {counted(report.left_out, 'row')} with problems left out." if report.left_out else ""
        if report.plan is None:
            return f"{_number(len(report.sources))}, as they were split.{left_out}"
        plan = report.plan
        shares = f"{plan.validation_share:.0%} for validation and {plan.test_share:.0%} for test".replace("%", " %")
        # A question may be the name of a field, and this sentence is kept in a column of 300 characters.
        together = f", rows with the same “{shown(plan.group_field)}” kept together" if plan.group_field else ""
        return f"One file of {report.rows:,} rows, {shares}, split by seed {plan.seed}{together}.{left_out}"


class BadDataset(Exception):
    """The rows were refused as a whole; `report` names every problem."""

    def __init__(self, report: Report) -> None:
        first = report.groups[0].listed[0]
        where = ", ".join(filter(None, (first.file, first.place)))
        super().__init__(f"{counted(report.problems, 'problem')}, the first: {where}: {first.fix}")
        self.report = report


def read_three_files(contents: Mapping[Split, bytes]) -> Splits:
    """Return small files as the three splits that they are. Raises BadDataset with every problem of all three."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sources = []
        for split in Split:
            path = folder / f"source-{split}"
            path.write_bytes(contents[split])
            sources.append(
                Source(
                    name=f"{split}.jsonl",
                    path=str(path),
                    sha256=sha256(contents[split]).hexdigest(),
                    size_bytes=len(contents[split]),
                    split=split,
                )
            )
        (folder / ORDER).write_text(Order(sources=tuple(sources)).model_dump_json())
        report = run_import(folder)
        if report.refused:
            raise BadDataset(report)
        return Splits(content={split: [split_file(folder, split).read_bytes()] for split in Split}, report=report)


def splits_in(folder: Path, report: Report) -> Splits:
    """Return the splits that an import left in its folder, read when they are needed."""
    return Splits(content={split: _Chunks(split_file(folder, split)) for split in Split}, report=report)


@dataclass(frozen=True)
class _Chunks:
    path: Path

    def __iter__(self) -> Iterator[bytes]:
        with self.path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                yield chunk


def _number(files: int) -> str:
    return {1: "One file", 2: "Two files", 3: "Three files"}[files]
