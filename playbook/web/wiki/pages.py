"""What an article page shows, put together from the library. No query here: the panels bring their own.

Between `library`, which knows files, and the views, which know requests: this is where content gets its addresses.
`fragments` turns a page into HTML once and keeps it.
"""

from dataclasses import dataclass
from datetime import date

from playbook.library.articles import Area, Article, Freshness
from playbook.library.content import Library
from playbook.library.definition import Checklist
from playbook.library.embeds import Embed
from playbook.library.history import Commit
from playbook.library.markdown import Heading, Html, Renderer
from playbook.library.problems import ContentError, ContentProblem
from playbook.web.common.finding import related
from playbook.web.wiki.addresses import checklist_url, link_resolver
from playbook.web.wiki.catalogue import Catalogue, Neighbours
from playbook.web.wiki.embeds import Filled, fill

#: Articles of the current area that the navigation lists, around the current one.
NAV_ARTICLES = 40
#: Up to so many articles in the whole library, the navigation lists those of the other areas too.
NAV_WHOLE_LIBRARY = 120
BACKLINKS = 8
RELATED = 4

_RENDERER = Renderer()


@dataclass(frozen=True)
class ChecklistLink:
    """A checklist that the article leads to, and the address at which it is started from there."""

    checklist: Checklist
    url: str


@dataclass(frozen=True)
class NavArea:
    """An area as the navigation shows it. `articles` is empty where only a link to the area is shown; `more` counts
    those of the area that are left out."""

    area: Area
    articles: tuple[Article, ...]
    more: int
    current: bool


@dataclass(frozen=True)
class ArticlePage:
    """`parts` is empty when the article cannot be rendered; `problems` then says why, else which links are broken.
    `offered`: the checklists that the text does not show itself."""

    article: Article
    area: Area
    freshness: Freshness
    parts: tuple[Html | Filled, ...]
    headings: tuple[Heading, ...]
    problems: tuple[ContentProblem, ...]
    checklists: tuple[ChecklistLink, ...]
    offered: tuple[ChecklistLink, ...]
    related: tuple[Article, ...]
    backlinks: tuple[Article, ...]
    more_backlinks: int
    neighbours: Neighbours
    navigation: tuple[NavArea, ...]
    changed: Commit | None


def article_page(shelf: Catalogue, article: Article, *, today: date, changed: Commit | None = None) -> ArticlePage:
    """Return the page of `article`, `changed` being its last commit. Never raises on what the article holds."""
    content = shelf.content
    parts, headings = tuple[Html | Filled, ...](), tuple[Heading, ...]()
    paths, shown = list[str](), set[str]()
    try:
        rendered = _RENDERER.render(article, link_resolver(content, article), content)
        parts = tuple(
            fill(part, content, article, number=number) if isinstance(part, Embed) else part
            for number, part in enumerate(rendered.parts)
        )
        headings, problems = rendered.headings, rendered.problems
        paths = [link.path for link in rendered.links]
        shown = {part.ref for part in rendered.parts if isinstance(part, Embed) and part.kind == "checklist"}
    except ContentError as error:
        problems = error.problems(article.path)
    backlinks = content.backlinks(article.key)
    checklists = _checklists(content, article, [*paths, *(f"checklists/{slug}.yaml" for slug in sorted(shown))])
    return ArticlePage(
        article=article,
        area=next(area for area in content.areas if area.slug == article.area),
        freshness=article.freshness(today),
        parts=parts,
        headings=headings,
        problems=(*content.problems_of(article.path), *problems),
        checklists=checklists,
        offered=tuple(link for link in checklists if link.checklist.slug not in shown),
        related=_related(content, article),
        backlinks=backlinks[:BACKLINKS],
        more_backlinks=max(0, len(backlinks) - BACKLINKS),
        neighbours=shelf.neighbours[article.key],
        navigation=navigation(content, area_slug=article.area, key=article.key),
        changed=changed,
    )


def navigation(content: Library, *, area_slug: str, key: str = "") -> tuple[NavArea, ...]:
    """Return the areas beside a page: the current one with the articles around `key`, the others by name when the
    library is large, so that the page costs the same at any size."""
    shown = []
    for area in content.areas:
        current = area.slug == area_slug
        if not area.articles:
            continue
        articles: tuple[Article, ...] = ()
        if current or len(content.articles) <= NAV_WHOLE_LIBRARY:
            articles = _around(area.articles, key)
        shown.append(NavArea(area, articles, more=len(area.articles) - len(articles), current=current))
    return tuple(shown)


def _around(articles: tuple[Article, ...], key: str) -> tuple[Article, ...]:
    place = next((index for index, article in enumerate(articles) if article.key == key), 0)
    start = max(0, min(place - NAV_ARTICLES // 2, len(articles) - NAV_ARTICLES))
    return articles[start : start + NAV_ARTICLES]


def _related(content: Library, article: Article) -> tuple[Article, ...]:
    """Return what the author names, then the articles whose text is most like this one, up to RELATED."""
    named = [found for ref in article.related if (found := content.article(ref))]
    alike = [content.articles[key] for key in related(article.key, limit=RELATED) if key in content.articles]
    both = {found.key: found for found in (*named, *alike) if found.key != article.key}
    return tuple(both.values())[: max(RELATED, len(named))]


def _checklists(content: Library, article: Article, paths: list[str]) -> tuple[ChecklistLink, ...]:
    """Return the checklists that belong to the article or that its text links to, each once."""
    own = [checklist for checklist in content.checklists.values() if checklist.article == article.key]
    linked = [target for path in paths if isinstance(target := content.target(path), Checklist)]
    found = {checklist.slug: checklist for checklist in (*own, *linked)}
    return tuple(ChecklistLink(checklist, checklist_url(checklist, article)) for checklist in found.values())
