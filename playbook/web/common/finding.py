"""The search index of this process, in step with the content files, and what the article page asks of it.

Here and not in `search`, so that the article page, which lies below that app, can show related articles.
"""

import threading
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from playbook.library.content import Library
from playbook.library.search import SearchIndex
from playbook.library.search_documents import ARTICLE, PUBLIC, Fingerprints, changed_documents
from playbook.library.search_query import Filters
from playbook.web.common.content import library

#: Indexing more than this many articles takes longer than a reader of one article should wait.
_AT_ONCE = 500


class ContentIndex:
    """An index and the library that it shows; made once for each content folder in each process."""

    def __init__(self) -> None:
        self._index = SearchIndex()
        self._library: Library | None = None
        self._fingerprints: Fingerprints = {}
        self._lock = threading.Lock()

    @property
    def is_ready(self) -> bool:
        return self._library is not None

    def current(self) -> SearchIndex:
        """Return the index as the content files are now. The first call reads every article."""
        content = library()
        if content is not self._library:
            with self._lock:
                if content is not self._library:
                    changed, self._fingerprints = changed_documents(content, self._fingerprints)
                    self._index.replace(changed)
                    self._library = content
        return self._index


@lru_cache(maxsize=4)
def _index_of(content_dir: Path) -> ContentIndex:
    return ContentIndex()


def content_index() -> ContentIndex:
    """Return the index of `PLAYBOOK_CONTENT_DIR`."""
    return _index_of(settings.PLAYBOOK_CONTENT_DIR)


def forget_indexes() -> None:
    """Begin anew: for tests, which take the database from under the index."""
    _index_of.cache_clear()


def articles_about(words: str, limit: int = 3) -> tuple[str, ...]:
    """Return the keys of the articles whose title is most like the words."""
    found = content_index().current().nearest(words, Filters(groups=(PUBLIC,), kind=ARTICLE), limit=limit)
    return tuple(hit.key for hit in found)


def related(article_key: str, limit: int = 3) -> tuple[str, ...]:
    """Return the keys of the articles most like one, the nearest first.

    Empty while a large library is indexed for the first time: that goes on beside the page, not before it.
    """
    found = content_index()
    if not found.is_ready and len(library().articles) > _AT_ONCE:
        threading.Thread(target=found.current, name="first index", daemon=True).start()
        return ()
    return found.current().related(article_key, limit=limit)
