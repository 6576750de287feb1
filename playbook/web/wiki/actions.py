"""Writes of the library: readers flag an article, its owner or staff resolve the flag."""

from django.db import transaction
from django.utils import timezone

from playbook.library.articles import Article
from playbook.web.accounts.models import User
from playbook.web.common.models import record
from playbook.web.common.permissions import Conflict, RoleRequired
from playbook.web.wiki.flags import note_change
from playbook.web.wiki.models import Flag
from playbook.web.wiki.owners import owns


@transaction.atomic
def flag_article(article: Article, *, comment: str, by: User) -> Flag:
    """Append a flag on the article as it is now. Raises Conflict when the same reader said the same already."""
    if Flag.objects.open().filter(article=article.key, by=by, comment=comment).exists():
        raise Conflict("You have flagged this article with the same words already; its owner has it in the queue.")
    flag = Flag.objects.create(article=article.key, digest=article.digest, comment=comment, by=by)
    record("flagged as outdated", flag, actor=by, article=article.key, digest=article.digest)
    note_change()
    return flag


@transaction.atomic
def resolve_flag(flag: Flag, article: Article | None, *, actor: User) -> None:
    """Mark a flag as dealt with. `article` is None when its file is gone: staff alone can then clear the flag.

    Raises RoleRequired for anybody but owner and staff, Conflict when it was resolved meanwhile.
    """
    if not (actor.is_staff or (article is not None and owns(actor, article))):
        owner = article.owner if article else "nobody, as its file is gone"
        raise RoleRequired(f"Only the article's owner ({owner}) or staff may resolve a flag.")
    done = Flag.objects.open().filter(pk=flag.pk).update(resolved_at=timezone.now(), resolved_by=actor)
    if not done:
        raise Conflict("Somebody resolved this flag meanwhile.")
    record("resolved flag", flag, actor=actor, article=flag.article)
    note_change()
