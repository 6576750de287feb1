"""The library on Home: articles of the reader that are overdue or flagged."""

from django.utils import timezone

from playbook.library.articles import Article
from playbook.web.accounts.models import User
from playbook.web.common.panels import Panel, panel
from playbook.web.wiki.catalogue import Catalogue, catalogue
from playbook.web.wiki.flags import open_flags
from playbook.web.wiki.review import review_of, waits

SHOWN = 8


@panel("home", order=40)
def articles_to_review(_subject: object, user: User) -> Panel | None:
    """The reader's own articles; staff also see those whose owner is nobody with an account."""
    shelf, flags, today = catalogue(), open_flags(), timezone.localdate()
    own = shelf.owned_by(user)
    orphaned = _without_owner(shelf) if user.is_staff else ()
    reviews = [review_of(article, flags, today=today) for article in {a.key: a for a in (*own, *orphaned)}.values()]
    waiting = sorted(filter(waits, reviews), key=lambda review: (not review.flags, -review.days))
    if not waiting:
        return None
    return Panel("wiki/_home_panel.html", {"reviews": waiting[:SHOWN], "more": max(0, len(waiting) - SHOWN)})


def _without_owner(shelf: Catalogue) -> tuple[Article, ...]:
    """Articles whose `owner` is neither username nor printed name of an active account. One query."""
    people = User.objects.filter(is_active=True).values_list("username", "name")
    known = {name.casefold() for names in people for name in names}
    return tuple(article for owner, found in shelf.owners.items() if owner not in known for article in found)
