"""Files to import, and the import of them in this process."""

import gzip
import io
import json
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from playbook.contracts.dataset import Split
from playbook.datasets.importing import run_import, split_file
from playbook.datasets.spec import ORDER, Mapping, Order, Report, Source


def chat(prompt: str, answer: str, **more: object) -> dict[str, object]:
    """Return one row in the chat format."""
    return {"messages": [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}], **more}


def jsonl(rows: Sequence[object]) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def parquet(table: pa.Table) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    return out.getvalue()


def rows_of(count: int, *, word: str = "ticket") -> list[dict[str, object]]:
    """Return `count` rows that differ in every word, so that no check of likeness finds any."""
    return [chat(f"{word}{n} a{n} b{n} c{n} d{n}", f"answer{n} e{n}") for n in range(count)]


class Importing:
    """Imports files that a test writes into its own folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "import"
        self._files = folder
        self.folder.mkdir()

    def __call__(
        self, *files: tuple[str, bytes] | tuple[str, bytes, Split], mapping: Mapping | None = None, **order: Any
    ) -> Report:
        """Import (name, content) or (name, content, split) and return the report. `mapping`: of every file."""
        sources = [
            self._source(file[0], file[1], file[2] if len(file) == 3 else None).model_copy(update={"mapping": mapping})
            for file in files
        ]
        (self.folder / ORDER).write_text(Order(sources=tuple(sources), **order).model_dump_json())
        return run_import(self.folder)

    def rows(self, split: Split) -> list[Any]:
        """Return the rows that the last import wrote for a split."""
        return [json.loads(line) for line in split_file(self.folder, split).read_bytes().splitlines()]

    def all_rows(self) -> list[Any]:
        return [row for split in Split for row in self.rows(split)]

    def _source(self, name: str, content: bytes, split: Split | None) -> Source:
        path = self._files / name.replace("/", "-")
        path.write_bytes(content)
        digest = sha256(content).hexdigest()
        return Source(name=name, path=str(path), sha256=digest, size_bytes=len(content), split=split)


@pytest.fixture
def importing(tmp_path: Path) -> Importing:
    return Importing(tmp_path)


def three(train: Sequence[object], test: Sequence[object]) -> tuple[tuple[str, bytes, Split], ...]:
    """Return three files with these rows; validation holds one row of its own."""
    return (
        ("train.jsonl", jsonl(train), Split.TRAIN),
        ("validation.jsonl", jsonl(rows_of(1, word="validation")), Split.VALIDATION),
        ("test.jsonl", jsonl(test), Split.TEST),
    )


def codes(report: Report) -> dict[str, int]:
    return {group.code: group.total for group in report.groups}


def found(report: Report) -> dict[str, int]:
    """Return the checks that found something, and how many rows each."""
    return {check.code: check.rows for check in report.checks if check.rows}


Pack = Callable[[bytes], bytes]
PACKED: dict[str, Pack] = {"": lambda content: content, ".gz": gzip.compress}
