"""The library on Home: articles of the reader that are overdue or flagged."""

from django.utils import timezone

from playbook.web.accounts.models import User
from playbook.web.common.panels import Panel, panel
from playbook.web.wiki.catalogue import catalogue
from playbook.web.wiki.flags import open_flags
from playbook.web.wiki.owners import known_names, names_of
from playbook.web.wiki.review import review_of, waits

SHOWN = 8


@panel("home", order=40)
def articles_to_review(_subject: object, user: User) -> Panel | None:
    """The articles of the reader and of their teams; staff also see those whose owner is nobody who may log in."""
    shelf, flags, today = catalogue(), open_flags(), timezone.localdate()
    own = shelf.owned_by(names_of(user))
    orphaned = shelf.owned_by_nobody(known_names()) if user.is_staff else ()
    reviews = [review_of(article, flags, today=today) for article in {a.key: a for a in (*own, *orphaned)}.values()]
    waiting = sorted(filter(waits, reviews), key=lambda review: (not review.flags, -review.days))
    if not waiting:
        return None
    return Panel("wiki/_home_panel.html", {"reviews": waiting[:SHOWN], "more": max(0, len(waiting) - SHOWN)})
