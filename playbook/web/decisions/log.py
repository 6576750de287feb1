"""The decision log: what its filters choose, its timeline, and its rows as CSV and JSON. Reads alone."""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from django.db.models import CharField, Count, F, Q, QuerySet, Value
from django.db.models.functions import Cast, Left, Lower
from django.urls import reverse

from playbook.contracts.metrics import Metric
from playbook.contracts.run_spec import Arm
from playbook.web.accounts.models import User
from playbook.web.common.pages import CountedPaginator
from playbook.web.decisions.criterion import Criterion
from playbook.web.decisions.models import Decision, Status
from playbook.web.usecases.models import UseCase

#: Words of a search that count; each must be found.
MAX_WORDS = 8
#: Months of the timeline at most, the newest ones.
MONTHS = 24
#: And at least so many, so that one month alone is no wall of colour.
LEAST_MONTHS = 12
#: Of years that a decision can have, and whose months have a next one.
_MONTH = re.compile(r"[12][0-9]{3}-(0[1-9]|1[0-2])")
#: Fields that a row of the log does not show.
_LONG = ("searched", "context", "options", "consequences", "measured", "kill_criterion")
#: A cell that begins like this is a formula to a spreadsheet (OWASP, "CSV Injection").
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
CHUNK = 500
#: An export is sent in pieces of about so many characters.
PIECE_CHARACTERS = 65_536

#: A month of the timeline: its label, the address of its decisions, and their count by status.
Month = tuple[str, str, dict[str, int]]


@dataclass(frozen=True)
class LogFilter:
    """What the address asks for. Unknown values do not filter, but for a use case, of which nothing is then shown."""

    status: str = ""
    use_case: str = ""
    owner: str = ""
    month: str = ""
    q: str = ""

    @classmethod
    def of(cls, given: Mapping[str, str]) -> "LogFilter":
        month = given.get("month", "")
        return cls(
            status=status if (status := given.get("status", "")) in Status.values else "",
            use_case=given.get("use_case", ""),
            owner="me" if given.get("owner") == "me" else "",
            month=month if _MONTH.fullmatch(month) else "",
            q=given.get("q", "").replace("\x00", "")[:200].strip(),
        )

    @property
    def is_set(self) -> bool:
        return any(vars(self).values())

    def query(self, **changed: str) -> str:
        """Return it as the query of an address, with some parts changed; "" when there is nothing to say."""
        parts = {name: value for name, value in {**vars(self), **changed}.items() if value}
        return f"?{urlencode(parts)}" if parts else ""


def decision_log(user: User, chosen: LogFilter) -> QuerySet[Decision]:
    """Return the decisions that the user may see and the filter chooses, newest first."""
    return _chosen(Decision.objects.visible_to(user), user, chosen)


def log_pages(user: User, chosen: LogFilter, *, per_page: int, total: int) -> CountedPaginator:
    """Return the pages of the log. `total`: how many decisions there are, which the timeline has counted."""
    decisions = _chosen(Decision.objects.newest_visible_to(user), user, chosen)
    rows = decisions.select_related("use_case", "created_by").defer(*_LONG)
    return CountedPaginator(rows, per_page, total=total)


def _chosen(decisions: QuerySet[Decision], user: User, chosen: LogFilter) -> QuerySet[Decision]:
    if chosen.status:
        decisions = decisions.filter(status=chosen.status)
    if chosen.use_case:
        decisions = decisions.filter(use_case__slug=chosen.use_case.replace("\x00", ""))
    if chosen.owner:
        decisions = decisions.filter(owner=user)
    if chosen.month:
        first = datetime.fromisoformat(f"{chosen.month}-01T00:00Z")
        decisions = decisions.filter(created_at__gte=first, created_at__lt=_next_month(first))
    for word in chosen.q.split()[:MAX_WORDS]:
        decisions = decisions.filter(_holds(word))
    return decisions


def use_cases_of(user: User) -> list[UseCase]:
    """Return the use cases that the filter may name."""
    return list(UseCase.objects.for_member(user).only("name", "slug"))


def timeline_of(decisions: QuerySet[Decision], chosen: LogFilter) -> tuple[list[Month], int]:
    """Return the months from the first to the last decision, at most `MONTHS`, and how many decisions there are.

    One query. Grouped by the text of the date, which costs a tenth of truncating each moment.
    """
    month = Left(Cast("created_at", CharField()), 7)
    counted = decisions.order_by().values(month=month, state=F("status")).annotate(count=Count("pk"))
    found: dict[str, dict[str, int]] = {}
    total = 0
    for row in counted:
        found.setdefault(row["month"], {})[row["state"]] = row["count"]
        total += row["count"]
    if not found:
        return [], 0
    address = reverse("decisions:index")
    months = [
        (f"{first:%b %Y}", f"{address}{chosen.query(month=f'{first:%Y-%m}')}", found.get(f"{first:%Y-%m}", {}))
        for first in _months(min(min(found), _year_before(max(found))), max(found))
    ]
    return months, total


def json_of(decisions: QuerySet[Decision]) -> Iterator[str]:
    """Yield `{"decisions": [...]}` piece by piece, so that no log is ever held whole."""
    buffer = io.StringIO()
    buffer.write('{"decisions": [')
    for place, row in enumerate(rows_of(decisions)):
        buffer.write(f"{', ' if place else ''}{json.dumps(row)}")
        if buffer.tell() > PIECE_CHARACTERS:
            yield _taken(buffer)
    buffer.write("]}")
    yield _taken(buffer)


def csv_of(decisions: QuerySet[Decision]) -> Iterator[str]:
    """Yield the rows as CSV, the header first. No cell is a formula to a spreadsheet: such a one begins with '."""
    buffer = io.StringIO()
    writer: csv.DictWriter[str] | None = None
    for row in rows_of(decisions):
        if writer is None:
            writer = csv.DictWriter(buffer, fieldnames=list(row))
            writer.writeheader()
        writer.writerow({name: _cell(value) for name, value in row.items()})
        if buffer.tell() > PIECE_CHARACTERS:
            yield _taken(buffer)
    if writer is None:
        csv.writer(buffer).writerow(COLUMNS)
    yield _taken(buffer)


def _taken(buffer: io.StringIO) -> str:
    """Return what the buffer holds, and empty it."""
    text = buffer.getvalue()
    buffer.seek(0)
    buffer.truncate()
    return text


COLUMNS = (
    "number",
    "title",
    "status",
    "use_case",
    "owner",
    "created_at",
    "proposed_at",
    "decided_at",
    "sign_by",
    "review_on",
    "criterion",
    "test_set",
    "forecast_probability",
    "forecast_value",
    "kill_criterion",
    "budget_gpu_minutes",
    "superseded_by",
)


#: What `rows_of` reads: whole decisions, each with its options, would cost four times as much.
_READ = (
    "number",
    "title",
    "status",
    "use_case__slug",
    "owner__username",
    "created_at",
    "proposed_at",
    "decided_at",
    "sign_by",
    "review_on",
    "criterion_metric",
    "criterion_arm",
    "criterion_threshold",
    "locked_test_set",
    "criterion_test_set",
    "forecast_probability",
    "forecast_value",
    "kill_criterion",
    "budget_gpu_minutes",
    "superseded_by__number",
)


def rows_of(decisions: QuerySet[Decision]) -> Iterator[dict[str, Any]]:
    """Yield each decision as a flat dictionary of JSON values, with the keys of `COLUMNS`."""
    for row in decisions.select_related(None).values_list(*_READ).iterator(chunk_size=CHUNK):
        number, title, status, use_case, owner, *row = row
        created, proposed, decided, sign_by, review_on, metric, arm, threshold, locked, promised, *row = row
        probability, value, kill_criterion, budget, superseded_by = row
        values = (
            number,
            title,
            status,
            use_case,
            owner or "",
            *(moment.isoformat(timespec="seconds") if moment else "" for moment in (created, proposed, decided)),
            *(day.isoformat() if day else "" for day in (sign_by, review_on)),
            "" if threshold is None else _criterion_text(metric, arm, threshold),
            locked or promised,
            *(None if share is None else float(share) for share in (probability, value)),
            kill_criterion,
            budget,
            superseded_by,
        )
        yield dict(zip(COLUMNS, values, strict=True))


@lru_cache(maxsize=500)
def _criterion_text(metric: str, arm: str, threshold: Decimal) -> str:
    return Criterion(metric=Metric(metric), arm=Arm(arm), threshold=threshold).text


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _holds(word: str) -> Q:
    """Return the condition that a decision holds the word: `D-12` and `12` are its number too."""
    number = word.upper().removeprefix("D-")
    found = Q()
    for spelling in _spellings(word):
        named = UseCase.objects.filter(name__icontains=spelling).values("pk")
        found |= Q(searched__contains=Lower(Value(spelling))) | Q(use_case__in=named)
    if number.isascii() and number.isdigit() and len(number) < 10:
        found |= Q(number=int(number))
    return found


def _spellings(word: str) -> tuple[str, ...]:
    """Return how a word may be written in other cases of letters: SQLite folds those of ASCII alone."""
    return (word,) if word.isascii() else tuple(dict.fromkeys((word, word.lower(), word.upper(), word.capitalize())))


def _year_before(last: str) -> str:
    """`2026-03` → `2025-04`: the first of the `LEAST_MONTHS` that end with a month."""
    months = int(last[:4]) * 12 + int(last[5:]) - LEAST_MONTHS
    return f"{months // 12:04d}-{months % 12 + 1:02d}"


def _months(first: str, last: str) -> list[datetime]:
    months = [datetime.fromisoformat(f"{first}-01T00:00Z")]
    while f"{months[-1]:%Y-%m}" < last:
        months.append(_next_month(months[-1]))
    return months[-MONTHS:]


def _next_month(first: datetime) -> datetime:
    return first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
