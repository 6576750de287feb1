"""Who asks: session and person, each read by one fixed statement.

Every page needs both rows. Django's ORM takes longer to write these two queries anew for each request than the database
takes to answer them: it was half of an article page's time. What is read is the same, and no row is kept between
requests.
"""

import json
from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib.auth.backends import ModelBackend
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.core import signing
from django.db import connection
from django.utils import timezone

from playbook.web.accounts.models import User

_SESSION = f"SELECT session_data FROM {Session._meta.db_table} WHERE session_key = %s AND expire_date > %s"  # noqa: S608


class SessionStore(db.SessionStore):
    """Django's sessions in the database."""

    def load(self) -> dict[str, Any]:
        """Return what the session holds; nothing, and no key, when there is none or it has expired."""
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        row = _one_row(_SESSION, (self.session_key, now))
        if row is None:
            self._session_key = None
            return {}
        return self.decode(row[0])

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
        statement = _person_statement()
        row = _one_row(statement.sql, (user_id,))
        if row is None:
            return None
        values = list(row)
        for place, expression, converters in statement.converters:
            for convert in converters:
                values[place] = convert(values[place], expression, connection)
        found = User.from_db(connection.alias, statement.names, values)
        return found if self.user_can_authenticate(found) else None


class _Statement(NamedTuple):
    """`converters`: place in the row, column, and what turns the database's value into Python's."""

    sql: str
    names: tuple[str, ...]
    converters: tuple[tuple[int, Any, Sequence[Callable[..., Any]]], ...]


@cache
def _person_statement() -> _Statement:
    fields = User._meta.concrete_fields
    columns = [field.get_col(User._meta.db_table) for field in fields]
    compiler = User.objects.all().query.get_compiler(connection=connection)
    converters = compiler.get_converters(columns)
    return _Statement(
        sql=f"SELECT {', '.join(str(field.column) for field in fields)} FROM {User._meta.db_table} WHERE id = %s",  # noqa: S608
        names=tuple(field.attname for field in fields),
        converters=tuple((place, expression, found) for place, (found, expression) in converters.items()),
    )


def _one_row(sql: str, values: Sequence[str | int | None]) -> tuple[Any, ...] | None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)
        found: tuple[Any, ...] | None = cursor.fetchone()
    return found
