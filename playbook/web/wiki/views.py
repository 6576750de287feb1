"""Pages of the section "Library": areas, articles and tags, read from the content files."""

from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.http import require_safe

from playbook.library.articles import Article
from playbook.library.content import Library
from playbook.web.common.content import history, library
from playbook.web.common.finding import articles_about
from playbook.web.common.panels import panels_for, rendered
from playbook.web.usecases.permissions import signed_in
from playbook.web.wiki.addresses import article_url
from playbook.web.wiki.catalogue import catalogue
from playbook.web.wiki.flags import open_flags
from playbook.web.wiki.fragments import fragments
from playbook.web.wiki.owners import owns
from playbook.web.wiki.pages import navigation
from playbook.web.wiki.shell import render_article

#: Articles that the front page lists for each area; the area's own page has them all.
INDEX_ARTICLES = 5


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    shelf = catalogue()
    areas = [
        {"area": area, "articles": area.articles[:INDEX_ARTICLES], "more": max(0, len(area.articles) - INDEX_ARTICLES)}
        for area in shelf.content.areas
        if area.articles
    ]
    context = {
        "areas": areas,
        "tags": shelf.content.tags,
        "checklists": shelf.content.checklists.values(),
        "problems": shelf.content.problems if signed_in(request).is_staff else (),
    }
    return render(request, "wiki/library_index.html", context)


@require_safe
def area(request: HttpRequest, area_slug: str) -> HttpResponse:
    content = library()
    found = content.area(area_slug)
    if found is None:
        raise Http404(f"no area {area_slug!r}")
    context = {
        "area": found,
        "beside": navigation(content, area_slug=area_slug),
        "articles": _with_freshness(found.articles),
    }
    return render(request, "wiki/area_detail.html", context)


@require_safe
def tag(request: HttpRequest, tag: str) -> HttpResponse:
    shelf = catalogue()
    if tag not in shelf.content.tags:
        raise Http404(f"no article has the tag {tag!r}")
    context = {"tag": tag, "tags": shelf.content.tags, "articles": _with_freshness(shelf.content.tags[tag])}
    return render(request, "wiki/tag_detail.html", context)


@require_safe
def article(request: HttpRequest, area_slug: str, slug: str) -> HttpResponse:
    shelf = catalogue()
    found = shelf.content.articles.get(f"{area_slug}/{slug}")
    if found is None:
        return _moved(shelf.content, area_slug, slug) or _missing(request, area_slug, slug)
    return render_article(request, article_slots(request, found))


def article_slots(request: HttpRequest, article: Article) -> dict[str, bytes]:
    """Return the parts of an article's page, as HTML."""
    user = signed_in(request)
    kept = fragments.get(catalogue(), article, today=timezone.localdate())
    trust = kept.trust
    if flags := open_flags().get(article.key, ()):
        may_resolve = user.is_staff or owns(user, article)
        shown = {"article": article, "freshness": kept.freshness, "flags": flags, "may_resolve": may_resolve}
        trust = render_to_string("wiki/_trust.html", shown, request).encode()
    return {
        "title": kept.title,
        "source_url": kept.source_url,
        "head": kept.head,
        "middle": b"".join((trust, kept.text, rendered(panels_for("article", article, user), request))),
        "end": kept.end,
        "flag_url": kept.flag_url,
        "beside": kept.beside,
    }


@require_safe
def glossary(request: HttpRequest) -> HttpResponse:
    terms = sorted(library().glossary.values(), key=lambda term: term.term.casefold())
    rows = [{"term": term, "article": library().article(term.article) if term.article else None} for term in terms]
    return render(request, "wiki/glossary.html", {"rows": rows})


@require_safe
def image(request: HttpRequest, path: str) -> FileResponse:
    """A picture of an article. Only what the library has looked at and found to be one is served."""
    content = library()
    found = content.images.get(path)
    if found is None:
        raise Http404(f"no image {path!r} among the content files")
    try:
        file = (content.content_dir / found.path).open("rb")
    except FileNotFoundError:
        raise Http404(f"image {path!r} was removed") from None
    return FileResponse(file, content_type=found.media_type, headers={"Cache-Control": "private, max-age=300"})


@require_safe
def preview(request: HttpRequest, area_slug: str, slug: str) -> HttpResponse:
    """The card that a link to the article shows on hover and focus."""
    found = get_article(area_slug, slug)
    context = {"article": found, "freshness": found.freshness(timezone.localdate())}
    return render(request, "wiki/_preview.html", context)


@require_safe
def source(request: HttpRequest, area_slug: str, slug: str) -> HttpResponse:
    """The file itself, front matter included."""
    return HttpResponse(get_article(area_slug, slug).text, content_type="text/markdown; charset=utf-8")


def get_article(area_slug: str, slug: str) -> Article:
    """Return the article, under its present or a former name. Raises Http404 when there is none."""
    found = library().article(f"{area_slug}/{slug}")
    if found is None:
        raise Http404(f"no article {area_slug}/{slug}")
    return found


def _with_freshness(articles: tuple[Article, ...]) -> list[dict[str, object]]:
    today = timezone.localdate()
    return [{"article": article, "freshness": article.freshness(today)} for article in articles]


def _moved(content: Library, area_slug: str, slug: str) -> HttpResponse | None:
    """Lead from a former address of an article to the present one."""
    found = content.article(f"{area_slug}/{slug}")
    return redirect(article_url(found), permanent=True) if found else None


def _missing(request: HttpRequest, area_slug: str, slug: str) -> HttpResponse:
    """Answer for an article that is not in the library: 404, and why, when its file is there but cannot be read; else
    when it was removed, and what is like it."""
    content, path = library(), f"articles/{area_slug}/{slug}.md"
    area = content.area(area_slug)
    if problems := content.problems_of(path):
        broken = {"problems": problems, "beside": navigation(content, area_slug=area_slug), "area": area}
        return render(request, "wiki/article_broken.html", broken, status=404)
    alike = [content.articles[key] for key in articles_about(slug.replace("-", " ")) if key in content.articles]
    removed = next(iter(history().of(path)), None)
    missing = {"area": area, "alike": alike, "removed": removed}
    return render(request, "wiki/article_missing.html", missing, status=404)
