"""What two content files can have wrong between them: names taken twice, and references to what is not there.

Looks at parsed values, after `reader` and before `content` makes them a library. Links in the text are `check`'s.
"""

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

from playbook.contracts.run_spec import Recipe
from playbook.library.articles import Article
from playbook.library.catalog import BaseModelEntry
from playbook.library.definition import Checklist
from playbook.library.problems import ContentProblem
from playbook.library.reader import AREAS_PATH, CLAIMS_PATH, GLOSSARY_PATH, MODELS_PATH, Files

#: What follows `/library/` in addresses of the site's own; a test compares them. No area can have such a name.
RESERVED_AREAS = frozenset({"calculators", "evidence", "flags", "glossary", "images", "models", "review", "tags"})
#: The text of a content file, for the line of a mistake in it.
ReadText = Callable[[str], str]


def current_names(articles: Mapping[str, Article]) -> tuple[dict[str, str], list[ContentProblem]]:
    """Return former key → present key of renamed articles, and the former names that cannot be followed."""
    names, problems = dict[str, str](), list[ContentProblem]()
    for article in articles.values():
        for alias, former in zip(article.aliases, article.former_keys, strict=True):
            taken = articles.get(former) or articles.get(names.get(former, ""))
            if taken is None:
                names[former] = article.key
                continue
            line = line_of(article.text, alias)
            message = f"alias {alias!r} is the name of {taken.path}; remove it from one of the two"
            problems.append(ContentProblem(path=article.path, line=line, message=message))
    return names, problems


def inconsistencies(
    files: Files, articles: Mapping[str, Article], former: Collection[str], read_text: ReadText
) -> Iterator[ContentProblem]:
    """Yield what does not fit together, each with the line to mend. `former`: the former keys of articles.
    A library without `claims.yaml` has no list that a claim could be missing from."""
    claims = {claim.id for claim in files.claims}
    known = articles.keys() | set(former)
    yield from _reserved_areas(files, articles.values(), read_text)
    yield from _slugs_taken_twice(articles.values())
    yield from _ids_taken_twice(CLAIMS_PATH, [claim.id for claim in files.claims], read_text)
    yield from _ids_taken_twice(MODELS_PATH, [model.id for model in files.base_models], read_text)
    for article in articles.values():
        yield from _article_references(article, known, claims)
    for checklist in files.checklists:
        yield from _checklist_references(checklist, known, claims, read_text)
    yield from _base_models(files.recipes, {model.id: model for model in files.base_models}, read_text)
    yield from _terms(files, known, read_text)


def line_of(text: str, part: str) -> int:
    return text.count("\n", 0, max(text.find(part), 0)) + 1


def _reserved_areas(files: Files, articles: Iterable[Article], read_text: ReadText) -> Iterator[ContentProblem]:
    """Yield areas, and former areas of articles, whose address is that of another page: nobody would reach them."""
    for area in files.areas:
        if area.slug in RESERVED_AREAS and f"slug: {area.slug}" in (text := read_text(AREAS_PATH)):
            yield _reserved(AREAS_PATH, line_of(text, f"slug: {area.slug}"), area.slug)
    for article in articles:
        if article.area in RESERVED_AREAS:
            yield _reserved(article.path, 1, article.area)
        for alias in article.aliases:
            if (former := alias.partition("/")[0]) in RESERVED_AREAS and "/" in alias:
                yield _reserved(article.path, line_of(article.text, alias), former)


def _reserved(path: str, line: int, area: str) -> ContentProblem:
    message = f"area {area!r} cannot be reached: /library/{area}/ is a page of the site; give the folder another name"
    return ContentProblem(path=path, line=line, message=message)


def _slugs_taken_twice(articles: Iterable[Article]) -> Iterator[ContentProblem]:
    first: dict[str, Article] = {}
    for article in sorted(articles, key=lambda article: article.path):
        other = first.setdefault(article.slug, article)
        if other is not article:
            message = (
                f"slug {article.slug!r} is also that of {other.path}, so that [[{article.slug}]] could mean either"
            )
            yield ContentProblem(path=article.path, line=1, message=f"{message}; rename one and give it an alias")


def _ids_taken_twice(path: str, ids: list[str], read_text: ReadText) -> Iterator[ContentProblem]:
    """Yield each id of a list that an earlier entry has: the later one would hide it."""
    for taken, times in Counter(ids).items():
        if times > 1:
            written = re.finditer(rf"\bid:[ \t]*([\"']?){re.escape(taken)}\1(?![\w./-])", text := read_text(path))
            for found in list(written)[1:]:
                line = text.count("\n", 0, found.start()) + 1
                yield ContentProblem(path=path, line=line, message=f"id {taken!r} is listed twice; keep one entry")


def _article_references(article: Article, known: Collection[str], claims: Collection[str]) -> Iterator[ContentProblem]:
    for ref in article.related:
        if ref.partition("#")[0] not in known:
            yield ContentProblem(
                path=article.path,
                line=line_of(article.text, ref),
                message=f"related article {ref!r} does not exist; correct or remove it",
            )
    for claim in article.claims:
        if claims and claim not in claims:
            yield _unknown_claim(article.path, line_of(article.text, claim), claim)


def _checklist_references(
    checklist: Checklist, known: Collection[str], claims: Collection[str], read_text: ReadText
) -> Iterator[ContentProblem]:
    path = f"checklists/{checklist.slug}.yaml"
    for named in (checklist.article, *(question.article for question in checklist.questions)):
        if named and named.partition("#")[0] not in known:
            message = f"article {named!r} does not exist; correct it or write it"
            yield ContentProblem(path=path, line=line_of(read_text(path), named), message=message)
    for question in checklist.questions:
        for claim in question.claims:
            if claims and claim not in claims:
                yield _unknown_claim(path, line_of(read_text(path), claim), claim)


def _unknown_claim(path: str, line: int, claim: str) -> ContentProblem:
    return ContentProblem(path=path, line=line, message=f"claim {claim} is not in {CLAIMS_PATH}; correct it or add it")


def _base_models(
    recipes: Iterable[Recipe], base_models: Mapping[str, BaseModelEntry], read_text: ReadText
) -> Iterator[ContentProblem]:
    """Yield every recipe and successor that names a base model which `models.yaml` does not list."""
    for recipe in recipes:
        if (model := recipe.settings.base_model.id) not in base_models:
            path = f"recipes/{recipe.slug}.yaml"
            message = f"base model {model!r} is not in {MODELS_PATH}; correct it or add an entry"
            yield ContentProblem(path=path, line=line_of(read_text(path), model), message=message)
    for entry in base_models.values():
        if entry.superseded_by and entry.superseded_by not in base_models:
            message = f"{entry.id} is superseded by {entry.superseded_by!r}, which has no entry; add one"
            yield ContentProblem(path=MODELS_PATH, line=1, message=message)


def _terms(files: Files, known: Collection[str], read_text: ReadText) -> Iterator[ContentProblem]:
    """Yield names that two terms share, and terms that name an article which is not there."""
    taken: dict[str, str] = {}
    for term in files.glossary:
        for name in (term.slug, *dict.fromkeys(name.casefold() for name in term.names)):
            other = taken.setdefault(name, term.slug)
            if other != term.slug:
                line = line_of(read_text(GLOSSARY_PATH), f"slug: {term.slug}")
                message = f"term {name!r} is also in the entry {other!r}; keep one"
                yield ContentProblem(path=GLOSSARY_PATH, line=line, message=message)
        if term.article and term.article.partition("#")[0] not in known:
            line = line_of(read_text(GLOSSARY_PATH), f"article: {term.article}")
            message = f"article {term.article!r} does not exist; correct it or write it"
            yield ContentProblem(path=GLOSSARY_PATH, line=line, message=message)
