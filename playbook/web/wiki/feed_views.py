"""The library for machines: Atom feed, sitemap, `llms.txt`. Behind the login, like the pages that they name."""

from datetime import UTC, datetime, time

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.feedgenerator import Atom1Feed
from django.views.decorators.http import require_safe

from playbook.library.articles import Article
from playbook.library.history import History
from playbook.web.common.content import history, library
from playbook.web.wiki.addresses import article_url
from playbook.web.wiki.fragments import commits_of

FEED_ENTRIES = 50


@require_safe
def feed(request: HttpRequest) -> HttpResponse:
    """The articles that changed last, by the later of their last review and their last commit."""
    past = history()
    dated = sorted(((changed_at(article, past), article) for article in library().articles.values()), key=_newest)
    atom = Atom1Feed(
        title="Playbook library",
        link=request.build_absolute_uri(reverse("wiki:index")),
        description="Articles that were written, changed or reviewed.",
        feed_url=request.build_absolute_uri(),
    )
    for changed, article in dated[:FEED_ENTRIES]:
        commits = commits_of(article, past)
        atom.add_item(
            title=article.title,
            link=request.build_absolute_uri(article_url(article)),
            description=f"{article.summary}" + (f" Last change: {commits[0].subject}" if commits else ""),
            author_name=commits[0].author if commits else article.owner,
            pubdate=changed,
            updateddate=changed,
            categories=[article.area, *article.tags],
        )
    return HttpResponse(atom.writeString("utf-8"), content_type="application/atom+xml; charset=utf-8")


@require_safe
def sitemap(request: HttpRequest) -> HttpResponse:
    past = history()
    rows = [
        {"url": request.build_absolute_uri(article_url(article)), "changed": changed_at(article, past).date()}
        for article in library().articles.values()
    ]
    return render(request, "wiki/sitemap.xml", {"rows": rows}, content_type="application/xml; charset=utf-8")


@require_safe
def llms(request: HttpRequest) -> HttpResponse:
    """What the library holds, for language models: one line an article, leading to its Markdown."""
    lines = [
        "# Playbook library",
        "",
        "> Short articles on fine-tuning language models: whether, how, and what came of it.",
    ]
    for area in library().areas:
        if area.articles:
            lines += ["", f"## {area.title}", "", area.summary, ""]
            lines += [
                f"- [{article.title}]({_markdown_url(request, article)}): {article.summary}"
                for article in area.articles
            ]
    return HttpResponse("\n".join(lines) + "\n", content_type="text/plain; charset=utf-8")


def changed_at(article: Article, past: History) -> datetime:
    """Return when the article last changed or was last reviewed, whichever is later."""
    reviewed = datetime.combine(article.reviewed, time(), tzinfo=UTC)
    return max([reviewed, *(commit.at for commit in commits_of(article, past)[:1])])


def _newest(dated: tuple[datetime, Article]) -> tuple[float, str]:
    return -dated[0].timestamp(), dated[1].key


def _markdown_url(request: HttpRequest, article: Article) -> str:
    return request.build_absolute_uri(reverse("wiki:source", args=[article.area, article.slug]))
