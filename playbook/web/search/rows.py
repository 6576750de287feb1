"""Rows of the database in the index of this process: use cases, decisions, jobs and datasets.

Every write appends an audit row, so the audit log says which rows changed since the last look, on SQLite and
PostgreSQL alike. Entries are appended one after the other (see `common.models.record`), so none appears before one
that was seen. What the index holds of a row is only how to find it: pages show the row as the database has it, and only
to whom it may be shown (see `results`).
"""

import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from playbook.library.search import SearchIndex
from playbook.library.search_documents import PUBLIC, Document
from playbook.library.search_text import plain_text
from playbook.web.common.finding import content_index
from playbook.web.common.models import AuditEntry
from playbook.web.datasets.models import Dataset
from playbook.web.decisions.models import Decision
from playbook.web.jobs.models import Job
from playbook.web.search import commands
from playbook.web.usecases.models import UseCase

USE_CASE, DECISION, JOB, DATASET = "use_case", "decision", "job", "dataset"


def group_of(use_case_id: int | None) -> str:
    """Return the group whose members may find what belongs to a use case; None is a sample, for everybody."""
    return f"use_case:{use_case_id}" if use_case_id else PUBLIC


class RowIndex:
    """Brings one index in step with the database."""

    def __init__(self, index: SearchIndex) -> None:
        self._index = index
        self._last: int | None = None
        self._sources: set[str] = set()
        self._lock = threading.Lock()
        index.replace({"commands": commands.documents()})

    def refresh(self) -> None:
        """Take over what changed since the last call. One small query when nothing did."""
        with self._lock:
            newest = AuditEntry.objects.values_list("pk", "subject", "subject_id")
            after = newest.order_by("-pk")[:1] if self._last is None else newest.filter(pk__gte=self._last)
            entries = sorted(after)
            if self._last is None or (self._last and (not entries or entries[0][0] != self._last)):
                self._take_all()  # a new process, or a database put back to an earlier state
            else:
                unseen = {(subject, pk) for entry, subject, pk in entries if entry > self._last}
                self._take(subject for subject in unseen if subject[0] in _READERS)
            self._last = entries[-1][0] if entries else 0

    def _take_all(self) -> None:
        found = {
            f"{subject}:{pk}": [document] for subject, read in _READERS.items() for pk, document in read(None).items()
        }
        gone: dict[str, Sequence[Document]] = {source: () for source in self._sources if source not in found}
        self._index.replace({**gone, **found})
        self._sources = set(found)

    def _take(self, changed: Iterable[tuple[str, int]]) -> None:
        wanted: dict[str, list[int]] = {}
        for subject, pk in changed:
            wanted.setdefault(subject, []).append(pk)
        documents: dict[str, Sequence[Document]] = {}
        for subject, pks in wanted.items():
            found = _READERS[subject](pks)
            documents.update({f"{subject}:{pk}": [found[pk]] if pk in found else [] for pk in pks})
        self._index.replace(documents)
        self._sources |= documents.keys()


@lru_cache(maxsize=4)
def _rows_of(index: SearchIndex) -> RowIndex:
    return RowIndex(index)


def current_index() -> SearchIndex:
    """Return the index of this process, in step with the content files and the database."""
    index = content_index().current()
    _rows_of(index).refresh()
    return index


def _chosen(pks: Sequence[int] | None) -> dict[str, Any]:
    return {} if pks is None else {"pk__in": pks}


def _use_cases(pks: Sequence[int] | None) -> dict[int, Document]:
    return {
        row.pk: Document(
            kind=USE_CASE,
            key=str(row.pk),
            title=row.name,
            summary=row.description,
            labels="use case",
            group=group_of(row.pk),
        )
        for row in UseCase.objects.filter(**_chosen(pks))
    }


def _decisions(pks: Sequence[int] | None) -> dict[int, Document]:
    return {
        row.pk: Document(
            kind=DECISION,
            key=str(row.pk),
            title=str(row),
            context=row.use_case.name,
            text=plain_text("\n".join((row.context, *_option_texts(row.options), row.consequences))),
            labels="decision",
            group=group_of(row.use_case_id),
        )
        for row in Decision.objects.filter(**_chosen(pks)).select_related("use_case")
    }


def _option_texts(options: Iterable[Mapping[str, object]]) -> list[str]:
    """What people wrote about each option; the arm is a code, which no snippet should show."""
    return [str(text) for option in options for name, text in option.items() if name != "arm"]


def _jobs(pks: Sequence[int] | None) -> dict[int, Document]:
    return {
        row.pk: Document(
            kind=JOB,
            key=str(row.pk),
            title=row.title,
            context=row.use_case.name,
            labels=f"job {row.recipe} {row.base_model}",
            group=group_of(row.use_case_id),
        )
        for row in Job.objects.filter(**_chosen(pks)).select_related("use_case").defer("spec")
    }


def _datasets(pks: Sequence[int] | None) -> dict[int, Document]:
    return {
        row.pk: Document(
            kind=DATASET,
            key=str(row.pk),
            title=row.name,
            context=row.use_case.name if row.use_case else "Shipped sample",
            summary=row.description,
            labels="dataset",
            group=group_of(row.use_case_id),
        )
        for row in Dataset.objects.filter(**_chosen(pks)).select_related("use_case")
    }


_READERS = {
    UseCase._meta.label_lower: _use_cases,
    Decision._meta.label_lower: _decisions,
    Job._meta.label_lower: _jobs,
    Dataset._meta.label_lower: _datasets,
}
