"""The parts of an article page that are the same for every reader, rendered once and kept.

They hold while the files, the history and the day are the same: the first request after a change renders anew. What
belongs to one reader (flags with their form, panels, the page's head) is rendered by the page itself.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import date

from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import escape

from playbook.library.articles import Article, Freshness
from playbook.library.history import Commit, History
from playbook.web.common.content import history
from playbook.web.common.finding import content_index
from playbook.web.wiki.catalogue import Catalogue
from playbook.web.wiki.pages import article_page

KEPT_PAGES = 4_000


@dataclass(frozen=True)
class Fragments:
    """HTML in the order of the page: title and facts, how far to trust it while nobody flags it, the text, what follows
    the panels, what stands beside; its name and two addresses."""

    freshness: Freshness
    head: bytes
    trust: bytes
    text: bytes
    end: bytes
    beside: bytes
    title: bytes
    source_url: bytes
    flag_url: bytes


class FragmentCache:
    """Fragments by article. Emptied when library, history or day change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._state: tuple[Catalogue, History, date] | None = None
        self._pages: OrderedDict[str, Fragments] = OrderedDict()

    def get(self, shelf: Catalogue, article: Article, *, today: date) -> Fragments:
        """Return the fragments of `article` as of `today`."""
        past = history()
        with self._lock:
            if not self._holds(shelf, past, today):
                self._state, self._pages = (shelf, past, today), OrderedDict()
            pages = self._pages
            if (found := pages.get(article.key)) is not None:
                pages.move_to_end(article.key)
                return found
        made = _render(shelf, article, past, today)
        if not content_index().is_ready:
            return made  # without its related articles, which are being looked for
        with self._lock:
            pages[article.key] = made
            while len(pages) > KEPT_PAGES:
                pages.popitem(last=False)
        return made

    def _holds(self, shelf: Catalogue, past: History, today: date) -> bool:
        state = self._state
        return state is not None and state[0] is shelf and state[1] is past and state[2] == today


fragments = FragmentCache()


def _render(shelf: Catalogue, article: Article, past: History, today: date) -> Fragments:
    commits = commits_of(article, past)
    page = article_page(shelf, article, today=today, changed=commits[0] if commits else None)
    return Fragments(
        freshness=page.freshness,
        head=render_to_string("wiki/_article_head.html", {"page": page}).encode(),
        trust=render_to_string("wiki/_trust.html", {"article": article, "freshness": page.freshness}).encode(),
        text=render_to_string("wiki/_article_text.html", {"page": page}).encode(),
        end=render_to_string("wiki/_article_end.html", {"page": page}).encode(),
        beside=render_to_string("wiki/_article_beside.html", {"page": page}).encode(),
        title=escape(article.title).encode(),
        source_url=escape(reverse("wiki:source", args=[article.area, article.slug])).encode(),
        flag_url=escape(reverse("wiki:flag", args=[article.area, article.slug])).encode(),
    )


def commits_of(article: Article, past: History) -> tuple[Commit, ...]:
    """Return the commits of the article under its present and its former names, newest first."""
    return past.of(*paths_of(article))


def paths_of(article: Article) -> tuple[str, ...]:
    """Return where the article's file is, and where it was under former names."""
    return article.path, *(f"articles/{key}.md" for key in article.former_keys)
