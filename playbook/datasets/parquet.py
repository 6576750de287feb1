"""Rows of a Parquet file, a few at a time. What its metadata promises is checked before anything is unpacked."""

import os
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

from playbook.contracts.dataset_problems import Problem, ProblemCode
from playbook.datasets.spec import Limits
from playbook.datasets.unpack import refuse_file

#: Few, so that a long value that is stored once and repeated in every row is not unpacked often at a time. On rows of
#: ordinary length fewer rows at a time cost nothing: turning them into Python takes most of the time.
_BATCH_ROWS = 16
#: What text columns that stay dictionary-encoded may hold in one row group. Arrow keeps their different values until
#: the group ends, at several times their bytes.
_DICTIONARY_BYTES = 1_000_000


def read_parquet(
    path: Path, limits: Limits, *, stored_bytes: int | None = None
) -> Iterator[tuple[dict[str, Any] | Problem, float]]:
    """Yield (the row or what cannot be read of it, share of the rows so far). Raises UnreadableFile.

    `stored_bytes`: what the file takes where it comes from, packed once more; its own size by default.

    Small text columns stay dictionary-encoded and rows are turned into Python one by one, so that a column of one long
    value a million times costs the memory of one value. Large ones are read as they come, a page at a time, so that a
    row group of a million different rows costs no more than a small one.
    """
    # Imported here: it takes longer than a small import, and most files are JSONL.
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, thrift_string_size_limit=8_000_000, thrift_container_size_limit=200_000) as plain:
            _refuse_encrypted(path, plain.metadata)
            _check_metadata(plain.metadata, stored_bytes or path.stat().st_size, limits)
            _refuse_equal_names(plain.schema_arrow.names)
            text = {field.name for field in plain.schema_arrow if pa.types.is_string(field.type)}
            encoded = _small_columns(plain.metadata, text)
        with pq.ParquetFile(path, read_dictionary=encoded, buffer_size=1 << 20, pre_buffer=False) as file:
            number, total = 0, file.metadata.num_rows
            for batch in file.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
                for at in range(batch.num_rows):
                    number += 1
                    row: dict[str, Any] = {}
                    problem = None
                    for name, column in zip(file.schema_arrow.names, batch, strict=True):
                        try:
                            row[name] = _as_it_came(column[at].as_py())
                        except (ValueError, OverflowError, pa.ArrowException) as error:
                            problem = problem or _unreadable(name, error)
                    yield problem or row, number / total
    except (pa.ArrowException, OSError) as error:
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise refuse_file(f"broken Parquet: {why}", "Write the file again, or export the rows as JSONL.") from error


def _as_it_came(value: Any) -> Any:
    """Return a value without the nulls that structs hold for what others of their column have: each tool would list
    the parameters of all, and each call the arguments of all. TRL leaves them out too."""
    if isinstance(value, dict):
        return {name: _as_it_came(inner) for name, inner in value.items() if inner is not None}
    return [_as_it_came(inner) for inner in value] if isinstance(value, list) else value


def _unreadable(column: str, error: Exception) -> Problem:
    """Return the problem of a value that Python has no equal for: text that is not UTF-8, a date beyond 9999."""
    if isinstance(error, UnicodeDecodeError):
        value, code = repr(error.object[error.start : error.start + 8]), ProblemCode.NOT_UTF8
        fix = "Write the column as text in UTF-8."
    else:
        value, code = f"a value that cannot be read: {error}"[:80], ProblemCode.DATA_TYPE
        fix = "Write the column as text, or leave it out."
    return Problem(line=0, field=column, value=value, code=code, fix=fix)


def _small_columns(metadata: Any, names: set[str]) -> list[str]:
    """Return those of the columns, the smallest first, that together stay below the limit in every row group."""
    largest = dict.fromkeys(names, 0)
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        for column in map(group.column, range(group.num_columns)):
            if column.path_in_schema in largest:
                name = column.path_in_schema
                largest[name] = max(largest[name], column.total_uncompressed_size)
    by_size = sorted(largest, key=lambda name: largest[name])
    room = accumulate(largest[name] for name in by_size)
    return [name for name, needed in zip(by_size, room, strict=True) if needed <= _DICTIONARY_BYTES]


def _refuse_encrypted(path: Path, metadata: Any) -> None:
    """Raise UnreadableFile for encrypted columns behind a footer in plain text. Arrow ends the process when asked for
    their sizes. Such a footer is followed by a signature, so it is longer than its metadata (Parquet format,
    Encryption.md, 5.5)."""
    with path.open("rb") as file:
        file.seek(-8, os.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
    if length != metadata.serialized_size:
        raise refuse_file("an encrypted Parquet file", "Write it without encryption, or export the rows as JSONL.")


def _refuse_equal_names(names: list[str]) -> None:
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    if twice is not None:
        raise refuse_file(f"two columns named {twice}", "Give each column a name of its own.")


def _check_metadata(metadata: Any, size_bytes: int, limits: Limits) -> None:
    if metadata.num_rows > limits.rows:
        raise refuse_file(
            f"{metadata.num_rows:,} rows", f"Bring at most {limits.rows:,} rows.", code=ProblemCode.TOO_MANY_ROWS
        )
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    unpacked = sum(group.total_byte_size for group in groups)
    if unpacked > limits.unpacked_bytes or unpacked > max(limits.free_bytes, limits.ratio * size_bytes):
        raise refuse_file(
            f"{size_bytes:,} bytes unpack to {unpacked:,}",
            f"At most {limits.unpacked_bytes:,} bytes and {limits.ratio} times the file's size are unpacked; "
            "bring a sample of the rows.",
            code=ProblemCode.UNPACKS_TOO_LARGE,
        )
    largest = max((group.column(at).num_values for group in groups for at in range(group.num_columns)), default=0)
    if largest > limits.parquet_values:
        raise refuse_file(
            f"a column of {largest:,} values in one row group",
            f"Write row groups of at most {limits.parquet_values:,} values.",
            code=ProblemCode.UNPACKS_TOO_LARGE,
        )
