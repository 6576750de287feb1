"""Triggers that refuse what no code of ours does: changes to rows that are only ever appended or frozen.

Put up after each `migrate` and not by a migration, because SQLite drops a table's triggers whenever a later migration
remakes the table. Lifted for migrations that have work to do, and by `manage.py flush`, which empties the database.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from django.apps import apps
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

Event = Literal["INSERT", "UPDATE", "DELETE"]

#: The triggers that are up: name, then what they do.
_UP = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'",
    "postgresql": "SELECT tgname, relname, tgtype, prosrc FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid "
    "JOIN pg_proc ON pg_proc.oid = tgfoid WHERE NOT tgisinternal AND tgenabled IN ('O', 'A') AND tgqual IS NULL",
}
#: `tgtype` of PostgreSQL: before each row of an event, or before a statement that truncates.
_ROW_KIND = {"INSERT": 1 + 2 + 4, "DELETE": 1 + 2 + 8, "UPDATE": 1 + 2 + 16}
_TRUNCATE_KIND = 2 + 32


@dataclass(frozen=True)
class Guard:
    """Refuses `event` on the rows of `model` where `when` holds (SQL over OLD and NEW; empty: always).

    `{differs}` in `when` compares two values that may be null. A refused statement raises IntegrityError with
    `message`. A guard of DELETE also refuses TRUNCATE, and on SQLite an INSERT OR REPLACE over a row that is there and
    an UPDATE OR REPLACE that takes its place: both delete it without firing a trigger of DELETE.
    """

    name: str
    model: str
    event: Event
    message: str
    when: str = ""

    @property
    def table(self) -> str:
        return str(apps.get_model(self.model)._meta.db_table)

    def names(self, vendor: str) -> tuple[str, ...]:
        """Return the names of its triggers."""
        if self.event != "DELETE" or self.when:
            return (self.name,)
        if vendor == "sqlite":
            return self.name, f"{self.name}_replace", f"{self.name}_displace"
        return self.name, f"{self.name}_truncate"

    def create(self, vendor: str) -> Iterator[str]:
        """Yield the statements that put it up."""
        row = "OLD" if self.event == "DELETE" else "NEW"
        if vendor == "sqlite":
            condition = f"WHEN {self.when.format(differs='IS NOT')} " if self.when else ""
            refuse = f"BEGIN SELECT RAISE(ABORT, '{self.message}'); END"
            yield f"CREATE TRIGGER {self.name} BEFORE {self.event} ON {self.table} FOR EACH ROW {condition}{refuse}"
            writes = (("INSERT", self._is_taken), ("UPDATE", self._displaces))
            for name, (event, condition) in zip(self.names(vendor)[1:], writes, strict=False):
                yield f"CREATE TRIGGER {name} BEFORE {event} ON {self.table} FOR EACH ROW WHEN {condition} {refuse}"
            return
        refuse = f"RAISE EXCEPTION '{self.message}' USING ERRCODE = 'integrity_constraint_violation';"
        condition = self.when.format(differs="IS DISTINCT FROM") or "TRUE"
        yield (
            f"CREATE OR REPLACE FUNCTION {self.name}() RETURNS trigger LANGUAGE plpgsql AS $$ "
            f"BEGIN IF {condition} THEN {refuse} END IF; RETURN {row}; END $$"
        )
        yield (
            f"CREATE TRIGGER {self.name} BEFORE {self.event} ON {self.table} "
            f"FOR EACH ROW EXECUTE FUNCTION {self.name}()"
        )
        for name in self.names(vendor)[1:]:
            yield f"CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {refuse} END $$"
            yield (
                f"CREATE TRIGGER {name} BEFORE TRUNCATE ON {self.table} FOR EACH STATEMENT EXECUTE FUNCTION {name}()"
            )

    def triggers(self, vendor: str) -> Iterator[tuple[str, tuple[object, ...]]]:
        """Yield each trigger's name and what a database in order says of it, as `_UP` reads it."""
        statements = list(self.create(vendor))
        if vendor == "sqlite":
            yield from zip(self.names(vendor), ((statement,) for statement in statements), strict=True)
            return
        bodies = [statement.split("$$")[1] for statement in statements if "$$" in statement]
        kinds = (_ROW_KIND[self.event], _TRUNCATE_KIND)
        for name, kind, body in zip(self.names(vendor), kinds, bodies, strict=False):
            yield name, (self.table, kind, body)

    def drop(self, vendor: str) -> Iterator[str]:
        """Yield the statements that take it down, whether it is up or not."""
        where = "" if vendor == "sqlite" else f" ON {self.table}"
        for name in self.names(vendor):
            yield f"DROP TRIGGER IF EXISTS {name}{where}"

    @property
    def _is_taken(self) -> str:
        """SQL that says whether a row has a value of NEW which no second row may have."""
        same = " OR ".join(" AND ".join(f"{column} = NEW.{column}" for column in columns) for columns in self._unique)
        return f"EXISTS (SELECT 1 FROM {self.table} WHERE {same})"  # noqa: S608 - names of our own models

    @property
    def _displaces(self) -> str:
        """SQL that says whether another row than OLD has a value that NEW takes and no second row may have."""
        same = " OR ".join(
            f"({' OR '.join(f'NEW.{column} IS NOT OLD.{column}' for column in columns)}) AND EXISTS (SELECT 1 FROM "  # noqa: S608
            f"{self.table} WHERE {' AND '.join(f'{column} = NEW.{column}' for column in columns)})"
            for columns in self._unique
        )
        return f"({same})"

    @property
    def _unique(self) -> list[tuple[str, ...]]:
        """The columns, and groups of columns, whose values no two rows may share."""
        meta = apps.get_model(self.model)._meta
        unique: list[tuple[str, ...]] = [(found.column,) for found in meta.concrete_fields if found.unique]
        for fields in (one.fields for one in meta.total_unique_constraints):
            unique.append(tuple(meta.get_field(name).column for name in fields))
        return unique


def append_only(model: str, name: str, what: str) -> tuple[Guard, Guard]:
    """Return the guards that keep every row of a model as it was appended."""
    return (
        Guard(f"{name}_no_update", model, "UPDATE", f"{what} are appended, never changed"),
        Guard(f"{name}_no_delete", model, "DELETE", f"{what} are appended, never deleted"),
    )


_guards: list[Guard] = [
    *append_only("common.AuditEntry", "audit_entry", "audit entries"),
    Guard(
        "audit_entry_in_order",
        "common.AuditEntry",
        "INSERT",
        "an audit entry follows the newest one; append it with record()",
        when="NEW.number <> (SELECT number + 1 FROM common_audithead) "
        "OR NEW.previous_hash <> (SELECT hash FROM common_audithead)",
    ),
    Guard(
        "audit_head_one_step",
        "common.AuditHead",
        "UPDATE",
        "the head of the audit log moves one entry at a time",
        when="NEW.number <> OLD.number + 1 OR NOT EXISTS "
        "(SELECT 1 FROM common_auditentry WHERE number = NEW.number AND hash = NEW.hash)",
    ),
    Guard("audit_head_no_delete", "common.AuditHead", "DELETE", "the head of the audit log is never deleted"),
]


def register(*guards: Guard) -> None:
    """Add an app's own guards; call it in its `ready`."""
    _guards.extend(guards)


def set_up(connection: BaseDatabaseWrapper) -> None:
    """Put up every guard whose table exists, and the first head of the audit log."""
    tables = set(connection.introspection.table_names())
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        if "common_audithead" in tables:
            cursor.execute("SELECT count(*) FROM common_audithead")
            if not cursor.fetchone()[0]:
                head = apps.get_model("common.AuditHead")(pk=1)
                head.save(using=connection.alias, force_insert=True)
        for guard in _guards:
            if guard.table in tables:
                for statement in (*guard.drop(connection.vendor), *guard.create(connection.vendor)):
                    cursor.execute(statement)


def lift(connection: BaseDatabaseWrapper) -> None:
    """Take every guard down. `set_up` puts them up again."""
    tables = set(connection.introspection.table_names())
    with connection.cursor() as cursor:
        for guard in _guards:
            if guard.table in tables:
                for statement in guard.drop(connection.vendor):
                    cursor.execute(statement)


def missing(connection: BaseDatabaseWrapper) -> list[str]:
    """Return the names of the guards that are not up, are disabled, or do something else than they must."""
    with connection.cursor() as cursor:
        cursor.execute(_UP[connection.vendor])
        up = {name: tuple(does) for name, *does in cursor.fetchall()}
    expected = (pair for guard in _guards for pair in guard.triggers(connection.vendor))
    return [name for name, does in expected if up.get(name) != does]


def before_migrate(*, using: str, plan: list[Any] | None = None, **_: Any) -> None:
    """Lift the guards when there is something to migrate: a migration may rewrite rows or remake a table."""
    if plan:
        lift(connections[using])


def after_migrate(*, using: str, **_: Any) -> None:
    """Put the guards up: after `migrate`, and after `flush`, which sends the same signal."""
    set_up(connections[using])
