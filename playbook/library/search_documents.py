"""What can be found: one `Document` for each article, heading, glossary term, checklist and base model of a library.

Rows of the database become documents in `web.search`, in the same form. Above `content`, below `search`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from playbook.library.articles import Article
from playbook.library.content import Library
from playbook.library.definition import Checklist
from playbook.library.search_text import plain_text, sections

#: The group of what everybody signed in may find.
PUBLIC = "public"
ARTICLE, HEADING, TERM, CHECKLIST, BASE_MODEL = "article", "heading", "term", "checklist", "base_model"
_SUMMARY_CHARACTERS = 240


@dataclass(frozen=True)
class Document:
    """One thing that a search may return.

    `key`: unique within its kind, and all that is needed to find its page. `context`: where it belongs, for the
    reader (the article of a heading, the use case of a job). `labels`: further names that should find it as its title
    does. `text`: plain text, from which the snippet is cut. `group`: who may find it; see `SearchIndex.search`.
    """

    kind: str
    key: str
    title: str
    context: str = ""
    summary: str = ""
    text: str = ""
    labels: str = ""
    area: str = ""
    tags: tuple[str, ...] = ()
    group: str = PUBLIC


#: Content path of a source (one or more documents that are indexed together) → its fingerprint. While the fingerprint
#: stays, so do the documents.
Fingerprints = Mapping[str, str]


def changed_documents(library: Library, known: Fingerprints) -> tuple[dict[str, Sequence[Document]], Fingerprints]:
    """Return the documents of every source of `library` whose fingerprint is not the one in `known`, none for a source
    that is gone, and the fingerprints as they are now. The text of an unchanged article is not looked at."""
    areas = {area.slug: area.title for area in library.areas}
    found = {article.path: f"{article.digest} {areas[article.area]}" for article in library.articles.values()}
    changed: dict[str, Sequence[Document]] = {
        article.path: _article_documents(article, areas[article.area])
        for article in library.articles.values()
        if known.get(article.path) != found[article.path]
    }
    for path, documents in _small_sources(library):
        found[path] = repr(documents)
        if known.get(path) != found[path]:
            changed[path] = documents
    changed.update({path: () for path in known if path not in found})
    return changed, found


def _small_sources(library: Library) -> Iterator[tuple[str, Sequence[Document]]]:
    """Yield the sources that are made faster than they are compared."""
    for checklist in library.checklists.values():
        yield f"checklists/{checklist.slug}.yaml", (_checklist(checklist),)
    yield "models.yaml", tuple(_base_models(library))
    yield "glossary.yaml", tuple(_terms(library))


def _article_documents(article: Article, area_title: str) -> list[Document]:
    parts = sections(article.body)
    texts = {part.title: part.text for part in reversed(parts)}
    headings = [heading for heading in article.outline.headings if heading.level in (2, 3)]
    whole = Document(
        kind=ARTICLE,
        key=article.key,
        title=article.title,
        context=area_title,
        summary=article.summary,
        text=" ".join(f"{part.title}. {part.text}" if part.title else part.text for part in parts),
        labels=" ".join((*(heading.title for heading in headings), *article.tags, article.slug)),
        area=article.area,
        tags=article.tags,
    )
    below = [
        Document(
            kind=HEADING,
            key=f"{article.key}#{heading.id}",
            title=heading.title,
            context=article.title,
            summary=_cut(texts.get(heading.title, "")),
            area=article.area,
            tags=article.tags,
        )
        for heading in headings
    ]
    return [whole, *below]


def _checklist(checklist: Checklist) -> Document:
    questions = " ".join(question.text for question in checklist.questions)
    outcomes = " · ".join(outcome.title for outcome in checklist.outcomes)
    return Document(
        kind=CHECKLIST,
        key=checklist.slug,
        title=checklist.title,
        summary=plain_text(checklist.summary),
        text=plain_text(f"{questions} {outcomes}"),
        labels="checklist",
    )


def _base_models(library: Library) -> Iterator[Document]:
    for model in library.base_models.values():
        yield Document(
            kind=BASE_MODEL,
            key=model.id,
            title=model.title,
            context=f"{model.parameters / 1e6:,.0f} M parameters, {model.licence}",
            summary=plain_text(model.source),
            labels=f"{model.id} base model {model.status}",
        )


def _terms(library: Library) -> Iterator[Document]:
    for term in library.glossary.values():
        yield Document(
            kind=TERM, key=term.slug, title=term.term, summary=term.definition, labels=" ".join(term.aliases)
        )


def _cut(text: str) -> str:
    """Return the beginning of a text, ended at a word."""
    if len(text) <= _SUMMARY_CHARACTERS:
        return text
    return text[:_SUMMARY_CHARACTERS].rpartition(" ")[0] + " …"
