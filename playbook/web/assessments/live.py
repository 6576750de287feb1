"""What others did to an assessment since a page was drawn, read from its audit entries: one query, one index.

Every write on an assessment appends an entry that names its question, so nothing has to be compared.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet

from playbook.web.accounts.models import User
from playbook.web.assessments.models import Assessment
from playbook.web.common.models import AuditEntry

#: After one of these the whole page is another: it says so, and stops asking.
ENDS = {"locked": "closed the answers by accepting a decision", "moved to version": "moved it to another version"}
_WORDS = {
    "answered": "answered",
    "added evidence": "added evidence",
    "removed evidence": "removed evidence",
    "assigned": "asked somebody to answer it",
    "ended assignment": "took the question back",
    "remarked": "wrote in the discussion",
}
#: A page that slept for longer than this many entries shows the newest of them, and all questions that they name.
MOST = 500


@dataclass(frozen=True)
class News:
    """`since`: the number of the newest entry. `said`: question → what the last of the others did there, "" for what
    the reader did in another window. `end`: why the page is to be loaded again, or ""."""

    since: int
    said: dict[str, str]
    end: str


def newest_entry(assessment: Assessment) -> int:
    """Return the key of the newest audit entry of an assessment. Read it before the rows that a page shows: what
    comes between is then news, and never lost."""
    return _entries(assessment).values_list("pk", flat=True).first() or 0


def news_since(assessment: Assessment, since: int, *, reader: User) -> News | None:
    """Return what happened after the entry `since`, None when nothing did."""
    entries = list(_entries(assessment).filter(pk__gt=since).select_related("actor")[:MOST])
    if not entries:
        return None
    return News(entries[0].pk, _said(reversed(entries), reader), _end(entries))


def _entries(assessment: Assessment) -> QuerySet[AuditEntry]:
    return AuditEntry.objects.filter(subject=assessment._meta.label_lower, subject_id=assessment.pk).order_by("-id")


def _said(entries: Iterable[AuditEntry], reader: User) -> dict[str, str]:
    found: dict[str, str] = {}
    for entry in entries:
        if question := entry.detail.get("question"):
            done = f"{entry.actor} {_WORDS.get(entry.action, 'changed it')} just now"
            found[question] = found.get(question, "") if entry.actor == reader else done
    return found


def _end(entries: Iterable[AuditEntry]) -> str:
    return next((f"{entry.actor} {ENDS[entry.action]}." for entry in entries if entry.action in ENDS), "")
