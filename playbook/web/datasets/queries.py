"""Reads on datasets: fetch with permission; rows by page, by search and behind a check; what two versions differ in."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404
from pydantic import ValidationError

from playbook.contracts.dataset import Example, Split
from playbook.datasets.changes import RowDiff, diff
from playbook.datasets.checks import CHECKS, About
from playbook.datasets.formats import title_of
from playbook.datasets.importing import split_file
from playbook.datasets.rows import NumberedRow, Query, rows_at, rows_from, search
from playbook.datasets.spec import Balance, Check, Histogram, Order, ReadSource, Report, RowRef
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.plots import StackedPlot
from playbook.web.datasets.imports import folder_of
from playbook.web.datasets.models import Dataset, DatasetImport, DatasetVersion, SplitFile
from playbook.web.datasets.plots import HistogramPlot, balance_plot, histogram_plot
from playbook.web.usecases.models import UseCase
from playbook.web.usecases.permissions import get_visible

ROWS_PER_PAGE = 10
GROUPS_PER_PAGE = 10
ANSWERS_CHECKED = 500


@dataclass(frozen=True)
class RowPage:
    """Rows of one split. `first` counts from 1; `page` lies within 1 to `pages`."""

    file: SplitFile
    rows: tuple[NumberedRow, ...]
    page: int
    pages: int

    @property
    def previous(self) -> int | None:
        return self.page - 1 if self.page > 1 else None

    @property
    def next(self) -> int | None:
        return self.page + 1 if self.page < self.pages else None

    @property
    def first(self) -> int:
        return self.rows[0].number

    @property
    def last(self) -> int:
        return self.rows[-1].number


@dataclass(frozen=True)
class SearchPage:
    """Rows of one split that match. `next`: the row to search on from, None at the end."""

    file: SplitFile
    rows: tuple[NumberedRow, ...]
    reached: int
    next: int | None


@dataclass(frozen=True)
class CheckRow:
    """A row behind a check: where it is, where it stood in its file, and what it says."""

    ref: RowRef
    place: str
    example: Example


@dataclass(frozen=True)
class ShownGroup:
    rows: tuple[CheckRow, ...]
    note: str


@dataclass(frozen=True)
class CheckPage:
    """The rows behind one check, a page of groups at a time. `listed`: the groups that the report kept."""

    check: Check
    about: About
    groups: tuple[ShownGroup, ...]
    listed: int
    page: int
    pages: int

    @property
    def previous(self) -> int | None:
        return self.page - 1 if self.page > 1 else None

    @property
    def next(self) -> int | None:
        return self.page + 1 if self.page < self.pages else None


@dataclass(frozen=True)
class ShownCheck:
    """A line of the table of checks; `share` of all rows."""

    check: Check
    about: About
    share: float

    @property
    def tone(self) -> str:
        if not self.check.rows:
            return "good"
        return "warn" if self.about.is_warning else "neutral"


@dataclass(frozen=True)
class ShownBalance:
    balance: Balance
    plot: StackedPlot


@dataclass(frozen=True)
class ShownReport:
    """A report as pages show it. `openable`: the measures, by code, whose rows can be opened."""

    report: Report
    checks: tuple[ShownCheck, ...]
    lengths: tuple[tuple[Histogram, HistogramPlot], ...]
    balances: tuple[ShownBalance, ...]
    openable: frozenset[str]
    formats: tuple[tuple[ReadSource, str], ...]

    @property
    def found(self) -> tuple[ShownCheck, ...]:
        return tuple(shown for shown in self.checks if shown.check.rows)

    @property
    def clean(self) -> tuple[ShownCheck, ...]:
        return tuple(shown for shown in self.checks if not shown.check.rows)

    @property
    def warnings(self) -> int:
        return sum(shown.tone == "warn" for shown in self.checks)


def visible_datasets(user: User) -> QuerySet[Dataset]:
    """Return the datasets of the list page with versions and files at hand."""
    return Dataset.objects.visible_to(user).select_related("use_case").prefetch_related("versions__files")


def datasets_of(use_case: UseCase) -> QuerySet[Dataset]:
    """Return the use case's own datasets, versions and files at hand."""
    return Dataset.objects.filter(use_case=use_case).prefetch_related("versions__files")


def get_dataset(user: User, pk: int) -> Dataset:
    """Return a dataset that the user may see. Raises Http404 otherwise."""
    return get_object_or_404(visible_datasets(user), pk=pk)


def get_import(user: User, pk: int) -> DatasetImport:
    """Return an import of a use case that the user belongs to. Raises Http404 otherwise."""
    return get_visible(user, DatasetImport.objects.select_related("use_case", "dataset", "version__dataset"), pk=pk)


def open_imports(user: User) -> QuerySet[DatasetImport]:
    """Return the imports that this person has begun and neither stored nor discarded."""
    return DatasetImport.objects.filter(created_by=user, ended_at__isnull=True).select_related("use_case", "dataset")


def version_of(dataset: Dataset, number: str) -> DatasetVersion:
    """Return the version with this number, the latest for "". Raises Http404 when there is none."""
    versions = {str(version.number): version for version in dataset.versions.all()}
    version = versions.get(number) if number else dataset.latest
    if version is None:
        raise Http404(f"{dataset} has no version {number!r}")
    return version


def report_of(version: DatasetVersion) -> Report | None:
    """Return what the import of this version found; None for versions of before that was kept."""
    if not version.report_sha256:
        return None
    try:
        return Report.model_validate_json(blobs.path_of(version.report_sha256).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def last_order(dataset: Dataset) -> Order | None:
    """Return how the newest files were read and split: the next are read and split alike, so that nobody has to choose
    again and rows keep their split. A version that was made without files, by the playground, changes neither."""
    stored = dataset.imports.filter(version__isnull=False).order_by("-version__number").first()
    return Order.model_validate(stored.order) if stored else None


def shown_report(report: Report) -> ShownReport:
    """Return a report with words and plots."""
    rows = max(1, sum(split.rows for split in report.splits))
    return ShownReport(
        report=report,
        checks=tuple(
            ShownCheck(check=check, about=CHECKS[check.code], share=check.rows / rows)
            for check in report.checks
            if check.code in CHECKS and not CHECKS[check.code].is_measure
        ),
        lengths=tuple((histogram, histogram_plot(histogram)) for histogram in report.histograms),
        balances=tuple(ShownBalance(balance, balance_plot(balance)) for balance in report.balances),
        openable=frozenset(check.code for check in report.checks if check.groups),
        formats=tuple((source, title_of(source.mapping) if source.mapping else "") for source in report.sources),
    )


def paths_of(version: DatasetVersion) -> dict[Split, Path]:
    return {Split(file.split): blobs.path_of(file.sha256) for file in version.files.all()}


def paths_in(made: DatasetImport) -> dict[Split, Path]:
    return {split: split_file(folder_of(made.pk), split) for split in Split}


def expected_answers(version: DatasetVersion) -> list[str]:
    """Return the answers of the first `ANSWERS_CHECKED` test rows: what a metric is tried on when it is chosen."""
    rows = rows_from(paths_of(version)[Split.TEST], 1, ANSWERS_CHECKED)
    return [row.example.answer for row in rows]


def row_page(file: SplitFile, page: int) -> RowPage:
    """Return one page of rows; a page number outside the range becomes the nearest inside it."""
    pages = -(-file.rows // ROWS_PER_PAGE)
    page = min(max(page, 1), pages)
    rows = rows_from(blobs.path_of(file.sha256), (page - 1) * ROWS_PER_PAGE + 1, ROWS_PER_PAGE)
    return RowPage(file=file, rows=rows, page=page, pages=pages)


def search_page(file: SplitFile, query: Query, *, after: int) -> SearchPage:
    """Return the next rows behind row `after` that match."""
    found = search(blobs.path_of(file.sha256), query, after=after, count=ROWS_PER_PAGE)
    return SearchPage(file=file, rows=found.rows, reached=found.reached, next=None if found.is_end else found.reached)


def check_page(report: Report, code: str, paths: Mapping[Split, Path], page: int) -> CheckPage:
    """Return a page of the rows behind a check. Raises Http404 when the report has no such check."""
    check = next((check for check in report.checks if check.code == code and code in CHECKS), None)
    if check is None:
        raise Http404(f"no check {code!r}")
    pages = max(1, -(-len(check.groups) // GROUPS_PER_PAGE))
    page = min(max(page, 1), pages)
    shown = check.groups[(page - 1) * GROUPS_PER_PAGE : page * GROUPS_PER_PAGE]
    wanted: dict[Split, set[int]] = {}
    for ref in (ref for group in shown for ref in group.rows):
        wanted.setdefault(ref.split, set()).add(ref.row)
    texts = {split: rows_at(paths[split], numbers) for split, numbers in wanted.items()}
    groups = tuple(
        ShownGroup(
            rows=tuple(CheckRow(ref, report.place_of(ref), texts[ref.split][ref.row]) for ref in group.rows),
            note=group.note,
        )
        for group in shown
    )
    return CheckPage(check=check, about=CHECKS[code], groups=groups, listed=len(check.groups), page=page, pages=pages)


def version_diff(before: DatasetVersion, after: DatasetVersion) -> dict[Split, RowDiff]:
    """Return what differs in each split. A split that both name by the same digest is the same."""
    files = {Split(file.split): file for file in after.files.all()}
    held = {Split(file.split): file.sha256 for file in before.files.all()}
    old, new = paths_of(before), paths_of(after)
    differing = [split for split, file in files.items() if held[split] != file.sha256]
    found = diff({split: old[split] for split in differing}, {split: new[split] for split in differing})
    return {split: found.get(split, RowDiff(total_kept=file.rows)) for split, file in files.items()}
