"""Who asks: session and person, read by one fixed statement.

Every page needs both rows. Django's ORM takes longer to write these two queries anew for each request than the database
takes to answer them: it was half of an article page's time. What is read is the same, and no row is kept between
requests; only whose session a key was is remembered, to read that person's row along with the session's.
"""

import json
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib import auth
from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession
from django.contrib.sessions.models import Session
from django.core import signing
from django.db import connection
from django.http import HttpRequest
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from playbook.web.accounts.models import User

_SESSIONS = Session._meta.db_table
_SESSION = f"SELECT session_data FROM {_SESSIONS} WHERE session_key = %s AND expire_date > %s"  # noqa: S608

#: Whose a session was when it was last loaded, by its key. A guess of which row to read along, believed by nobody.
_owners: dict[str, int] = {}
KEPT_OWNERS = 10_000


class SessionStore(db.SessionStore):
    """Django's sessions in the database. `person`: who was read along with the session, until somebody takes it."""

    person: User | None = None

    def load(self) -> dict[str, Any]:
        """Return what the session holds; nothing, and no key, when there is none or it has expired."""
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        owner = _owners.get(self.session_key or "")
        if owner is None:
            row = _one_row(_SESSION, (self.session_key, now))
        else:
            row = _one_row(_person_statement().with_session, (owner, self.session_key, now))
        if row is None:
            self._session_key = None
            return {}
        held = self.decode(row[0])
        if len(row) > 1 and row[1] is not None:
            self.person = _made(row[1:])
        self._remember(held)
        return held

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        """Return the row that stands for `data`, and remember whose it is for the first page after a login."""
        row = super().create_model_instance(data)
        self._remember(data)
        return row

    def take_person(self) -> User | None:
        """Return the person read along with the session, once."""
        found, self.person = self.person, None
        return found

    def _remember(self, held: dict[str, Any]) -> None:
        owner = held.get(auth.SESSION_KEY)
        if self.session_key and str(owner).isdecimal() and _owners.get(self.session_key) != int(str(owner)):
            if len(_owners) >= KEPT_OWNERS:
                _owners.clear()
            _owners[self.session_key] = int(str(owner))

    def decode(self, session_data: bytes | str) -> dict[str, Any]:
        """Return what a stored session says; nothing when its signature does not hold."""
        try:
            held: dict[str, Any] = json.loads(_verified(str(session_data), self.key_salt, settings.SECRET_KEY))
        except (signing.BadSignature, ValueError):
            return super().decode(session_data)  # which logs it
        return held


@lru_cache(maxsize=1_000)
def _verified(session_data: str, salt: str, key: str) -> str:
    """Return the JSON in a signed text. Raises BadSignature, which is not kept.

    Whether a signature holds depends on these values alone, and every page of a reader brings the same ones: the row
    is read anew each time, its signature is computed once. Text, since each request may change what it gets.
    """
    return json.dumps(signing.loads(session_data, key=key, salt=salt))


class PersonBackend(ModelBackend):
    """Django's accounts with passwords."""

    def get_user(self, user_id: int) -> User | None:
        """Return the person of a session, unless the account is closed."""
        row = _one_row(_person_statement().sql, (user_id,))
        found = None if row is None else _made(row)
        return found if self.user_can_authenticate(found) else None


_BACKEND = f"{PersonBackend.__module__}.{PersonBackend.__qualname__}"


def person_of(request: HttpRequest) -> AbstractBaseUser | AnonymousUser:
    """Return who asks: what `django.contrib.auth.get_user` says, which is asked wherever anything is unusual."""
    session = request.session
    held = session.get(auth.HASH_SESSION_KEY)  # loads the session, and the person with it
    person = session.take_person() if isinstance(session, SessionStore) else None
    if (
        person is not None
        and person.is_active
        and held
        and session.get(auth.SESSION_KEY) == str(person.pk)
        and session.get(auth.BACKEND_SESSION_KEY) == _BACKEND in settings.AUTHENTICATION_BACKENDS
        and constant_time_compare(held, person.get_session_auth_hash())
    ):
        return person
    return auth.get_user(request)


def _made(row: Sequence[Any]) -> User:
    """Return the person of a row with the columns of `_person_statement`."""
    statement, values = _person_statement(), list(row)
    for place, expression, converters in statement.converters:
        for convert in converters:
            values[place] = convert(values[place], expression, connection)
    return User.from_db(connection.alias, statement.names, values)


class _Statement(NamedTuple):
    """`sql` reads a person by id; `with_session` a session's data and a person, by id, session key and time.

    `converters`: place in the person's row, column, and what turns the database's value into Python's.
    """

    sql: str
    with_session: str
    names: tuple[str, ...]
    converters: tuple[tuple[int, Any, Sequence[Callable[..., Any]]], ...]


@cache
def _person_statement() -> _Statement:
    fields = User._meta.concrete_fields
    columns = [field.get_col(User._meta.db_table) for field in fields]
    compiler = User.objects.all().query.get_compiler(connection=connection)
    converters = compiler.get_converters(columns)
    shown = ", ".join(f"person.{field.column}" for field in fields)
    table = f"{User._meta.db_table} person"
    return _Statement(
        sql=f"SELECT {shown} FROM {table} WHERE person.id = %s",  # noqa: S608
        with_session=f"SELECT session_data, {shown} FROM {_SESSIONS} LEFT JOIN {table} ON person.id = %s"  # noqa: S608
        " WHERE session_key = %s AND expire_date > %s",
        names=tuple(field.attname for field in fields),
        converters=tuple((place, expression, found) for place, (found, expression) in converters.items()),
    )


def _one_row(sql: str, values: Sequence[str | int | None]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        found: tuple[Any, ...] | None = cursor.fetchone()
    return found
