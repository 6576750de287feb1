"""One import from its folder: read every row, compare, split, write the report. Called by `__main__` and, for small
files, in the process of the caller."""

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np

from playbook.contracts.dataset import MAX_LINE_BYTES, Split
from playbook.contracts.dataset_problems import Problem, ProblemCode, as_text
from playbook.datasets import checks, measures, pairs, refusals, splits
from playbook.datasets.formats import Row, converter, detect, is_plain, used_fields
from playbook.datasets.gathering import Gathered, Gathering
from playbook.datasets.problems import ProblemLog, UnreadableFile
from playbook.datasets.readers import Record, RowFile
from playbook.datasets.spec import (
    MAX_NAME,
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
#: So many rows may be unreadable before the first from which the format can be told.
_ROWS_TO_SKIP = 10_000
#: Of the names of fields that are kept, all together.
_COLUMN_CHARS = 500_000
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
        self._gathering = Gathering(work, is_grouped=bool(order.plan.group_field))
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
        rows, last, container, counts, mapping, known = 0, 0, "", "line", source.mapping, log.total
        columns, example = _Columns(), None
        room = limits.rows - len(self._gathering) - self._left_out
        try:
            with RowFile(Path(source.path), source.name, limits, scratch=self._work) as file:
                container, counts = file.container, file.counts
                records = iter(file)
                first, broken = _first_rows(records)
                columns.note(first)
                here = set(columns.names)
                mapping = mapping or next((chosen for chosen in source.earlier if chosen.needed <= here), None)
                mapping = mapping or detect(found.value for found in first if isinstance(found, Record))
                if mapping is None and any(isinstance(found, Record) for found in first[:_ROWS_TO_DETECT]):
                    if broken:
                        log.add(source.name, broken.problem)
                    example = next(found.value for found in first if isinstance(found, Record))
                    raise UnreadableFile(refusals.unknown_format(columns.names, first))
                # None of the first rows could be read at all: name what is wrong with the others as chat rows.
                mapping = mapping or Mapping(format=Format.CHAT, messages="messages")
                if table := refusals.of_columns(first, mapping):
                    raise UnreadableFile(table)
                convert, is_csv = converter(mapping), container.startswith("CSV")
                for count, found in enumerate(chain(first, _raising(broken) if broken else records), start=1):
                    if count > room:
                        raise UnreadableFile(refusals.too_many(found.line, limits.rows))
                    row_number = count if counts == "row" else 0
                    last = row_number or found.line
                    columns.note((found,))
                    if isinstance(found, Problem):
                        self._refuse_row(source, [found], number=row_number)
                    elif isinstance(row := convert(found.line, found.value), list):
                        self._refuse_row(source, row, row=found.value, number=row_number)
                    elif self._take(source, found, row, write, row_number=row_number, number=number, is_csv=is_csv):
                        rows += 1
                    if count % _ROWS_BETWEEN_LOOKS == 1:
                        self._tell_reading(number, file)
        except UnreadableFile as error:
            self._is_broken = True
            log.add_end(source.name, error.problem, last=f"{counts} {last:,}" if last else "", row=example)
        if rows == 0:
            self._is_broken = True
            if log.total == known:
                log.add(source.name, refusals.no_rows(source))
        kept = () if mapping is None else tuple(name for name in columns.names if name not in used_fields(mapping))
        self._sources.append(
            ReadSource(
                name=source.name,
                sha256=source.sha256,
                size_bytes=source.size_bytes,
                container=container,
                mapping=mapping,
                columns=columns.names,
                kept=kept,
                rows=rows,
                counts=counts,
                split=source.split,
                is_earlier=source.mapping is None and mapping in source.earlier,
            )
        )

    def _take(
        self,
        source: Source,
        record: Record,
        row: Row,
        write: Callable[[bytes], int],
        *,
        row_number: int,
        number: int,
        is_csv: bool,
    ) -> bool:
        line = record.raw if record.raw is not None and row == record.value and is_plain(record.value) else _dump(row)
        self._written += len(line) + 1
        if self._written > self._room:
            raise UnreadableFile(refusals.too_much(record.line, self._room))
        if len(line) > MAX_LINE_BYTES:
            self._refuse_row(source, [refusals.too_long(record.line, len(line))], number=row_number)
            return False
        write(line + b"\n")
        group = _group_of(row, record.value, field) if (field := self._order.plan.group_field) else ""
        self._gathering.add(row, line=row_number or record.line, source=number, is_csv=is_csv, group=group)
        return True

    def _refuse_row(self, source: Source, problems: list[Problem], *, row: object = None, number: int = 0) -> None:
        self._left_out += 1
        for problem in problems:
            self._log.add(source.name, problem, row=row, number=number)

    def _report(self, rows: Gathered) -> Report:
        self._say(Stage.COMPARING, _READING)
        may_deal = len(rows) and (not self._log.total or self._order.leave_out_bad_rows or self._is_split_already)
        assignment = self._assign(rows) if may_deal else None
        names = (*self._read_texts(), *(name for name, _ in rows.metadata.most_common()))
        used = len(rows) if assignment is None else int((assignment != splits.LEFT_OUT).sum())
        if assignment is None or self._is_broken or (self._log.total and not self._order.leave_out_bad_rows):
            return self._outcome(used).model_copy(update={"group_fields": names})
        classes = measures.classes(rows, assignment)
        found = checks.run_checks(rows, assignment, classes)
        self._say(Stage.SPLITTING, _COMPARING)
        shared, of_test = checks.template_counts(rows, assignment)
        return self._outcome(used).model_copy(
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

    def _read_texts(self) -> tuple[str, ...]:
        """Return the fields that the mapping reads as text of a prompt, by which rows may be kept together too."""
        mapping = self._sources[0].mapping
        return () if mapping is None else tuple(filter(None, (mapping.system, mapping.prompt, mapping.input)))

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
                refusals.no_groups(field)
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
        read = {source.split: source for source in self._sources}
        train, test = read[Split.TRAIN], read[Split.TEST]
        for test_row, train_row in zip(*pairs.shared_prompts(rows, assignment, pairs.TRAIN_TEST), strict=True):
            self._left_out += 1
            at, is_counted = int(rows.lines[test_row]), test.counts == "row"
            self._log.add(
                test.name,
                Problem(
                    line=0 if is_counted else at,
                    field="prompt",
                    value="the same prompt as a row of train",
                    code=ProblemCode.ROW_IN_TRAIN_AND_TEST,
                    fix=f"{train.counts.capitalize()} {rows.lines[train_row]} of {train.name} has the same prompt; "
                    "remove one of the two. A test row that was trained on measures memory.",
                ),
                number=at if is_counted else 0,
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
        while len(found) < _ROWS_TO_SKIP:
            known = len(found)
            found.extend(islice(records, _ROWS_TO_DETECT))
            if len(found) == known or any(isinstance(one, Record) for one in found[known:]):
                break
    except UnreadableFile as error:
        return found, error
    return found, None


def _raising(error: UnreadableFile) -> Iterator[Record | Problem]:
    raise error
    yield


class _Columns:
    """The names of the fields of a file, in the order in which they appear: as many as a page can offer to choose from.
    A row may bring names that no row before it had."""

    def __init__(self) -> None:
        self._names: dict[str, None] = {}
        self._room = _COLUMN_CHARS

    def note(self, records: Iterable[Record | Problem]) -> None:
        for found in records:
            row = None if isinstance(found, Problem) else found.value
            if not isinstance(row, dict) or row.keys() <= self._names.keys():
                continue
            for name in row:
                if len(name) <= MAX_NAME and len(name) <= self._room and name not in self._names:
                    self._names[name] = None
                    self._room -= len(name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._names)


def _group_of(row: Row, value: object, field: str) -> str:
    """Return what the row says in the field by which rows are kept together, "" for nothing: it became metadata, or
    the mapping reads it."""
    found = value.get(field) if isinstance(value, dict) else None
    if found is None or isinstance(found, list | dict):
        found = row.get("metadata", {}).get(field)
    if found is None or found != found:  # NaN, which a table of numbers holds where it has none
        return ""
    return (found if isinstance(found, str) else as_text(found)).strip()


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


def _room(order: Order) -> int:
    """Return how many bytes of rows the files may become: Parquet can hold one long value a million times."""
    limits = order.limits
    stored = sum(source.size_bytes for source in order.sources)
    return min(limits.unpacked_bytes, max(limits.free_bytes, limits.ratio * stored))
