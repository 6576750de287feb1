"""The library as the site sees it: content files and their history, read once and again when they change."""

from functools import lru_cache
from pathlib import Path

from django.conf import settings

from playbook.library.content import Library, LibraryCache
from playbook.library.history import History, HistoryCache


@lru_cache(maxsize=8)
def _cache(content_dir: Path) -> LibraryCache:
    return LibraryCache(content_dir)


@lru_cache(maxsize=8)
def _history_cache(content_dir: Path) -> HistoryCache:
    return HistoryCache(content_dir)


def library() -> Library:
    """Return the current content of `PLAYBOOK_CONTENT_DIR`; a change on disk shows within a second."""
    return _cache(settings.PLAYBOOK_CONTENT_DIR).current()


def history() -> History:
    """Return what git knows of the content folder, at most a few seconds behind its HEAD."""
    return _history_cache(settings.PLAYBOOK_CONTENT_DIR).current()
