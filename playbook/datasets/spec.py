"""What lies in an import folder: the order (`import.json`), `progress.json` while it runs, `report.json` after.

The site writes the order and reads the rest; the process reads the order and writes the rest. All files appear
complete or not at all.
"""

import errno
import os
import tempfile
from enum import StrEnum
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from playbook.contracts.dataset import Split
from playbook.contracts.model import Frozen

ORDER, PROGRESS, REPORT, LOCK, LOG = "import.json", "progress.json", "report.json", "lock", "log.txt"
#: Of a field of the rows: tables made from a form are headed by its questions.
MAX_NAME = 1_000
#: No space, no quota, or a file that may not grow any more.
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Format(StrEnum):
    CHAT = "chat"
    PROMPT_COMPLETION = "prompt_completion"
    TEXT = "text"
    ALPACA = "alpaca"
    SHAREGPT = "sharegpt"
    COLUMNS = "columns"


class Mapping(Frozen):
    """Which field of a row means what. "" is a field that the rows do not have.

    A list of messages (`messages`) or single fields; `prompt` and `answer` may hold text or lists of messages.
    """

    format: Format
    messages: str = Field(default="", max_length=MAX_NAME)
    system: str = Field(default="", max_length=MAX_NAME)
    prompt: str = Field(default="", max_length=MAX_NAME)
    input: str = Field(default="", max_length=MAX_NAME)
    answer: str = Field(default="", max_length=MAX_NAME)

    @model_validator(mode="after")
    def _says_what_is_learned(self) -> Self:
        if not (self.messages or self.answer):
            raise ValueError("name the field of the messages, or that of the answer")
        return self

    @property
    def needed(self) -> frozenset[str]:
        """The fields that no row may lack."""
        return frozenset({self.messages, self.prompt, self.answer} - {""})


class Source(Frozen):
    """One file: its name as people know it, where its bytes lie, the split that it is, if it is one, and what its
    fields mean, if somebody said so.

    `mapping` None: take the first of the `earlier` ones, which people chose for versions before, whose fields the rows
    have; without any, detect it.
    """

    name: str
    path: str
    sha256: str
    size_bytes: int
    split: Split | None = None
    mapping: Mapping | None = None
    earlier: tuple[Mapping, ...] = ()


class SplitPlan(Frozen):
    """How one file becomes three. `group_field`: rows with the same value of this metadata, or of this
    field that the mapping reads, stay together; those without one are kept by their prompts alone."""

    validation_share: float = Field(default=0.1, gt=0, lt=1)
    test_share: float = Field(default=0.1, gt=0, lt=1)
    group_field: str = Field(default="", max_length=MAX_NAME)
    seed: int = Field(default=0, ge=0, lt=2**32)

    @model_validator(mode="after")
    def _leaves_rows_to_train(self) -> Self:
        if self.validation_share + self.test_share >= 1:
            raise ValueError("validation and test leave nothing to train: their shares have to be less than 1 together")
        return self


class Limits(Frozen):
    """What a file may unpack to. A bomb is refused at `ratio` times its size, once past `free_bytes`."""

    unpacked_bytes: int = 1_000_000_000
    ratio: int = 200
    free_bytes: int = 20_000_000
    rows: int = 1_000_000
    row_bytes: int = 1_000_000
    #: Leaf values of one column in one Parquet row group; what is encoded in runs unpacks to far more than its bytes.
    parquet_values: int = 50_000_000
    memory_bytes: int = 1_500_000_000
    cpu_seconds: int = 3_600


class Order(Frozen):
    """One file to split, or three files with their splits."""

    sources: tuple[Source, ...] = Field(min_length=1, max_length=3)
    plan: SplitPlan = SplitPlan()
    leave_out_bad_rows: bool = False
    limits: Limits = Limits()

    @model_validator(mode="before")
    @classmethod
    def _as_before(cls, data: object) -> object:
        """Read the order of an import that was begun when one mapping held for all of its files."""
        if not isinstance(data, dict) or "mapping" not in data:
            return data
        order = {name: value for name, value in data.items() if name != "mapping"}
        if data["mapping"] is not None:
            order["sources"] = [source | {"mapping": data["mapping"]} for source in data["sources"]]
        return order


class Stage(StrEnum):
    WAITING = "waiting"
    READING = "reading"
    COMPARING = "comparing"
    SPLITTING = "splitting"
    DONE = "done"
    FAILED = "failed"


class Progress(Frozen):
    """`share` of the whole import, 0 to 1; `message` says why it failed."""

    stage: Stage
    share: float
    rows: int = 0
    message: str = ""


class Finding(Frozen):
    """One problem: in which file, where in it, in which field, with which value, and how to mend it.

    `line`: as an editor counts, from 1, also within quoted cells; 0 in a Parquet file, and where the whole file is
    meant. `number`: of the row, from 1, in an array or a Parquet file; 0 in others, where the line tells.
    """

    file: str
    line: int
    number: int = 0
    field: str
    value: str
    code: str
    fix: str
    row: str = ""

    @property
    def place(self) -> str:
        """Where in the file it is, in words; "" when the whole file is meant."""
        row = f"row {self.number:,}" if self.number else ""
        return ", ".join(filter(None, (row, f"line {self.line:,}" if self.line else "")))


class FindingGroup(Frozen):
    """Findings of one code. `total` counts all of them, `listed` holds those among the first 1,000, else the first."""

    code: str
    total: int
    listed: tuple[Finding, ...]


class RowRef(Frozen):
    """A row by its split and number (from 1), and where it stood in its file: at which line or as which row, as
    `ReadSource.counts` says."""

    split: Split
    row: int
    line: int


class CheckGroup(Frozen):
    rows: tuple[RowRef, ...]
    note: str = ""


class Check(Frozen):
    """What one check found. `rows` counts all; `groups` lists the first of them, related rows together."""

    code: str
    rows: int
    groups: tuple[CheckGroup, ...] = ()


class Histogram(Frozen):
    """Counts of values in bins of equal width from `low`; the last bin holds everything above it too."""

    name: str
    low: float
    width: float
    counts: tuple[int, ...]
    median: float
    p95: float
    largest: int


class Balance(Frozen):
    """How often each value of one field of the answers occurs in each split, the most frequent first."""

    field: str
    counts: tuple[tuple[str, dict[Split, int]], ...]


class ReadSource(Frozen):
    """A file as it was understood. `columns`: its fields; `kept`: those that became metadata; `counts`: what its rows
    are found by. Those of an array are counted, for they may all stand on one line. `is_earlier`: its mapping was
    chosen by somebody for a version before."""

    name: str
    sha256: str
    size_bytes: int
    container: str
    mapping: Mapping | None
    columns: tuple[str, ...]
    kept: tuple[str, ...]
    rows: int
    counts: Literal["line", "row"] = "line"
    split: Split | None = None
    is_earlier: bool = False


class SplitResult(Frozen):
    split: Split
    rows: int
    sha256: str
    size_bytes: int


class Report(Frozen):
    """Everything that an import found. `splits` is empty when the rows were refused. `is_broken`: a file could not be
    read to its end, so leaving rows out would not help."""

    version: Literal[1] = 1
    sources: tuple[ReadSource, ...]
    rows: int
    left_out: int
    problems: int
    groups: tuple[FindingGroup, ...]
    splits: tuple[SplitResult, ...] = ()
    plan: SplitPlan | None = None
    checks: tuple[Check, ...] = ()
    histograms: tuple[Histogram, ...] = ()
    balances: tuple[Balance, ...] = ()
    group_fields: tuple[str, ...] = ()
    shared_templates: int | None = None
    test_templates: int | None = None
    is_broken: bool = False

    @property
    def refused(self) -> bool:
        return not self.splits

    def place_of(self, row: RowRef) -> str:
        """Return where a row stood in the file that it came from, as `row 7 of rows.parquet`."""
        source = next((source for source in self.sources if source.split is row.split), self.sources[0])
        # Of three files that were read before their splits were noted, the first is as good as the others.
        is_known = source.split is row.split or len(self.sources) == 1
        return f"{source.counts} {row.line:,} of {source.name if is_known else 'the file'}"


def write_atomically(path: Path, text: str) -> None:
    """Replace `path` by `text`; a reader sees the old or the new, never a part."""
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
