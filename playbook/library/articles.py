"""Articles and areas: one Markdown file with YAML front matter → typed values. The body stays Markdown here.

`outline` scans the body, `markdown` renders it, `reader` finds the files.
"""

import hashlib
import math
import re
from datetime import date, timedelta
from enum import StrEnum
from functools import cached_property

from pydantic import Field

from playbook.contracts.model import Frozen
from playbook.library.fields import ArticleRef, ClaimId, Day, Days, FormerName, Line, Slug, Source
from playbook.library.outline import Outline, read_outline
from playbook.library.problems import ContentError
from playbook.library.yaml_text import YamlText, read_yaml

DEFAULT_REVIEW_IN = timedelta(days=90)
DUE_SOON = timedelta(days=14)
#: Silent reading of English non-fiction: 238 words a minute (Brysbaert 2019, a review of 190 studies).
WORDS_PER_MINUTE = 238
_FRONT_MATTER = re.compile(r"---[ \t]*\n(?P<yaml>.*?)(?:\n|\A)---[ \t]*(?:\n|\Z)", re.DOTALL)


class Freshness(StrEnum):
    FRESH = "fresh"
    DUE_SOON = "due_soon"
    OVERDUE = "overdue"


class FrontMatter(Frozen):
    """The fields between the two `---` lines of an article."""

    title: Line
    summary: Line = Field(description="the answer in one sentence")
    owner: Line = Field(description="who keeps it right: a username, printed name, e-mail address or team")
    reviewed: Day = Field(description="when a person last checked it")
    review_in: Days = DEFAULT_REVIEW_IN
    order: int = Field(
        default=100, ge=-1_000_000, le=1_000_000, description="place within the area; equal numbers are sorted by title"
    )
    claims: tuple[ClaimId, ...] = ()
    sources: tuple[Source, ...] = ()
    related: tuple[ArticleRef, ...] = ()
    tags: tuple[Slug, ...] = ()
    aliases: tuple[FormerName, ...] = Field(default=(), description="former names, which still lead here")


class Article(FrontMatter):
    """One article. `body` is its Markdown, which begins on line `body_line` of the file at `path` (relative to the
    content folder); `text` is the whole file; `digest` is the SHA-256 of it."""

    area: Slug
    slug: Slug
    path: str
    text: str = Field(repr=False)
    body: str = Field(repr=False)
    body_line: int
    digest: str

    @cached_property
    def key(self) -> str:
        """`<area>/<slug>`: how front matter, checklists, addresses and assessments name an article."""
        return f"{self.area}/{self.slug}"

    @cached_property
    def outline(self) -> Outline:
        """Headings, links, images, formulas and embeds of the body; scanned at the first use."""
        return read_outline(self.body, self.body_line)

    @cached_property
    def reading_minutes(self) -> int:
        """Minutes that the body takes to read, code and tables included; at least 1."""
        return max(1, math.ceil(len(self.body.split()) / WORDS_PER_MINUTE))

    @property
    def former_keys(self) -> tuple[str, ...]:
        """`aliases`, each as `<area>/<slug>`."""
        return tuple(name if "/" in name else f"{self.area}/{name}" for name in self.aliases)

    @property
    def due(self) -> date:
        """The day by which it must be reviewed again."""
        return self.reviewed + self.review_in

    def freshness(self, today: date) -> Freshness:
        """Overdue after `due`, due soon in the 14 days up to it."""
        if today > self.due:
            return Freshness.OVERDUE
        return Freshness.DUE_SOON if today > self.due - DUE_SOON else Freshness.FRESH


class AreaEntry(Frozen):
    """One entry of `content/articles/areas.yaml`; their order is the order of the navigation."""

    slug: Slug
    title: Line
    summary: Line


class AreasFile(Frozen):
    areas: tuple[AreaEntry, ...]


class Area(AreaEntry):
    """An area with its articles, in reading order."""

    articles: tuple[Article, ...]


def split_front_matter(text: str) -> tuple[YamlText, str, int]:
    """Return the fields at the top of a Markdown file, the Markdown below them, and the line on which it begins.
    Raises ContentError when there are none."""
    found = _FRONT_MATTER.match(text)
    if not found:
        raise ContentError((1, "no front matter; begin the file with ---, the fields, and --- again"))
    fields = read_yaml(found["yaml"], first_line=2)
    return fields, text[found.end() :], text.count("\n", 0, found.end()) + 1


def read_article(path: str, text: str) -> Article:
    """Return the article in `text`, the file at `articles/<area>/<slug>.md`. Raises ContentError with the lines."""
    fields, body, body_line = split_front_matter(text)
    front = fields.parse(FrontMatter)
    if not body.strip():
        raise ContentError((body_line, "no text after the front matter; write the article"))
    _, area, name = path.split("/")
    return Article(
        **dict(front),
        area=area,
        slug=name.removesuffix(".md"),
        path=path,
        text=text,
        body=body,
        body_line=body_line,
        digest=hashlib.sha256(text.encode()).hexdigest(),
    )
