"""Uploaded bytes → three validated splits, or every problem in them. Pure: no database, no files.

Called by the upload form and by the import of samples; `actions` stores what comes out.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, groupby

from playbook.contracts.dataset import Example, Problem, Split, read_examples
from playbook.scoring.overlap import TEMPLATE_KEY, fingerprint

MAX_LISTED = 1_000
#: Share of the rows that go to test, and the same again to validation, when one file is split.
HELD_OUT_SHARE = 0.1

_BINARY = {
    b"\x1f\x8b": ("a gzip file", "Unpack it (gunzip) and upload the .jsonl file itself."),
    b"PK\x03\x04": ("a ZIP or Excel file", "Upload plain JSONL: one JSON object a line, saved as text."),
    b"PAR1": ("a Parquet file", "Convert it to JSONL: one JSON object a line."),
    b"\xff\xfe": ("UTF-16 text", "Save the file as UTF-8."),
    b"\xfe\xff": ("UTF-16 text", "Save the file as UTF-8."),
}


@dataclass(frozen=True)
class Finding:
    """One problem: in which file, on which line (from 1), in which field, with which value, and how to mend it."""

    file: str
    line: int
    field: str
    value: str
    code: str
    fix: str


@dataclass(frozen=True)
class FindingGroup:
    """Findings of one code. `total` counts all of them, `listed` holds those among the first 1,000 of the upload."""

    code: str
    total: int
    listed: tuple[Finding, ...]


class BadDataset(Exception):
    """The upload was refused as a whole; nothing is stored. `findings` holds every problem of every file."""

    def __init__(self, findings: Sequence[Finding]) -> None:
        super().__init__(f"{len(findings):,} problems, the first: {findings[0]}")
        self.findings = tuple(findings)

    @property
    def groups(self) -> list[FindingGroup]:
        """The findings by code, in the order in which the codes first appear."""
        totals = Counter(finding.code for finding in self.findings)
        order = {code: position for position, code in enumerate(totals)}
        listed = sorted(self.findings[:MAX_LISTED], key=lambda finding: order[finding.code])
        by_code = {code: tuple(found) for code, found in groupby(listed, key=lambda finding: finding.code)}
        return [FindingGroup(code=code, total=totals[code], listed=by_code.get(code, ())) for code in totals]


@dataclass(frozen=True)
class Row:
    """A line of the upload: its number, its bytes without the line end, and what they say."""

    line: int
    content: bytes
    example: Example


@dataclass(frozen=True)
class Splits:
    """What a dataset version is made of: the bytes of each file and its rows, and how they came about."""

    content: Mapping[Split, bytes]
    rows: Mapping[Split, tuple[Row, ...]]
    made_from: str


def read_three_files(contents: Mapping[Split, bytes]) -> Splits:
    """Return the three files as they stand. Raises BadDataset with every problem of all three."""
    rows: dict[Split, tuple[Row, ...]] = {}
    findings: list[Finding] = []
    for split in Split:
        try:
            rows[split] = read_rows(f"{split}.jsonl", contents[split])
        except BadDataset as bad:
            findings.extend(bad.findings)
    if Split.TRAIN in rows and Split.TEST in rows:
        findings.extend(_shared_rows(rows[Split.TRAIN], rows[Split.TEST]))
    if findings:
        raise BadDataset(findings)
    return Splits(content=dict(contents), rows=rows, made_from="Three files, stored byte for byte.")


def read_and_split(content: bytes, *, seed: int, keep_templates_together: bool) -> Splits:
    """Split one file into train (about 80 %), validation and test (about 10 % each).

    Rows with the same prompt always land in the same split; rows with the same `metadata.template` do so on request.
    The same bytes and seed give the same splits. Raises BadDataset.
    """
    rows = read_rows("the file", content)
    units: dict[object, list[Row]] = {}
    for row in rows:
        template = row.example.metadata.get(TEMPLATE_KEY) if keep_templates_together else None
        units.setdefault(template or fingerprint(row.example), []).append(row)
    if len(units) < len(Split):
        kind = "templates" if keep_templates_together else "prompts"
        raise BadDataset([_too_few(len(units), kind)])
    parts = _deal(list(units.values()), seed=seed, held_out=max(1, round(len(rows) * HELD_OUT_SHARE)))
    together = ", rows of one template kept together" if keep_templates_together else ""
    return Splits(
        content={split: b"".join(row.content + b"\n" for row in part) for split, part in parts.items()},
        rows=parts,
        made_from=f"One file of {len(rows):,} rows, split by seed {seed}{together}.",
    )


def read_rows(file: str, content: bytes) -> tuple[Row, ...]:
    """Return the rows of one JSONL file. Raises BadDataset with every problem in it; `file` names it in them."""
    if unfit := _unfit_file(file, content):
        raise BadDataset([unfit])
    lines = content.split(b"\n")
    result = read_examples(lines)
    if result.problems:
        raise BadDataset(
            [
                Finding(
                    file=file, line=found.line, field=found.field, value=found.value, code=found.code, fix=found.fix
                )
                for found in result.problems
            ]
        )
    filled = [(number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    return tuple(
        Row(line=number, content=line.removeprefix(b"\xef\xbb\xbf").strip(), example=example)
        for (number, line), example in zip(filled, result.examples, strict=True)
    )


def _finding(file: str, problem: Problem) -> Finding:
    value, code = problem.value, problem.code.value
    return Finding(file=file, line=problem.line, field=problem.field, value=value, code=code, fix=problem.fix)


def _unfit_file(file: str, content: bytes) -> Finding | None:
    if not content.strip():
        why = " A job without test rows could prove nothing, so it cannot start." if file == "test.jsonl" else ""
        fix = f"Write one JSON object per line, each with a messages list.{why}"
        return Finding(file=file, line=1, field="file", value="no line with content", code="no_examples", fix=fix)
    for magic, (kind, fix) in _BINARY.items():
        if content.startswith(magic):
            return Finding(file=file, line=1, field="file", value=kind, code="not_jsonl", fix=fix)
    return None


def _too_few(units: int, kind: str) -> Finding:
    value = f"{units} different {kind[:-1] if units == 1 else kind}"
    fix = (
        f"Give at least {len(Split)}: train, validation and test need one each, and a job without test rows could "
        "prove nothing."
    )
    return Finding(file="the file", line=1, field="file", value=value, code="no_test_rows", fix=fix)


def _deal(units: list[list[Row]], *, seed: int, held_out: int) -> dict[Split, tuple[Row, ...]]:
    """Shuffle the units and fill test, then validation, up to `held_out` rows each; the rest is train.

    When no unit fits (few large templates), an empty split takes the smallest unit of train.
    """
    random.Random(seed).shuffle(units)  # noqa: S311 - reproducible by design, not a secret
    dealt: dict[Split, list[list[Row]]] = {split: [] for split in Split}
    for unit in units:
        roomy = (s for s in (Split.TEST, Split.VALIDATION) if sum(map(len, dealt[s])) + len(unit) <= held_out)
        dealt[next(roomy, Split.TRAIN)].append(unit)
    for split in (Split.TEST, Split.VALIDATION):
        if not dealt[split]:
            smallest = min(dealt[Split.TRAIN], key=len)
            dealt[Split.TRAIN].remove(smallest)
            dealt[split].append(smallest)
    return {split: tuple(sorted(chain(*part), key=lambda row: row.line)) for split, part in dealt.items()}


def _shared_rows(train: Sequence[Row], test: Sequence[Row]) -> list[Finding]:
    line_in_train = {fingerprint(row.example): row.line for row in reversed(train)}
    return [
        Finding(
            file="test.jsonl",
            line=row.line,
            field="messages",
            value=(row.example.prompt or row.example.messages)[-1].content[:80],
            code="row_in_train_and_test",
            fix=f"Line {line_in_train[prompt]} of train.jsonl has the same prompt; remove one of the two. "
            "A test row that was trained on measures memory.",
        )
        for row in test
        if (prompt := fingerprint(row.example)) in line_in_train
    ]
