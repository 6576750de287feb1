"""Reads on datasets: fetch with permission, and a page of the rows of one split."""

from dataclasses import dataclass
from itertools import islice

from django.db.models import QuerySet
from django.http import Http404
from django.shortcuts import get_object_or_404

from playbook.contracts.dataset import Example, read_examples
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.datasets.models import Dataset, DatasetVersion, SplitFile
from playbook.web.usecases.models import UseCase

ROWS_PER_PAGE = 10


@dataclass(frozen=True)
class RowPage:
    """Rows of one split. `first` counts from 1; `page` lies within 1 to `pages`."""

    file: SplitFile
    first: int
    examples: tuple[Example, ...]
    page: int
    pages: int

    @property
    def previous(self) -> int | None:
        return self.page - 1 if self.page > 1 else None

    @property
    def next(self) -> int | None:
        return self.page + 1 if self.page < self.pages else None

    @property
    def last(self) -> int:
        return self.first + len(self.examples) - 1


def visible_datasets(user: User) -> QuerySet[Dataset]:
    """Return the datasets of the list page with versions and files at hand."""
    return Dataset.objects.visible_to(user).select_related("use_case").prefetch_related("versions__files")


def datasets_of(use_case: UseCase) -> QuerySet[Dataset]:
    """Return the use case's own datasets, versions and files at hand."""
    return Dataset.objects.filter(use_case=use_case).prefetch_related("versions__files")


def get_dataset(user: User, pk: int) -> Dataset:
    """Return a dataset that the user may see. Raises Http404 otherwise."""
    return get_object_or_404(visible_datasets(user), pk=pk)


def version_of(dataset: Dataset, number: str) -> DatasetVersion:
    """Return the version with this number, the latest for "". Raises Http404 when there is none."""
    versions = {str(version.number): version for version in dataset.versions.all()}
    version = versions.get(number) if number else dataset.latest
    if version is None:
        raise Http404(f"{dataset} has no version {number!r}")
    return version


def row_page(file: SplitFile, page: int) -> RowPage:
    """Return one page of rows; a page number outside the range becomes the nearest inside it."""
    pages = -(-file.rows // ROWS_PER_PAGE)
    page = min(max(page, 1), pages)
    start = (page - 1) * ROWS_PER_PAGE
    with blobs.open_blob(file.sha256) as lines:
        filled = (line for line in lines if line.strip())
        examples = read_examples(islice(filled, start, start + ROWS_PER_PAGE)).examples
    return RowPage(file=file, first=start + 1, examples=examples, page=page, pages=pages)
