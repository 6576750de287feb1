"""The content folder → the values of all its files. A broken file becomes a problem and takes no other file down.

Between `files`, which knows bytes, and `content`, which makes one library of what is read here. What was read once is
kept until the file changes, so that a reload costs one stat a file.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from playbook.contracts.dataset import Split
from playbook.contracts.run_spec import Recipe
from playbook.library.articles import Area, AreaEntry, AreasFile, Article, read_article, split_front_matter
from playbook.library.catalog import BaseModelEntry, CardFrontMatter, DatasetCard
from playbook.library.definition import Checklist
from playbook.library.figures import Figure, read_figure
from playbook.library.files import SLUG, Stamp, read_text, walk
from playbook.library.flow import check_flow
from playbook.library.images import Image, is_image_path, read_image
from playbook.library.measured import MAX_REPORT_BYTES, Measured, is_report_path, read_measured
from playbook.library.policy import Policy
from playbook.library.problems import ContentError, ContentProblem
from playbook.library.terms import Claim, Term
from playbook.library.yaml_text import YamlText, read_yaml

AREAS_PATH = "articles/areas.yaml"
CLAIMS_PATH = "claims.yaml"
GLOSSARY_PATH = "glossary.yaml"
MODELS_PATH = "models.yaml"
POLICY_PATH = "policy.yaml"

Value = TypeVar("Value")
Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Kept:
    """What a file held when it had this stamp."""

    stamp: Stamp
    value: Any
    problems: tuple[ContentProblem, ...]


Memory = dict[str, Kept]


@dataclass(frozen=True)
class Files:
    """The values of one content folder, in the order in which they are shown."""

    areas: tuple[Area, ...]
    checklists: tuple[Checklist, ...]
    recipes: tuple[Recipe, ...]
    base_models: tuple[BaseModelEntry, ...]
    datasets: tuple[DatasetCard, ...]
    images: tuple[Image, ...]
    figures: tuple[Figure, ...]
    reports: tuple[Measured, ...]
    glossary: tuple[Term, ...]
    claims: tuple[Claim, ...]
    policy: Policy | None
    problems: tuple[ContentProblem, ...] = field(default=())


def read_files(content_dir: Path, memory: Memory) -> Files:
    """Read every content file that `memory` does not know as it is now, and update `memory`. Never raises on what a
    file holds: see `Files.problems`."""
    return _Reader(content_dir, memory).read()


class _Reader:
    """Reads one content folder; collects problems as it goes."""

    def __init__(self, content_dir: Path, memory: Memory) -> None:
        self.content_dir = content_dir
        self.memory = memory
        self.files, problems = walk(content_dir)
        self.problems = list(problems)

    def read(self) -> Files:
        for gone in self.memory.keys() - self.files.keys():
            del self.memory[gone]
        articles = self._articles()
        return Files(
            checklists=tuple(self._each("checklists", _read_checklist)),
            recipes=tuple(self._each("recipes", _read_recipe)),
            base_models=self._listed(MODELS_PATH, _entries_of(BaseModelEntry)),
            datasets=tuple(self._datasets()),
            images=tuple(self._images()),
            figures=tuple(self._each("figures", read_figure, ending=".svg")),
            reports=tuple(self._reports()),
            glossary=self._listed(GLOSSARY_PATH, _entries_of(Term, "terms")),
            claims=self._listed(CLAIMS_PATH, _entries_of(Claim, "claims")),
            areas=self._areas(articles),
            policy=self._policy(),
            problems=tuple(self.problems),
        )

    def _try(self, path: str, read: Callable[[str, str], Value]) -> Value | None:
        """Return `read(path, text)`, or None after noting what is wrong with the file."""
        return self._kept(path, lambda: read(path, read_text(self.content_dir, path)))

    def _kept(self, path: str, read: Callable[[], Value]) -> Value | None:
        stamp = self.files.get(path)
        kept = self.memory.get(path)
        if kept is None or kept.stamp != stamp:
            try:
                kept = Kept(stamp or (0, 0, 0), read(), ())
            except ContentError as error:
                kept = Kept(stamp or (0, 0, 0), None, error.problems(path))
            except Exception as error:
                # A fault of a parser on odd text must stay with this file: the rest of the library stays up.
                fault = ContentError((1, f"cannot be read ({type(error).__name__}: {str(error)[:200]}); simplify it"))
                kept = Kept(stamp or (0, 0, 0), None, fault.problems(path))
            if stamp:
                self.memory[path] = kept
        self.problems.extend(kept.problems)
        value: Value | None = kept.value
        return value

    def _note(self, path: str, line: int, message: str) -> None:
        self.problems.append(ContentProblem(path=path, line=line, message=message))

    def _each(self, folder: str, read: Callable[[str, str], Value], *, ending: str = ".yaml") -> Iterable[Value]:
        """Read `<folder>/<slug><ending>`; other files there are problems."""
        for path in self.files:
            if not path.startswith(f"{folder}/"):
                continue
            name = path.removeprefix(f"{folder}/")
            if not name.endswith(ending) or not SLUG.fullmatch(name.removesuffix(ending)):
                self._note(path, 1, f"not read: name it {folder}/<slug>{ending} with small letters, digits and hyphens")
            elif (value := self._try(path, read)) is not None:
                yield value

    def _articles(self) -> list[Article]:
        articles = []
        for path in self.files:
            parts = path.split("/")
            if parts[0] != "articles" or path == AREAS_PATH or is_image_path(path):
                continue
            if len(parts) != 3 or not path.endswith(".md") or not all(map(SLUG.fullmatch, (parts[1], parts[2][:-3]))):
                self._note(path, 1, "not read: name it articles/<area>/<slug>.md with small letters, digits, hyphens")
            elif article := self._try(path, read_article):
                articles.append(article)
        return articles

    def _areas(self, articles: Iterable[Article]) -> tuple[Area, ...]:
        """Return the areas of `areas.yaml` in its order, then those that it does not name."""
        file = self._try(AREAS_PATH, lambda _, text: read_yaml(text).parse(AreasFile))
        entries = {entry.slug: entry for entry in (file.areas if file else ())}
        inside: dict[str, list[Article]] = {slug: [] for slug in entries}
        for article in sorted(articles, key=lambda article: (article.order, article.title)):
            if article.area not in entries:
                title = article.area.replace("-", " ").capitalize()
                entries[article.area] = AreaEntry(slug=article.area, title=title, summary=f"Articles on {title}.")
                inside[article.area] = []
                if file:
                    self._note(AREAS_PATH, 1, f"area {article.area!r} has articles but no entry; add one")
            inside[article.area].append(article)
        return tuple(Area(**dict(entry), articles=tuple(inside[slug])) for slug, entry in entries.items())

    def _listed(
        self, path: str, read: Callable[[str], tuple[tuple[Value, ...], ContentError | None]]
    ) -> tuple[Value, ...]:
        """Return the entries of a list that are right; each wrong one is a problem of its own."""
        if path not in self.files and path != MODELS_PATH:
            return ()  # a library can do without a glossary or claims
        found = self._try(path, lambda _, text: read(text))
        if found is None:
            return ()
        values, wrong = found
        if wrong:
            self.problems.extend(wrong.problems(path))
        return values

    def _policy(self) -> Policy | None:
        """Return the policy; one without rules when there is no file, None when it cannot be read."""
        if POLICY_PATH not in self.files:
            return Policy()
        return self._try(POLICY_PATH, lambda _, text: read_yaml(text).parse(Policy))

    def _images(self) -> Iterable[Image]:
        for path in self.files:
            if is_image_path(path):
                image = self._kept(path, lambda path=path: read_image(self.content_dir, path))  # type: ignore[misc]
                yield from [image] if image else []

    def _reports(self) -> Iterable[Measured]:
        """Read what jobs have left; what lies beside a report is for people."""
        for path in self.files:
            if is_report_path(path):
                report = self._kept(
                    path,
                    lambda path=path: read_measured(path, read_text(self.content_dir, path, most=MAX_REPORT_BYTES)),  # type: ignore[misc]
                )
                yield from [report] if report else []

    def _datasets(self) -> Iterable[DatasetCard]:
        for path in self.files:
            parts = path.split("/")
            if len(parts) == 3 and parts[0] == "datasets" and parts[2] == "card.md":
                found = self._try(path, _read_card)
                if found and not self._lacks_split(*found):
                    yield found[0]

    def _lacks_split(self, card: DatasetCard, line: int) -> bool:
        for split in Split:
            if split not in card.splits or card.split_path(split) not in self.files:
                message = f"no {split.value} split; a dataset needs {split.value}.jsonl and its entry under splits"
                self._note(card.path, line, message)
                return True
        return False


def _read_checklist(path: str, text: str) -> Checklist:
    document = read_yaml(text)
    checklist = document.parse(Checklist)
    _check_slug(path, checklist.slug, document.line(("slug",)))
    if problems := check_flow(checklist):
        raise ContentError(*[(document.line(problem.path), problem.message) for problem in problems])
    return checklist


def _read_recipe(path: str, text: str) -> Recipe:
    document = read_yaml(text)
    recipe = document.parse(Recipe)
    _check_slug(path, recipe.slug, document.line(("slug",)))
    return recipe


def _read_card(path: str, text: str) -> tuple[DatasetCard, int]:
    """Return the card, and the line of its splits."""
    fields, body, _ = split_front_matter(text)
    front = fields.parse(CardFrontMatter)
    _check_slug(path.removesuffix("/card.md"), front.slug, fields.line(("slug",)))
    return DatasetCard(**dict(front), path=path, body=body), fields.line(("splits",))


def _entries_of(
    model: type[Model], name: str | None = None
) -> Callable[[str], tuple[tuple[Model, ...], ContentError | None]]:
    """Return a reader of a file that holds a list of `model`, at its top or in the one field `name`."""

    def read(text: str) -> tuple[tuple[Model, ...], ContentError | None]:
        found, wrong = list[Model](), list[tuple[int, str]]()
        for entry in _list_in(read_yaml(text), name).entries():
            try:
                found.append(entry.parse(model))
            except ContentError as error:
                wrong.extend(error.found)
        return tuple(found), ContentError(*wrong) if wrong else None

    return read


def _list_in(document: YamlText, name: str | None) -> YamlText:
    if name is None:
        return document
    if not isinstance(document.value, Mapping) or set(document.value) != {name}:
        raise ContentError((document.line(()), f"expected one field, '{name}:', with a list of entries"))
    return document.inside(name)


def _check_slug(path: str, slug: str, line: int) -> None:
    if slug != Path(path).stem:
        raise ContentError((line, f"slug {slug!r} differs from the file's name; write {Path(path).stem!r}"))
