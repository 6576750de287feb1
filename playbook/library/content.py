"""The content folder → one frozen `Library`. A broken file becomes a problem and takes no other file down.

The files are the only truth: `LibraryCache` reads them again when they change, without a restart. Knows no address of
the site: pages turn what `Library.target` returns into links.
"""

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType

from playbook.contracts.run_spec import Recipe
from playbook.library.articles import Area, Article
from playbook.library.catalog import BaseModelEntry, DatasetCard
from playbook.library.consistency import current_names, inconsistencies
from playbook.library.definition import Checklist
from playbook.library.embeds import CALCULATORS, EmbedKind
from playbook.library.figures import Figure
from playbook.library.files import Watch, read_text
from playbook.library.images import Image
from playbook.library.links import LinkGraph, LinkMemory, link_graph
from playbook.library.measured import Measured
from playbook.library.policy import Policy
from playbook.library.problems import ContentError, ContentProblem
from playbook.library.reader import Files, Memory, read_files
from playbook.library.terms import Claim, Term

CHECK_SECONDS = 1.0

Target = Article | Checklist | Recipe | DatasetCard | Image


@dataclass(frozen=True)
class Library:
    """Everything that the content folder holds, read once. Mappings are by key: articles by `<area>/<slug>`, base
    models and claims by id, images by path, the others by slug; all in the order in which they are shown. `aliases`:
    former key → present key of renamed articles. `policy`: None when its file cannot be read."""

    content_dir: Path
    areas: tuple[Area, ...] = ()
    articles: Mapping[str, Article] = field(default_factory=dict)
    checklists: Mapping[str, Checklist] = field(default_factory=dict)
    recipes: Mapping[str, Recipe] = field(default_factory=dict)
    base_models: Mapping[str, BaseModelEntry] = field(default_factory=dict)
    datasets: Mapping[str, DatasetCard] = field(default_factory=dict)
    images: Mapping[str, Image] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)
    reports: Mapping[str, Measured] = field(default_factory=dict)
    glossary: Mapping[str, Term] = field(default_factory=dict)
    claims: Mapping[str, Claim] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)
    policy: Policy | None = field(default_factory=Policy)
    problems: tuple[ContentProblem, ...] = ()
    link_memory: LinkMemory = field(default_factory=LinkMemory, repr=False, compare=False)

    def area(self, slug: str) -> Area | None:
        return next((area for area in self.areas if area.slug == slug), None)

    def article(self, ref: str) -> Article | None:
        """Return the article that `ref` names: `<area>/<slug>`, or a slug that only one article has, both under a
        present or a former name, with or without an anchor. None when there is none, or more than one."""
        name = ref.partition("#")[0]
        if "/" in name:
            return self.articles.get(name) or self.articles.get(self.aliases.get(name, ""))
        found = self._by_slug.get(name, ()) or self._by_former_slug.get(name, ())
        return self.articles[found[0]] if len(found) == 1 else None

    def target(self, path: str) -> Target | None:
        """Return what the content file at `path` (`articles/train/lora.md`) holds; None when it is no readable one. A
        path under which an article was once kept leads to the article."""
        folder, _, rest = path.partition("/")
        if folder == "articles" and rest.endswith(".md"):
            return self.article(rest.removesuffix(".md")) if rest.count("/") == 1 else None
        if folder == "checklists" and rest.endswith(".yaml"):
            return self.checklists.get(rest.removesuffix(".yaml"))
        if folder == "recipes" and rest.endswith(".yaml"):
            return self.recipes.get(rest.removesuffix(".yaml"))
        if folder == "datasets" and rest.endswith("/card.md"):
            return self.datasets.get(rest.removesuffix("/card.md"))
        return self.images.get(path)

    def embeddable(self) -> Mapping[EmbedKind, Collection[str]]:
        """Return what each kind of embed may name."""
        return {
            "checklist": self.checklists.keys(),
            "job": self.recipes.keys(),
            "evidence": self.claims.keys(),
            "calculator": CALCULATORS,
            "measured": self.reports.keys(),
        }

    def problems_of(self, path: str) -> tuple[ContentProblem, ...]:
        return self._problems_by_path.get(path, ())

    def backlinks(self, key: str) -> tuple[Article, ...]:
        """Return the other articles whose text links to the article `key`, in reading order."""
        return self.links.backlinks.get(key, ())

    @cached_property
    def links(self) -> LinkGraph:
        """Who links to whom; worked out at the first use."""
        return link_graph(self, self.link_memory)

    @cached_property
    def tags(self) -> Mapping[str, tuple[Article, ...]]:
        """Each tag with its articles, in reading order; tags sorted by name."""
        found: dict[str, list[Article]] = {}
        for article in self.articles.values():
            for tag in dict.fromkeys(article.tags):
                found.setdefault(tag, []).append(article)
        return MappingProxyType({tag: tuple(found[tag]) for tag in sorted(found)})

    @cached_property
    def _by_slug(self) -> Mapping[str, list[str]]:
        return _by_slug(self.articles)

    @cached_property
    def _by_former_slug(self) -> Mapping[str, list[str]]:
        found = _by_slug(self.aliases)
        return {slug: sorted({self.aliases[key] for key in keys}) for slug, keys in found.items()}

    @cached_property
    def _problems_by_path(self) -> Mapping[str, tuple[ContentProblem, ...]]:
        found: dict[str, list[ContentProblem]] = {}
        for problem in self.problems:
            found.setdefault(problem.path, []).append(problem)
        return {path: tuple(problems) for path, problems in found.items()}


def _by_slug(keys: Collection[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for key in keys:
        found.setdefault(key.rpartition("/")[2], []).append(key)
    return found


@dataclass
class LibraryMemory:
    """What one load of a library leaves for the next, so that only files that changed are read and scanned again."""

    files: Memory = field(default_factory=dict)
    links: LinkMemory = field(default_factory=LinkMemory)


def load_library(content_dir: Path, memory: LibraryMemory | None = None) -> Library:
    """Read every content file once. Never raises on what a file holds: see `Library.problems`.

    Given the same `memory` again, only files that changed since are read.
    """
    memory = memory or LibraryMemory()
    files = read_files(content_dir, memory.files)
    articles = {article.key: article for area in files.areas for article in area.articles}
    aliases, problems = current_names(articles)
    return Library(
        content_dir=content_dir,
        areas=files.areas,
        articles=MappingProxyType(articles),
        checklists=MappingProxyType({found.slug: found for found in sorted(files.checklists, key=_place)}),
        recipes=MappingProxyType({recipe.slug: recipe for recipe in files.recipes}),
        base_models=MappingProxyType({model.id: model for model in files.base_models}),
        datasets=MappingProxyType({card.slug: card for card in files.datasets}),
        images=MappingProxyType({image.path: image for image in files.images}),
        figures=MappingProxyType({figure.slug: figure for figure in files.figures}),
        reports=MappingProxyType({report.slug: report for report in files.reports}),
        glossary=MappingProxyType({term.slug: term for term in files.glossary}),
        claims=MappingProxyType({claim.id: claim for claim in files.claims}),
        aliases=MappingProxyType(aliases),
        policy=files.policy,
        problems=_sorted([*files.problems, *problems, *_between(content_dir, files, articles, aliases)]),
        link_memory=memory.links,
    )


def _place(checklist: Checklist) -> tuple[int, str]:
    return checklist.order, checklist.slug


def _between(
    content_dir: Path, files: Files, articles: Mapping[str, Article], aliases: Mapping[str, str]
) -> list[ContentProblem]:
    def text_of(path: str) -> str:
        try:
            return read_text(content_dir, path)
        except ContentError:
            return ""  # removed since it was read; the next load says so

    return list(inconsistencies(files, articles, aliases, text_of))


def _sorted(problems: list[ContentProblem]) -> tuple[ContentProblem, ...]:
    return tuple(sorted(problems, key=lambda problem: (problem.path, problem.line)))


class LibraryCache:
    """The current library of a content folder, shared by all threads.

    The tree is looked at at most once in CHECK_SECONDS (see `files.Watch`); files that changed are read again.
    """

    def __init__(self, content_dir: Path) -> None:
        self._content_dir = content_dir
        self._lock = threading.Lock()
        self._library: Library | None = None
        self._watch = Watch(content_dir)
        self._memory = LibraryMemory()
        self._checked_at = float("-inf")

    def current(self) -> Library:
        """Return the library as the files are now, at most CHECK_SECONDS behind (a file written in place in a library
        of more than a thousand files: a second for each thousand)."""
        library = self._library
        if library is not None and time.monotonic() - self._checked_at < CHECK_SECONDS:
            return library
        if library is None:
            with self._lock:
                return self._checked()
        if not self._lock.acquire(blocking=False):
            return library  # another thread is reading the change; no reader waits for it
        try:
            return self._checked()
        finally:
            self._lock.release()

    def _checked(self) -> Library:
        if self._library is None or time.monotonic() - self._checked_at >= CHECK_SECONDS:
            # The look comes before the reading: a file that changes meanwhile is seen by the next look.
            if self._watch.look() or self._library is None:
                self._library = load_library(self._content_dir, self._memory)
            self._checked_at = time.monotonic()
        return self._library
