"""One import from its folder: read every row, compare, split, write the report. Called by `__main__` and, for small
files, in the process of the caller."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np

from playbook.contracts.dataset import MAX_LINE_BYTES, Split
from playbook.contracts.dataset_problems import Problem, ProblemCode, shown
from playbook.datasets import checks, measures, pairs, splits
from playbook.datasets.formats import Row, converter, detect, is_plain, used_fields
from playbook.datasets.gathering import Gathered, Gathering
from playbook.datasets.problems import ProblemLog, UnreadableFile
from playbook.datasets.readers import Record, RowFile
from playbook.datasets.spec import (
    ORDER,
    REPORT,
    Format,
    Mapping,
    Order,
    Progress,
    ReadSource,
    Report,
    Source,
    SplitResult,
    Stage,
    write_atomically,
)

_ROWS_TO_DETECT = 100
_MAX_COLUMNS = 50
_SECONDS_BETWEEN_REPORTS = 0.3
#: To ask for the time takes some machines as long as half of what is done with a short row.
_ROWS_BETWEEN_LOOKS = 8
#: Share of the time that reading takes, for the progress bar; comparing takes most of the rest.
_READING = 0.85
_COMPARING = 0.95
#: Making one takes as long as writing a row.
_ENCODER = json.JSONEncoder(ensure_ascii=False)
_quoted = json.encoder.encode_basestring


def split_file(folder: Path, split: Split) -> Path:
    """Return where the rows of a split lie after an import."""
    return folder / f"{split}.jsonl"


def run_import(folder: Path, *, tell: Callable[[Progress], None] = lambda _: None) -> Report:
    """Carry out the order in `folder` and return its report, which is also written there, beside the split files.

    Raises OSError (disk full, blob missing) and MemoryError.
    """
    order = Order.model_validate_json((folder / ORDER).read_bytes())
    work = folder / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    try:
        report = _Import(folder, work, order, tell).run()
        shutil.rmtree(work, ignore_errors=True)
        write_atomically(folder / REPORT, report.model_dump_json())
    except BaseException:
        # Half a split is of no use, and on a full disk its room is needed to say what happened.
        shutil.rmtree(work, ignore_errors=True)
        for split in Split:
            split_file(folder, split).unlink(missing_ok=True)
        raise
    return report


class _Import:
    def __init__(self, folder: Path, work: Path, order: Order, tell: Callable[[Progress], None]) -> None:
        self._folder, self._work, self._order, self._tell = folder, work, order, tell
        self._log = ProblemLog()
        self._sources: list[ReadSource] = []
        self._left_out = 0
        self._rows_path = work / "rows.jsonl"
        self._gathering = Gathering(work, group_field=order.plan.group_field)
        self._is_broken = False
        self._written, self._room = 0, _room(order)
        self._told_at = 0.0

    def run(self) -> Report:
        try:
            with self._rows_path.open("wb") as output:
                for number, source in enumerate(self._order.sources):
                    self._read(number, source, output.write)
            return self._report(self._gathering.finish())
        finally:
            self._gathering.close()

    def _read(self, number: int, source: Source, write: Callable[[bytes], int]) -> None:
        """Read one file: write its rows, gather what the checks need, log what is wrong."""
        log, limits = self._log, self._order.limits
        rows, last_line, container, mapping, known = 0, 0, "", self._order.mapping, log.total
        columns: tuple[str, ...] = ()
        room = limits.rows - len(self._gathering)
        try:
            with RowFile(Path(source.path), source.name, limits, scratch=self._work) as file:
                container = file.container
                records = iter(file)
                first, broken = _first_rows(records)
                columns = _columns_of(first)
                mapping = mapping or detect(found.value for found in first if isinstance(found, Record))
                if mapping is None and any(isinstance(found, Record) for found in first):
                    if broken:
                        log.add(source.name, broken.problem)
                    raise UnreadableFile(_unknown_format(columns, _inner_lists(first)))
                # No row of the first hundred could be read at all: name what is wrong with the others as chat rows.
                mapping = mapping or Mapping(format=Format.CHAT, messages="messages")
                convert, is_csv = converter(mapping), container.startswith("CSV")
                for count, found in enumerate(chain(first, _raising(broken) if broken else records)):
                    last_line = found.line
                    if isinstance(found, Problem):
                        self._refuse_row(source, [found])
                    elif isinstance(row := convert(found.line, found.value), list):
                        self._refuse_row(source, row, row=found.value)
                    elif self._take(source, found, row, write, number=number, is_csv=is_csv):
                        rows += 1
                        if rows > room:
                            raise UnreadableFile(_too_many(limits.rows))
                    if count % _ROWS_BETWEEN_LOOKS == 0:
                        self._tell_reading(number, file)
        except UnreadableFile as error:
            self._is_broken = True
            log.add_end(source.name, error.problem, last_line=last_line)
        if rows == 0:
            self._is_broken = True
            if log.total == known:
                log.add(source.name, _no_rows(source))
        kept = () if mapping is None else tuple(name for name in columns if name not in used_fields(mapping))
        self._sources.append(
            ReadSource(
                name=source.name,
                sha256=source.sha256,
                size_bytes=source.size_bytes,
                container=container,
                mapping=mapping,
                columns=columns,
                kept=kept,
                rows=rows,
            )
        )

    def _take(
        self, source: Source, record: Record, row: Row, write: Callable[[bytes], int], *, number: int, is_csv: bool
    ) -> bool:
        line = record.raw if record.raw is not None and row == record.value and is_plain(record.value) else _dump(row)
        self._written += len(line) + 1
        if self._written > self._room:
            raise UnreadableFile(_too_much(record.line, self._room))
        if len(line) > MAX_LINE_BYTES:
            self._refuse_row(source, [_too_long(record.line, len(line))])
            return False
        write(line + b"\n")
        self._gathering.add(row, line=record.line, source=number, is_csv=is_csv)
        return True

    def _refuse_row(self, source: Source, problems: list[Problem], *, row: object = None) -> None:
        self._left_out += 1
        for problem in problems:
            self._log.add(source.name, problem, row=row)

    def _report(self, rows: Gathered) -> Report:
        self._say(Stage.COMPARING, _READING)
        may_deal = len(rows) and (not self._log.total or self._order.leave_out_bad_rows or self._is_split_already)
        assignment = self._assign(rows) if may_deal else None
        names = tuple(name for name, _ in rows.metadata.most_common(_MAX_COLUMNS))
        if assignment is None or self._is_broken or (self._log.total and not self._order.leave_out_bad_rows):
            return self._outcome(len(rows)).model_copy(update={"group_fields": names})
        classes = measures.classes(rows, assignment)
        found = checks.run_checks(rows, assignment, classes)
        self._say(Stage.SPLITTING, _COMPARING)
        shared, of_test = checks.template_counts(rows, assignment)
        return self._outcome(len(rows)).model_copy(
            update={
                "splits": self._write_splits(assignment),
                "plan": None if self._is_split_already else self._order.plan,
                "checks": found,
                "histograms": measures.histograms(rows, assignment),
                "balances": measures.balances(classes),
                "group_fields": names,
                "shared_templates": shared,
                "test_templates": of_test,
            }
        )

    def _outcome(self, rows: int) -> Report:
        return Report(
            sources=tuple(self._sources),
            rows=rows,
            left_out=self._left_out,
            problems=self._log.total,
            groups=self._log.groups(),
            is_broken=self._is_broken,
        )

    @property
    def _is_split_already(self) -> bool:
        return all(source.split is not None for source in self._order.sources)

    def _assign(self, rows: Gathered) -> splits.Assignment | None:
        if not self._is_split_already:
            field = self._order.plan.group_field
            is_absent = field and not rows.columns["group"].any()
            dealt = (
                _no_groups(field)
                if is_absent
                else splits.deal(rows.columns["prompt"], rows.columns["group"], self._order.plan)
            )
            if isinstance(dealt, Problem):
                self._log.add(self._order.sources[0].name, dealt)
                self._is_broken = True
                return None
            return dealt
        numbers = [splits.SPLITS.index(source.split) for source in self._order.sources if source.split is not None]
        assignment = np.array(numbers, dtype=np.uint8)[rows.sources]
        self._refuse_shared(rows, assignment)
        if not self._is_broken and not (assignment == splits.SPLITS.index(Split.TEST)).any():
            self._is_broken = True  # every test row is in train too, as the log says
        return assignment

    def _refuse_shared(self, rows: Gathered, assignment: splits.Assignment) -> None:
        """Name the test rows whose prompt train has too, and take them out of the assignment."""
        names = {source.split: source.name for source in self._order.sources}
        for test_row, train_row in zip(*pairs.shared_prompts(rows, assignment, pairs.TRAIN_TEST), strict=True):
            self._left_out += 1
            self._log.add(
                names[Split.TEST],
                Problem(
                    line=int(rows.lines[test_row]),
                    field="prompt",
                    value="the same prompt as a row of train",
                    code=ProblemCode.ROW_IN_TRAIN_AND_TEST,
                    fix=f"Line {rows.lines[train_row]} of {names[Split.TRAIN]} has the same prompt; remove one of the "
                    "two. A test row that was trained on measures memory.",
                ),
            )
            assignment[test_row] = splits.LEFT_OUT

    def _write_splits(self, assignment: splits.Assignment) -> tuple[SplitResult, ...]:
        """Deal the lines of the rows file out. The test file is hashed like the others; its hash is its lock."""
        files = [split_file(self._folder, split).open("wb") for split in splits.SPLITS]
        digests = [hashlib.sha256() for _ in files]
        try:
            with self._rows_path.open("rb") as lines:
                for line, number in zip(lines, assignment.tolist(), strict=True):
                    if number != splits.LEFT_OUT:
                        files[number].write(line)
                        digests[number].update(line)
            sizes = [file.tell() for file in files]
        finally:
            for file in files:
                file.close()
        return tuple(
            SplitResult(split=split, rows=int((assignment == number).sum()), sha256=digest.hexdigest(), size_bytes=size)
            for number, (split, digest, size) in enumerate(zip(splits.SPLITS, digests, sizes, strict=True))
        )

    def _tell_reading(self, number: int, file: RowFile) -> None:
        if time.monotonic() - self._told_at > _SECONDS_BETWEEN_REPORTS:
            sizes = [source.size_bytes for source in self._order.sources]
            done = (sum(sizes[:number]) + file.share_read * sizes[number]) / max(1, sum(sizes))
            self._say(Stage.READING, _READING * done)

    def _say(self, stage: Stage, share: float) -> None:
        self._told_at = time.monotonic()
        self._tell(Progress(stage=stage, share=share, rows=len(self._gathering)))


def _first_rows(records: Iterator[Record | Problem]) -> tuple[list[Record | Problem], UnreadableFile | None]:
    """Return the rows to detect the format from, and what ended the file among them."""
    found: list[Record | Problem] = []
    try:
        found.extend(islice(records, _ROWS_TO_DETECT))
    except UnreadableFile as error:
        return found, error
    return found, None


def _raising(error: UnreadableFile) -> Iterator[Record | Problem]:
    raise error
    yield


def _columns_of(records: list[Record | Problem]) -> tuple[str, ...]:
    names = dict.fromkeys(
        str(key)[:200]
        for found in records
        if isinstance(found, Record) and isinstance(found.value, dict)
        for key in found.value
    )
    return tuple(islice(names, _MAX_COLUMNS))


def _dump(row: Row) -> bytes:
    """Return the row as `json.dumps` writes it. Most hold nothing but roles and texts, which take a quarter of its time
    when they are put together here."""
    messages, metadata = row["messages"], row.get("metadata", {})
    turns = [
        f'{{"role": "{message["role"]}", "content": {_quoted(message["content"])}}}'
        for message in messages
        if tuple(message) == ("role", "content")
    ]
    if len(row) != 1 + ("metadata" in row) or len(turns) < len(messages):
        return _ENCODER.encode(row).encode(errors="replace")
    more = [f"{_quoted(name)}: {_quoted(value)}" for name, value in metadata.items()]
    kept = f', "metadata": {{{", ".join(more)}}}' if "metadata" in row else ""
    return f'{{"messages": [{", ".join(turns)}]{kept}}}'.encode(errors="replace")


def _inner_lists(records: list[Record | Problem]) -> list[str]:
    """Return the fields that hold a list of objects: where the file is one object, the rows lie in one of them."""
    objects = [found.value for found in records if isinstance(found, Record) and isinstance(found.value, dict)]
    if len(objects) != 1:
        return []
    return [
        str(name)
        for name, value in objects[0].items()
        if isinstance(value, list) and value and all(isinstance(item, dict) for item in value)
    ]


def _unknown_format(columns: tuple[str, ...], lists: list[str]) -> Problem:
    if lists:
        fix = f'The rows seem to lie in the list "{shown(lists[0])}": bring that list alone, as a JSON array.'
    elif columns:
        fix = "No known format has these fields. Choose which of them is the prompt and which the answer."
    else:
        fix = 'Make each row an object with named fields, such as {"prompt": "…", "completion": "…"}.'
    return Problem(
        line=1,
        field="file",
        value=f"fields {', '.join(columns) or 'none'}"[:80],
        code=ProblemCode.UNKNOWN_FORMAT,
        fix=fix,
    )


def _no_groups(field: str) -> Problem:
    return Problem(
        line=1,
        field=field,
        value="in no row",
        code=ProblemCode.MISSING_FIELD,
        fix="No row has the field that rows are kept together by. Choose another field, or none, and split again.",
    )


def _no_rows(source: Source) -> Problem:
    why = " A job without test rows could prove nothing, so it cannot start." if source.split is Split.TEST else ""
    return Problem(
        line=1,
        field="file",
        value="no row",
        code=ProblemCode.NO_EXAMPLES,
        fix=f"Write one example a line, with a prompt and its answer.{why}",
    )


def _room(order: Order) -> int:
    """Return how many bytes of rows the files may become: Parquet can hold one long value a million times."""
    limits = order.limits
    stored = sum(source.size_bytes for source in order.sources)
    return min(limits.unpacked_bytes, max(limits.free_bytes, limits.ratio * stored))


def _too_much(line: int, room: int) -> Problem:
    return Problem(
        line=line,
        field="file",
        value=f"more than {room:,} bytes of rows",
        code=ProblemCode.UNPACKS_TOO_LARGE,
        fix="The rows repeat the same long values over and over; bring a sample of them.",
    )


def _too_many(limit: int) -> Problem:
    return Problem(
        line=limit + 1,
        field="file",
        value=f"more than {limit:,} rows",
        code=ProblemCode.TOO_MANY_ROWS,
        fix=f"Bring at most {limit:,} rows; a sample teaches the same.",
    )


def _too_long(line: int, length: int) -> Problem:
    return Problem(
        line=line,
        field="row",
        value=f"{length:,} bytes",
        code=ProblemCode.LINE_TOO_LONG,
        fix=f"Keep a row under {MAX_LINE_BYTES:,} bytes; no small model reads that much.",
    )
