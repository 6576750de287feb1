"""Reads the reports of jobs: artifacts whose digest the site recorded, read and checked here, and never changed.

What pages show of them is prepared by `report_page` and `report_rows`.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cached_property

from pydantic import ValidationError

from playbook.contracts.report import Report, ReportAltered, check_digest, first_problem
from playbook.scoring.table import Table, table_of
from playbook.scoring.verdict import Verdict, verdict_of
from playbook.web.common import blobs
from playbook.web.jobs.models import Artifact, Job

#: Bytes of report files that are kept parsed. The largest allowed takes all of it, and some times that in memory.
KEPT_BYTES = 64 * 1024 * 1024


class ReportDamaged(Exception):
    """The report's bytes are not those that the worker uploaded, or they are gone."""


@dataclass(frozen=True)
class Read:
    """A report that was read, with what is computed from it once: an interval of 5,000 rows takes a second."""

    sha256: str
    report: Report = field(compare=False)
    size_bytes: int = field(compare=False)

    @cached_property
    def table(self) -> Table:
        """The table of its arms. Raises DifferentRows when they did not answer the same rows."""
        return table_of(self.report)

    @cached_property
    def verdict(self) -> Verdict:
        return verdict_of(self.table, report=self.report)


def read_of(job: Job) -> Read | None:
    """Return the newest report of the job, or None. Raises ReportDamaged."""
    artifact = job.artifacts.filter(name="report.json").order_by("-attempt__number").first()
    return _load(artifact.sha256) if artifact else None


def report_of(job: Job) -> tuple[Artifact, Report] | None:
    """Return the newest report of the job with its artifact, or None. Raises ReportDamaged."""
    artifact = job.artifacts.filter(name="report.json").order_by("-attempt__number").first()
    return (artifact, _load(artifact.sha256).report) if artifact else None


def reads_of(jobs: Collection[Job]) -> tuple[dict[int, Read], list[str]]:
    """Return the newest report of each job that has one, by job, and what is wrong with those that cannot be read.

    One query.
    """
    found: dict[int, Read] = {}
    problems: dict[int, str] = {}
    for artifact in Artifact.objects.filter(job__in=jobs, name="report.json").order_by("attempt__number"):
        found.pop(artifact.job_id, None)
        problems.pop(artifact.job_id, None)
        try:
            found[artifact.job_id] = _load(artifact.sha256)
        except ReportDamaged as damaged:
            problems[artifact.job_id] = f"Job {artifact.job_id}: {damaged}"
    return found, list(problems.values())


def reports_of(jobs: Collection[Job]) -> tuple[dict[int, Report], list[str]]:
    """As `reads_of`, the reports alone."""
    found, problems = reads_of(jobs)
    return {pk: read.report for pk, read in found.items()}, problems


def bytes_of(sha256: str) -> bytes:
    """Return the bytes of a report file whose digest was recorded. Raises ReportDamaged."""
    try:
        content = blobs.path_of(sha256).read_bytes()
    except FileNotFoundError:
        raise ReportDamaged(f"The file {sha256[:12]}… is gone from the site's data folder; restore it.") from None
    except OSError as error:
        raise ReportDamaged(f"The file {sha256[:12]}… cannot be read: {error.strerror}.") from None
    try:
        check_digest(content, sha256=sha256)
    except ReportAltered as altered:
        raise ReportDamaged(str(altered)) from None
    return content


def _load(sha256: str) -> Read:
    """Read and check the bytes each time, so that an altered file is noticed; parse them once."""
    content = bytes_of(sha256)
    return _parsed.get(sha256, lambda: Read(sha256, _sound(content), len(content)))


def _sound(content: bytes) -> Report:
    try:
        return Report.model_validate_json(content)
    except ValidationError as error:
        raise ReportDamaged(f"The report is not sound: {first_problem(error)}. Its figures are not shown.") from None


class _Parsed:
    """Parsed reports, those used last, up to `KEPT_BYTES` of their files and always the newest one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reads: OrderedDict[str, Read] = OrderedDict()

    def get(self, sha256: str, parse: Callable[[], Read]) -> Read:
        with self._lock:
            if sha256 not in self._reads:
                self._reads[sha256] = parse()
            self._reads.move_to_end(sha256)
            while len(self._reads) > 1 and sum(read.size_bytes for read in self._reads.values()) > KEPT_BYTES:
                self._reads.popitem(last=False)
            return self._reads[sha256]


_parsed = _Parsed()
