"""Open flags as pages read them: there are few, and every article page shows its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from playbook.web.common.kept import Kept
from playbook.web.wiki.models import Flag


@dataclass(frozen=True)
class OpenFlag:
    """A flag that waits for the owner. `digest` is that of the file as the reader saw it."""

    pk: int
    comment: str
    by: str
    at: datetime
    digest: str


Flags = Mapping[str, tuple[OpenFlag, ...]]


def open_flags() -> Flags:
    """Return the open flags by article key, oldest first. No query unless one changed since the last call."""
    return _kept.get()


def note_change() -> None:
    """Tell every process that the flags change. Call it inside the transaction."""
    _kept.note_change()


def _read() -> Flags:
    found: dict[str, list[OpenFlag]] = {}
    for flag in Flag.objects.open().select_related("by").order_by("pk"):
        shown = OpenFlag(pk=flag.pk, comment=flag.comment, by=str(flag.by), at=flag.at, digest=flag.digest)
        found.setdefault(flag.article, []).append(shown)
    return {key: tuple(flags) for key, flags in found.items()}


_kept: Kept[Flags] = Kept("flags", _read)
