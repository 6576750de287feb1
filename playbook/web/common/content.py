"""The library as the site sees it: content files, read once and again when they change."""

from functools import lru_cache
from pathlib import Path

from django.conf import settings

from playbook.library.content import Library, LibraryCache


@lru_cache(maxsize=8)
def _cache(content_dir: Path) -> LibraryCache:
    return LibraryCache(content_dir)


def library() -> Library:
    """Return the current content of `PLAYBOOK_CONTENT_DIR`; a change on disk shows within a second."""
    return _cache(Path(settings.PLAYBOOK_CONTENT_DIR)).current()
