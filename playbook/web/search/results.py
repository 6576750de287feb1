"""Hits of the index → what the pages show: address, kind, state. Rows are read from the database, as far as the reader
may see them: the index may be a moment behind, the database is not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from django.db.models import Model
from django.urls import reverse

from playbook.library.search import Hit, Results, SearchIndex
from playbook.library.search_documents import ARTICLE, BASE_MODEL, CHECKLIST, HEADING, PUBLIC, TERM
from playbook.library.search_query import Filters
from playbook.library.search_snippet import Part
from playbook.web.accounts.models import User
from playbook.web.datasets.models import Dataset
from playbook.web.decisions.models import Decision
from playbook.web.jobs.models import Job
from playbook.web.search.commands import COMMAND, COMMANDS, STAFF, Command
from playbook.web.search.rows import DATASET, DECISION, JOB, USE_CASE, group_of
from playbook.web.usecases.models import UseCase
from playbook.web.wiki.model_views import anchor

#: Every kind: what one is called, what many are called.
KINDS = {
    COMMAND: ("Command", "Commands"),
    ARTICLE: ("Article", "Articles"),
    HEADING: ("Section", "Sections"),
    TERM: ("Term", "Glossary"),
    CHECKLIST: ("Checklist", "Checklists"),
    USE_CASE: ("Use case", "Use cases"),
    DECISION: ("Decision", "Decisions"),
    JOB: ("Job", "Jobs"),
    DATASET: ("Dataset", "Datasets"),
    BASE_MODEL: ("Base model", "Base models"),
}


@dataclass(frozen=True)
class Found:
    """One result as a page shows it. `state`: of a job or decision. `command`: set where choosing it posts."""

    kind: str
    title: tuple[Part, ...]
    url: str
    context: str = ""
    snippet: tuple[Part, ...] = ()
    state: str = ""
    command: Command | None = None

    @property
    def kind_label(self) -> str:
        return KINDS[self.kind][0]

    @property
    def plain_title(self) -> str:
        return "".join(part.text for part in self.title)


@dataclass(frozen=True)
class Group:
    """The results of one kind, the best first."""

    label: str
    found: tuple[Found, ...]


def filters_for(user: User, *, kind: str = "", area: str = "", tag: str = "") -> Filters:
    """Return filters that find what the user may see: what is for all, their use cases', and the staff's for staff."""
    use_cases = UseCase.objects.for_member(user).values_list("pk", flat=True)
    groups = [PUBLIC, *(group_of(pk) for pk in use_cases), *([STAFF] if user.is_staff else [])]
    return Filters(groups=groups, kind=kind, area=area, tag=tag)


def shown(hits: Sequence[Hit], user: User) -> list[Found]:
    """Return the hits as a page shows them, in their order; rows that are gone or not the user's are left out."""
    rows = _rows(hits, user)
    return [found for hit in hits if (found := _found(hit, rows)) is not None]


def grouped(found: Sequence[Found]) -> list[Group]:
    """Return the results by kind; the group with the best result comes first."""
    kinds = list(dict.fromkeys(one.kind for one in found))
    return [Group(KINDS[kind][1], tuple(one for one in found if one.kind == kind)) for kind in kinds]


def suggested_commands() -> list[Found]:
    """Return what the palette offers before anything is typed."""
    return [_command(command, ()) for command in COMMANDS.values() if command.suggested]


def counted_kinds(index: SearchIndex, results: Results, filters: Filters) -> list[tuple[str, str, int]]:
    """Return (kind, label, count) of the kinds among the results, in the order of KINDS."""
    counts = index.kinds(results, replace(filters, kind=""))
    return [(kind, many, counts[kind]) for kind, (_, many) in KINDS.items() if kind in counts]


Rows = Mapping[tuple[str, str], Model]


def _rows(hits: Sequence[Hit], user: User) -> Rows:
    """Read the rows among the hits: at most one query for each kind of row."""
    wanted: dict[str, list[int]] = {}
    for hit in hits:
        wanted.setdefault(hit.kind, []).append(int(hit.key) if hit.key.isdigit() else 0)
    visible = {
        USE_CASE: UseCase.objects.for_member(user),
        DECISION: Decision.objects.visible_to(user).select_related("use_case"),
        JOB: Job.objects.for_member(user).select_related("use_case").defer("spec"),
        DATASET: Dataset.objects.visible_to(user).select_related("use_case"),
    }
    return {
        (kind, str(pk)): row
        for kind, rows in visible.items()
        if kind in wanted
        for pk, row in rows.in_bulk(wanted[kind]).items()
    }


def _found(hit: Hit, rows: Rows) -> Found | None:
    if hit.kind == COMMAND:
        return _command(COMMANDS[hit.key], hit.snippet, hit.title)
    if hit.kind in (USE_CASE, DECISION, JOB, DATASET):
        row = rows.get((hit.kind, hit.key))
        return None if row is None else _row(hit, row)
    return Found(hit.kind, hit.title, _address(hit.kind, hit.key), hit.context, hit.snippet)


def _row(hit: Hit, row: Model) -> Found:
    match row:
        case Decision():
            return Found(hit.kind, hit.title, row.get_absolute_url(), row.use_case.name, hit.snippet, row.status)
        case Job():
            where = f"Job {row.pk}, {row.use_case.name}"  # jobs of one recipe often have one name
            return Found(hit.kind, hit.title, row.get_absolute_url(), where, hit.snippet, row.state)
        case Dataset() | UseCase():
            return Found(hit.kind, hit.title, row.get_absolute_url(), hit.context, hit.snippet)
    raise AssertionError(f"no page for {row!r}")


def _command(command: Command, snippet: tuple[Part, ...], title: tuple[Part, ...] = ()) -> Found:
    return Found(
        COMMAND,
        title or (Part(command.title, False),),
        command.url,
        snippet=snippet,
        command=None if command.post is None else command,
    )


def _address(kind: str, key: str) -> str:
    """Return the page of what the content files hold."""
    if kind == ARTICLE:
        return reverse("wiki:article", args=key.split("/"))
    if kind == HEADING:
        article, _, heading = key.partition("#")
        return f"{reverse('wiki:article', args=article.split('/'))}#{heading}"
    if kind == TERM:
        return f"{reverse('wiki:glossary')}#{key}"
    if kind == CHECKLIST:
        return reverse("assessments:checklist", args=[key])
    return f"{reverse('wiki:models')}#{anchor(key)}"
