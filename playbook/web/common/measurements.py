"""Measurements: how a lower page reads what jobs measured, without importing jobs.

The jobs app registers itself in its `AppConfig.ready`, as for panels; until then there is nothing measured.
"""

from collections.abc import Collection
from typing import Protocol

from django.urls import reverse
from pydantic import Field

from playbook.contracts.model import Frozen
from playbook.contracts.run_spec import Sha256


class Measurement(Frozen):
    """One metric of one arm in the report of a job: a share with its 95 % interval, on one test set."""

    job: int
    title: str
    arm: str
    metric: str
    value: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)
    rows: int = Field(ge=1)
    report_sha256: Sha256
    test_set_sha256: Sha256

    @property
    def url(self) -> str:
        return reverse("jobs:detail", args=[self.job])

    @property
    def text(self) -> str:
        """`0.85 (0.71–0.93) on 40 rows`."""
        return f"{self.value:.2f} ({self.low:.2f}–{self.high:.2f}) on {self.rows:,} rows"


class MeasurementSource(Protocol):
    """What the jobs app gives. A report that cannot be read becomes a problem, a sentence for people."""

    def of_use_case(self, use_case_id: int) -> tuple[list[Measurement], list[str]]:
        """Return what the newest reports of the use case measured, newest job first, and the problems."""
        ...

    def newest_reports(self, job_ids: Collection[int]) -> dict[int, str]:
        """Return the digest of the newest report of each job that has one. One query."""
        ...


_sources: list[MeasurementSource] = []


def register(source: MeasurementSource) -> None:
    """Make `source` the one that is asked."""
    _sources[:] = [source]


def measurements_of(use_case_id: int) -> tuple[list[Measurement], list[str]]:
    """Return what jobs of the use case measured, newest job first, and which reports cannot be read."""
    return _sources[0].of_use_case(use_case_id) if _sources else ([], [])


def newest_reports(job_ids: Collection[int]) -> dict[int, str]:
    """Return the digest of the newest report of each of the jobs; no query without jobs."""
    return _sources[0].newest_reports(job_ids) if _sources and job_ids else {}
