"""Where content lives on the site: the addresses of articles, checklists, pictures and the rest."""

from collections.abc import Callable
from urllib.parse import urlencode

from django.urls import reverse

from playbook.contracts.run_spec import Recipe
from playbook.library.articles import Article
from playbook.library.catalog import DatasetCard
from playbook.library.content import Library
from playbook.library.definition import Checklist
from playbook.library.images import Image


def link_resolver(content: Library, article: Article) -> Callable[[str], str | None]:
    """Return the function that turns a content path in `article` into an address of the site."""

    def resolve(path: str) -> str | None:
        target = content.target(path)
        match target:
            case Article():
                return article_url(target)
            case Checklist():
                return checklist_url(target, article)
            case DatasetCard():
                return reverse("datasets:index")
            case Recipe():
                return reverse("jobs:index")
            case Image():
                return reverse("wiki:image", args=[target.path])
        return None

    return resolve


def article_url(article: Article) -> str:
    return reverse("wiki:article", args=[article.area, article.slug])


def checklist_url(checklist: Checklist, article: Article) -> str:
    """Return where the checklist is started from `article`, so that what comes of it is shown there."""
    query = urlencode({"article": article.key}, safe="/")
    return f"{reverse('assessments:checklist', args=[checklist.slug])}?{query}"
