"""Rows of a file one by one, with their line numbers, if it has lines: JSONL, JSON, CSV and Parquet, plain or in gzip.

A row that cannot be read is yielded as its problem and reading goes on; UnreadableFile ends the file.
"""

import codecs
import csv
import io
import re
import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from playbook.contracts.dataset import MAX_LINE_BYTES, parse_line
from playbook.contracts.dataset_problems import Problem, ProblemCode, shown
from playbook.contracts.json_text import decode_strictly, half_character, why_no_json
from playbook.datasets.parquet import read_parquet
from playbook.datasets.problems import UnreadableFile
from playbook.datasets.spec import Limits
from playbook.datasets.unpack import PARQUET, Unpacked, refuse_file, refuse_foreign, refuse_old_line_ends

_HEAD_BYTES = 65_536
_BLOCK_BYTES = 1 << 18
_BAD_QUOTES = "Close every quote and double the quotes inside a cell."
_DELIMITERS = ",;\t|"
#: Lines that the delimiter is told by.
_LINES_TO_CUT = 20
_WORD = re.compile(rb"\w{1,60}")
_QUOTED = re.compile(r'"[^"]*"')


class Record(NamedTuple):
    """A row as it stands in the file. `line`: where it begins, from 1, 0 in Parquet. `raw`: bytes of a JSON line."""

    line: int
    value: object
    raw: bytes | None = None


class RowFile:
    """An opened file of rows. `container` says in words what it is, `counts` what a row is found by: its line, or its
    number, for an array may be one line, and Parquet has none. Use it as a context manager."""

    def __init__(self, path: Path, name: str, limits: Limits, *, scratch: Path) -> None:
        """`scratch`: a folder for what cannot be read as a stream. Raises UnreadableFile when the first bytes show that
        the file holds no rows."""
        self._limits = limits
        self._scratch = scratch
        self._path = path
        self._raw = Unpacked(path, limits)
        self._stream: io.BufferedReader = io.BufferedReader(cast(Any, self._raw), _BLOCK_BYTES)
        try:
            head = self._stream.peek(_HEAD_BYTES)
            refuse_foreign(head)
            self._kind = _kind(head, name.lower().removesuffix(".gz"))
            if self._kind in ("JSONL", "CSV"):
                refuse_old_line_ends(head)
        except BaseException:
            self.close()
            raise
        self.counts: Literal["line", "row"] = "row" if self._kind in ("JSON", "Parquet") else "line"
        self.container = f"{self._kind} in gzip" if self._raw.is_gzip else self._kind
        self._share: float | None = None

    def __enter__(self) -> "RowFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._stream.close()

    @property
    def share_read(self) -> float:
        return self._raw.share_read if self._share is None else self._share

    def __iter__(self) -> Iterator[Record | Problem]:
        if self._kind == "Parquet":
            return self._parquet()
        if self._kind == "CSV":
            return _read_csv(self._stream, self._limits)
        return _read_json(self._stream, self._limits) if self._kind == "JSON" else _read_jsonl(self._stream)

    def _parquet(self) -> Iterator[Record | Problem]:
        path = self._path
        if self._raw.is_gzip:  # its end has to be read first
            path = self._scratch / "unpacked.parquet"
            with path.open("wb") as plain:
                shutil.copyfileobj(self._stream, plain)
        for value, share in read_parquet(path, self._limits, stored_bytes=self._path.stat().st_size):
            self._share = share
            yield value if isinstance(value, Problem) else Record(0, value)


def _kind(head: bytes, name: str) -> str:
    if head.startswith(PARQUET):
        return "Parquet"
    text = head.removeprefix(codecs.BOM_UTF8).lstrip()
    first, _, rest = text.partition(b"\n")
    whole_line = not isinstance(parse_line(0, first), Problem)
    if name.endswith((".csv", ".tsv")) and not (whole_line and first[:1] in (b"[", b"{")):
        return "CSV"
    if text.startswith(b"["):
        # A list alone on the first line: rows that are lists, which can be named one by one, or one array of rows.
        return "JSONL" if name.endswith((".jsonl", ".ndjson")) and whole_line and rest.strip() else "JSON"
    if text.startswith(b"{"):
        is_document = not whole_line and (name.endswith(".json") or first.strip() == b"{")
        return "JSON" if is_document and bool(rest) else "JSONL"
    if name.endswith((".jsonl", ".ndjson")):
        return "JSONL"
    if not any(mark in first.decode(errors="replace") for mark in _DELIMITERS):
        # One word above lines of text: a table of one column. Pasted rows have no name to tell it by.
        is_header = not whole_line and _WORD.fullmatch(first.strip()) and rest.lstrip()[:1] not in (b"", b"[", b"{")
        return "CSV" if is_header and not name.endswith(".json") else "JSONL"
    return "JSON" if name.endswith(".json") else "CSV"


def _lines(stream: io.BufferedReader, limit: int) -> Iterator[tuple[int, bytes, int]]:
    """Yield (number, line, length); a line over `limit` bytes comes cut off, with its true length."""
    number = 0
    while line := stream.readline(limit + 1):
        number += 1
        length = len(line)
        if length > limit and not line.endswith(b"\n"):
            while (more := stream.readline(_BLOCK_BYTES)) and not more.endswith(b"\n"):
                length += len(more)
            length += len(more.rstrip(b"\r\n"))
        yield number, line, length


def _read_jsonl(stream: io.BufferedReader) -> Iterator[Record | Problem]:
    for number, line, length in _lines(stream, MAX_LINE_BYTES):
        if length > MAX_LINE_BYTES + 1:
            yield _too_long(number, length, MAX_LINE_BYTES, may_hold_all=number == 1)
            continue
        raw = line.removeprefix(codecs.BOM_UTF8).strip()
        if not raw:
            continue
        value = parse_line(number, line.rstrip(b"\r\n"))
        yield value if isinstance(value, Problem) else Record(number, value, raw)


def _too_long(line: int, length: int, limit: int, *, may_hold_all: bool = False) -> Problem:
    """Return the problem of a line; of a row in an array that is only known to be longer, `length` is 0.

    `may_hold_all`: it may be one object around all rows.
    """
    more = " If it is no row but holds all of them, bring their list alone, as a JSON array." if may_hold_all else ""
    return Problem(
        line=line,
        field="line" if length else "row",
        value=f"{length:,} bytes" if length else f"more than {limit:,} bytes",
        code=ProblemCode.LINE_TOO_LONG,
        fix=f"Keep a row under {limit:,} bytes; no small model reads that much.{more}",
    )


def _read_json(stream: io.BufferedReader, limits: Limits) -> Iterator[Record | Problem]:
    """Yield the elements of one array, or the one object that the file is."""
    text = _Text(stream, limits.row_bytes)
    if text.peek() == "{":
        yield text.value(may_hold_all=True)
        if text.peek():
            fix = "Write one array of objects, or one object a line (JSONL)."
            raise refuse_file("more than one JSON value", fix, line=text.line)
        return
    if text.peek() != "[":
        raise text.broken("an array of objects was expected")
    text.skip(1)
    while (mark := text.peek()) != "]":
        if not mark:
            raise text.broken("the array does not end")
        yield text.value()
        if (mark := text.peek()) == ",":
            text.skip(1)
            if text.peek() == "]":
                raise text.broken("a comma before the end of the array")
        elif mark != "]":
            raise text.broken("a comma is missing between two rows")
    text.skip(1)
    if text.peek():
        raise text.broken("something follows the end of the array")


class _Text:
    """Decoded text of a stream, a window at a time, with the line that it has come to."""

    def __init__(self, stream: io.BufferedReader, row_bytes: int) -> None:
        self._stream = stream
        self._decode = codecs.getincrementaldecoder("utf-8-sig")()
        self._row_bytes = row_bytes
        self._text, self._at, self.line = "", 0, 1
        self._ended = False

    def peek(self) -> str:
        """Return the next character that is not white space, "" at the end."""
        while True:
            while self._at < len(self._text) and self._text[self._at].isspace():
                self.skip(1)
            if self._at < len(self._text) or not self._fill(_BLOCK_BYTES):
                return self._text[self._at : self._at + 1]

    def skip(self, count: int) -> None:
        self.line += self._text.count("\n", self._at, self._at + count)
        self._at += count

    def value(self, *, may_hold_all: bool = False) -> Record | Problem:
        """Return the JSON value that begins here, or what is wrong with it. Raises UnreadableFile."""
        line, wanted = self.line, _BLOCK_BYTES
        while True:
            try:
                value, end, wrong = decode_strictly(self._text, self._at)
            except (ValueError, RecursionError) as error:
                if len(self._text) - self._at > self._row_bytes:
                    too_long = _too_long(line, 0, self._row_bytes, may_hold_all=may_hold_all)
                    raise UnreadableFile(too_long) from error
                if not self._fill(wanted):
                    raise self.broken(why_no_json(error)) from error
                wanted *= 2  # so that a long row is not parsed from its start again and again
            else:
                begin = self._text[self._at : self._at + 80]
                self.skip(end - self._at)
                if not wrong:
                    return Record(line, value)
                where = half_character(value)
                return Problem(
                    line=line,
                    field="row" if where is None else where or "row",
                    value=shown(begin) if where is None else "half a character",
                    code=ProblemCode.NOT_JSON if where is None else ProblemCode.NOT_UTF8,
                    fix=f"Mend the row: {wrong}.",
                )

    def broken(self, why: str) -> UnreadableFile:
        return UnreadableFile(
            Problem(
                line=self.line,
                field="file",
                value=shown(self._text[self._at : self._at + 80]) or "the end of the file",
                code=ProblemCode.NOT_JSON,
                fix=f"Not JSON: {why}. Mend it, or write one object a line (JSONL): then only the bad lines are lost.",
            )
        )

    def _fill(self, count: int) -> bool:
        block = self._stream.read(count)
        if not block and self._ended:
            return False
        self._ended = not block
        try:
            more = self._decode.decode(block, final=not block)
        except UnicodeDecodeError as error:
            bytes_before, bad_bytes = error.object[: error.start], error.object[error.start : error.start + 8]
            line = self.line + self._text.count("\n", self._at) + bytes_before.count(b"\n")
            bad = refuse_file(repr(bad_bytes), "Save the file as UTF-8.", line=line)
            raise UnreadableFile(bad.problem.model_copy(update={"code": ProblemCode.NOT_UTF8})) from error
        self._text, self._at = self._text[self._at :] + more, 0
        return bool(more)


def _read_csv(stream: io.BufferedReader, limits: Limits) -> Iterator[Record | Problem]:
    """Yield rows as {column: text}. A cell is text and nothing else: a formula in it is never computed."""
    csv.field_size_limit(limits.row_bytes)
    lines = _CsvLines(stream, limits.row_bytes)
    head = stream.peek(_HEAD_BYTES).decode(errors="replace")
    mark = _delimiter(head)
    cells = csv.reader(lines, delimiter=mark, skipinitialspace=_has_blanks_behind(mark, head), strict=True)
    names: list[str] = []
    begins = 1
    while True:
        try:
            row = next(cells, None)
        except csv.Error as error:
            if "field limit" in str(error):
                raise UnreadableFile(_cell_too_long(begins, limits.row_bytes)) from error
            if not names or "unexpected end" in str(error):
                raise refuse_file(f"broken CSV: {error}", _BAD_QUOTES, line=begins) from error
            yield Problem(line=begins, field="row", value=str(error), code=ProblemCode.BROKEN_QUOTES, fix=_BAD_QUOTES)
            begins = cells.line_num + 1
            lines.take_undecodable()
            continue
        if row is None:
            return
        line, begins = begins, cells.line_num + 1
        if bad := lines.take_undecodable():
            if not names:
                raise UnreadableFile(bad)
            yield bad
        elif not names:
            names = _column_names(line, row)
        elif len(row) not in (0, len(names)):
            yield Problem(
                line=line,
                field="row",
                value=f"{len(row)} cell{'' if len(row) == 1 else 's'}",
                code=ProblemCode.WRONG_CELL_COUNT,
                fix=f"Give the row {len(names)} cell{'' if len(names) == 1 else 's'}, as the header has; quote a cell "
                "that holds the delimiter.",
            )
        elif row:
            yield Record(line, dict(zip(names, row, strict=True)))


def _delimiter(head: str) -> str:
    """Return the mark that cuts the most of the first lines into as many cells as the header; the header may be
    sentences with marks of their own. Of marks that do so alike, the one that the header has most."""
    header = _QUOTED.sub("", head.lstrip("\r\n").partition("\n")[0])

    def fits(mark: str) -> tuple[int, int]:
        rows = [row for row in islice(csv.reader(io.StringIO(head, newline=""), delimiter=mark), _LINES_TO_CUT) if row]
        width = len(rows[0]) if rows else 0
        return sum(len(row) == width for row in rows) if width > 1 else 0, header.count(mark)

    return max(_DELIMITERS, key=fits)


def _has_blanks_behind(mark: str, head: str) -> bool:
    """Tell whether a blank stands behind each delimiter of the header: then the blanks of the rows are no part of their
    cells, and a quote behind one begins a cell."""
    header = _QUOTED.sub("", head.lstrip("\r\n").partition("\n")[0])
    return header.count(mark) == header.count(f"{mark} ") > 0


def _cell_too_long(line: int, limit: int) -> Problem:
    return Problem(
        line=line,
        field="row",
        value=f"a cell of more than {limit:,} bytes",
        code=ProblemCode.LINE_TOO_LONG,
        fix="Shorten the cell, or close the quote that begins it: what follows cannot be told from it.",
    )


def _column_names(line: int, row: list[str]) -> list[str]:
    names = [name.strip() for name in row]
    if not all(names):
        fix = "Name it in the first line, or leave it out; pandas writes its index so, unless it is told index=False."
        if names[0].lower() == "sep=":
            fix = "Remove the first line: it tells Excel the delimiter, which is found without it."
        fix = f"Column {names.index('') + 1} has no name. {fix}"
        raise refuse_file(f"the header {shown(', '.join(names))}", fix, line=line)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        fix = f"Give each column a name of its own in the first line; two are named {shown(twice)}."
        raise refuse_file(f"the header {shown(', '.join(names))}", fix, line=line)
    return names


class _CsvLines:
    """Lines of text for the CSV reader; remembers a line that is not UTF-8, so that its row becomes a problem."""

    def __init__(self, stream: io.BufferedReader, limit: int) -> None:
        self._lines = _lines(stream, limit)
        self._limit = limit
        self._undecodable: Problem | None = None

    def __iter__(self) -> "_CsvLines":
        return self

    def __next__(self) -> str:
        number, line, length = next(self._lines)
        if length > self._limit + 1:
            raise UnreadableFile(_too_long(number, length, self._limit))
        try:
            return line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            self._undecodable = Problem(
                line=number,
                field="row",
                value=repr(line[error.start : error.start + 8]),
                code=ProblemCode.NOT_UTF8,
                fix=f"Save the file as “CSV UTF-8”; byte {error.start + 1} of the line is not.",
            )
            return line.decode(errors="replace")

    def take_undecodable(self) -> Problem | None:
        found, self._undecodable = self._undecodable, None
        return found
