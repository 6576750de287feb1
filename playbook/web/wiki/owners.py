"""Who the `owner` of an article is: a username, a printed name, an e-mail address, or a team, in any case of letters.

A team is a group of Django's, made by `create_person --team`. An owner that fits nobody who may log in is nobody's:
staff look after such articles.
"""

from collections.abc import Iterable

from django.contrib.auth.models import Group

from playbook.library.articles import Article
from playbook.web.accounts.models import User


def names_of(user: User) -> frozenset[str]:
    """Return what an article may call the user, in small letters. One query, for the teams."""
    return _folded((user.username, user.name, user.email, *user.groups.values_list("name", flat=True)))


def owns(user: User, article: Article) -> bool:
    """True when the article's owner is the user or a team of theirs."""
    return article.owner.casefold() in names_of(user)


def known_names() -> frozenset[str]:
    """Return all names under which an article reaches somebody who may log in. Two queries."""
    people = User.objects.filter(is_active=True).values_list("username", "name", "email")
    teams = Group.objects.filter(user__is_active=True).values_list("name", flat=True)
    return _folded((*(name for names in people for name in names), *teams))


def _folded(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.casefold() for name in names if name)
