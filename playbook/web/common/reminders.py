"""Reminders: one letter a day to each person for whom something is due, whatever app it belongs to.

An app registers what can be due in its `AppConfig.ready`, as for panels; `manage.py send_reminders` asks all of them.
The row `ReminderLetter` of a person and a day is taken before the letter is sent, so that a command that runs twice,
or on two machines at once, writes once; it is given back when the letter could not be sent.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from playbook.web.accounts.models import User
from playbook.web.common.mail import send_letter, whole_address
from playbook.web.common.models import ReminderLetter

#: The first letter goes out on the day before; then there is one each day until it is done.
NOTICE = timedelta(days=1)
#: As long as the rows are kept that say who was written to.
KEPT = timedelta(days=30)


@dataclass(frozen=True)
class Due:
    """What a person is asked to do, until when, and the path of the page where they do it."""

    person: User
    due_on: date
    text: str
    path: str


@dataclass(frozen=True)
class Sent:
    """What came of a run: people written to, those who had their letter of the day, those whom the mail server did
    not take, and those who have no address."""

    written: int = 0
    before: int = 0
    failed: int = 0
    no_address: int = 0


Source = Callable[[date], Iterable[Due]]
_sources: list[Source] = []


def due_source(function: Source) -> Source:
    """Register a function `(day) -> what is due on that day or was due before it`, at most one query a kind."""
    _sources.append(function)
    return function


def send_reminders(today: date) -> Sent:
    """Write to everybody for whom something is due tomorrow, today or since; at most once a day to each."""
    ReminderLetter.objects.filter(day__lt=today - KEPT).delete()
    waiting: dict[User, list[Due]] = defaultdict(list)
    for source in _sources:
        for due in source(today + NOTICE):
            waiting[due.person].append(due)
    found = [_remind(person, sorted(dues, key=lambda due: due.due_on), today) for person, dues in waiting.items()]
    return Sent(**{name: found.count(name) for name in ("written", "before", "failed", "no_address")})


def _remind(person: User, dues: list[Due], today: date) -> str:
    if not person.email:
        return "no_address"
    letter, is_new = ReminderLetter.objects.get_or_create(person=person, day=today)
    if not is_new:
        return "before"
    subject = dues[0].text if len(dues) == 1 else f"{len(dues)} things are due: {dues[0].text}, and more"
    lines = [f"{due.text}\n{_when(due.due_on, today)}\n{whole_address(due.path)}" for due in dues]
    if send_letter(person, subject=f"Due: {subject}" if len(dues) == 1 else subject, body="\n\n".join(lines) + "\n"):
        return "written"
    letter.delete()
    return "failed"


def _when(due_on: date, today: date) -> str:
    day = f"{due_on:%-d %B %Y}"
    return f"Overdue since {day}" if due_on < today else f"Due today, {day}" if due_on == today else f"Due on {day}"
