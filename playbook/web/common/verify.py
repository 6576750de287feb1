"""Reads the audit log as it lies in the database and says what is wrong with it. Writes nothing.

Streams rows from a server-side cursor and works on the stored text, so that a million entries need little memory.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from django.db.backends.base.base import BaseDatabaseWrapper

from playbook.web.common import guards
from playbook.web.common.chain import GENESIS, entry_hash
from playbook.web.common.models import AuditHead

CHUNK = 2000
#: The moment as text, cheaper than a datetime: SQLite keeps `2026-11-25 10:00:00[.123456]`.
_MOMENT = {
    "sqlite": "CAST(at AS TEXT)",
    "postgresql": "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')",
}

Check = Callable[[], Iterator[str]]
_checks: list[Check] = []


def also_verifies(check: Check) -> Check:
    """Register what an app keeps that the audit log vouches for; the check yields one sentence for each problem."""
    _checks.append(check)
    return check


@dataclass
class Verification:
    """What `verify` came to, once it is through. `anchor`: number and hash of an entry that must be there."""

    anchor: tuple[int, str] | None = None
    entries: int = 0
    problems: int = 0
    head: str = ""


def verify(connection: BaseDatabaseWrapper, into: Verification) -> Iterator[str]:
    """Yield one sentence for each problem, and count into `into`."""
    for problem in _every_problem(connection, into):
        into.problems += 1
        yield problem


def _every_problem(connection: BaseDatabaseWrapper, into: Verification) -> Iterator[str]:
    for name in guards.missing(connection):
        yield (
            f"The trigger {name} is missing, disabled or another than it must be, so the database lets rows be "
            "changed; run migrate."
        )
    chain = _Chain(into.anchor)
    for row in _rows(connection):
        if not chain.takes(row):
            yield from chain.read(row)
    yield from chain.end()
    into.entries, into.head = chain.read_rows, f"{chain.last_number}:{chain.last_hash}"
    for check in _checks:
        yield from check()


_Row = tuple[int, int, str, int | None, str, str, int, str, str, str]


def _rows(connection: BaseDatabaseWrapper) -> Iterator[_Row]:
    query = (
        f"SELECT id, number, {_MOMENT[connection.vendor]}, actor_id, action, subject, subject_id, detail, "  # noqa: S608
        "previous_hash, hash FROM common_auditentry ORDER BY id"
    )
    with connection.chunked_cursor() as cursor:
        cursor.execute(query)
        while rows := cursor.fetchmany(CHUNK):
            yield from rows


@dataclass
class _Chain:
    """Follows the chain from row to row, in the order in which they were appended."""

    anchor: tuple[int, str] | None
    read_rows: int = 0
    last_number: int = 0
    last_hash: str = GENESIS
    #: Numbers that were jumped over, as (first, last): missing, unless they come later.
    gaps: list[tuple[int, int]] = field(default_factory=list)

    def takes(self, row: _Row) -> bool:
        """Step over a row that is as it was written and follows the last one; False leaves it to `read`.

        What nearly every row is: a generator for each would cost as much as its hash.
        """
        number, previous_hash, stored = row[1], row[-2], row[-1]
        if number != self.last_number + 1 or previous_hash != self.last_hash:
            return False
        if _computed(row) != stored or (self.anchor and self.anchor[0] == number):
            return False
        self.read_rows += 1
        self.last_number, self.last_hash = number, stored
        return True

    def read(self, row: _Row) -> Iterator[str]:
        pk, number, _, _, action, subject, subject_id, _, previous_hash, stored = row
        self.read_rows += 1
        expected = self.last_number + 1
        named = f"Entry {number} (id {pk}, “{action}” {subject} {subject_id})"
        if _computed(row) != stored:
            yield f"{named} was altered: its content does not give its hash."
            number = expected  # what was altered may be the number itself
        elif number < expected:
            yield f"{named} stands out of order, after entry {self.last_number}."
            self._fill(number)
            return
        elif number > expected:
            self.gaps.append((expected, number - 1))
        elif previous_hash != self.last_hash:
            yield f"Entry {number - 1} was replaced, or one before {named} removed: their hashes do not join."
        if self.anchor and self.anchor[0] == number and self.anchor[1] != stored:
            yield f"{named} has another hash than the head that was kept: the log was rewritten."
        self.last_number, self.last_hash = number, stored

    def end(self) -> Iterator[str]:
        """Yield what is known only once every row was read."""
        for first, last in self.gaps:
            yield _missing(first, last, self.last_number)
        head = AuditHead.objects.first()
        if head is None:
            yield "The head of the audit log is missing: nobody can say how long the log was."
        elif head.number > self.last_number:
            yield _missing(self.last_number + 1, head.number, self.last_number)
        elif (head.number, head.hash) != (self.last_number, self.last_hash):
            yield f"The head of the audit log is {head}, the newest entry {self.last_number}:{self.last_hash}."
        if self.anchor and self.anchor[0] > self.last_number:
            yield f"The log ends with entry {self.last_number}, before entry {self.anchor[0]} whose head was kept."

    def _fill(self, number: int) -> None:
        for place, (first, last) in enumerate(self.gaps):
            if first <= number <= last:
                left = [part for part in ((first, number - 1), (number + 1, last)) if part[0] <= part[1]]
                self.gaps[place : place + 1] = left
                return


def _computed(row: _Row) -> str:
    """Return the hash that a row's content gives; "" when a column holds bytes, which SQLite lets in."""
    _, number, at, actor_id, action, subject, subject_id, detail, previous_hash, _ = row
    try:
        return entry_hash(
            number=number,
            at=_moment(at),
            actor_id=actor_id,
            action=action,
            subject=subject,
            subject_id=subject_id,
            detail=detail,
            previous_hash=previous_hash,
        )
    except TypeError:
        return ""


def _moment(at: str) -> str:
    return f"{at[:10]}T{at[11:]}Z" if len(at) == 26 else f"{at[:10]}T{at[11:]}.000000Z"


def _missing(first: int, last: int, newest: int) -> str:
    where = "at the end of the log" if first > newest else f"between entries {first - 1} and {last + 1}"
    return f"Entr{'y' if first == last else 'ies'} {first}{'' if first == last else f' to {last}'} missing {where}."
