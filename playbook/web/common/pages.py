"""Pages of a list whose length is known already."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import QuerySet


class CountedPaginator(Paginator):  # type: ignore[type-arg]  # generic for the type checker alone
    """A paginator that is told how many rows there are, where the page has counted them for something else."""

    def __init__(self, rows: QuerySet[Any], per_page: int, *, total: int) -> None:
        super().__init__(rows, per_page)
        self._total = total

    @property
    def count(self) -> int:
        return self._total
