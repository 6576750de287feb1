"""The audit log: chained by hashes, append-only in the database itself, and verified row by row."""

import io
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
import rfc8785
from django.core.management import call_command
from django.db import DatabaseError, IntegrityError, connection, transaction

from playbook.web.accounts.models import User
from playbook.web.common import guards
from playbook.web.common.chain import GENESIS, entry_hash, moment_text
from playbook.web.common.models import AuditEntry, AuditHead, record
from playbook.web.common.verify import Verification, verify
from tests.waiting import DEADLINE_SECONDS

ODD = 'quote " back \\ tab \t line \n null \x00 é \u2028 😀 </script>'


def problems(anchor: tuple[int, str] | None = None) -> list[str]:
    return list(verify(connection, Verification(anchor)))


def sql(statement: str, *values: str | int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)


@pytest.fixture
def log(alice: User) -> list[AuditEntry]:
    """Five entries."""
    return [record("noted", alice, actor=alice, step=step, text=ODD) for step in range(5)]


@pytest.fixture
def lifted(db: None) -> Iterator[None]:
    """What somebody with the database in their hands does first."""
    guards.lift(connection)
    yield
    guards.set_up(connection)


def test_an_entry_hash_is_the_sha256_of_the_canonical_json() -> None:
    detail: dict[str, Any] = {"b": [1, True, None, "x"], "a": ODD, "share": 0.925}
    content: dict[str, Any] = {
        "action": ODD,
        "actor": None,
        "at": "2026-11-25T10:00:00.000000Z",
        "detail": detail,
        "number": 7,
        "previous": GENESIS,
        "subject": "jobs.job",
        "subject_id": 3,
    }
    assert (
        entry_hash(
            number=7,
            at=moment_text(datetime(2026, 11, 25, 10, tzinfo=UTC)),
            actor_id=None,
            action=ODD,
            subject="jobs.job",
            subject_id=3,
            detail=rfc8785.dumps(detail).decode(),
            previous_hash=GENESIS,
        )
        == sha256(rfc8785.dumps(content)).hexdigest()
    )


def test_entries_form_a_chain_and_the_head_is_its_end(log: list[AuditEntry]) -> None:
    assert [entry.number for entry in log] == [1, 2, 3, 4, 5]
    assert [entry.previous_hash for entry in log] == [GENESIS, *(entry.hash for entry in log[:-1])]
    head = AuditHead.objects.get()
    assert (head.number, head.hash) == (5, log[-1].hash)
    assert AuditEntry.objects.get(number=2).detail == {"step": 1, "text": ODD}
    found = Verification()
    assert list(verify(connection, found)) == []
    assert (found.entries, found.problems, found.head) == (5, 0, f"5:{log[-1].hash}")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE common_auditentry SET action = 'other' WHERE number = 2",
        "UPDATE common_auditentry SET id = 99 WHERE number = 2",
        "DELETE FROM common_auditentry WHERE number = 5",
        "DELETE FROM common_auditentry",
        "DELETE FROM common_audithead",
        "UPDATE common_audithead SET number = 3",
        "UPDATE common_audithead SET number = number + 1, hash = 'of no entry'",
        "INSERT INTO common_audithead (id, number, hash) VALUES (1, 0, '') ON CONFLICT (id) DO UPDATE SET number = 0",
        "INSERT INTO common_auditentry (id, number, at, action, subject, subject_id, detail, previous_hash, hash) "
        "SELECT id - 3, 6, at, 'x', subject, subject_id, detail, hash, hash FROM common_auditentry WHERE number = 5 "
        "ON CONFLICT (id) DO UPDATE SET action = 'x'",
    ],
)
def test_the_database_refuses_to_change_the_log(log: list[AuditEntry], statement: str) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        sql(statement)
    assert problems() == []


@pytest.mark.parametrize(
    "statement",
    [
        # As the next entry, which is in order, in the place of an earlier one.
        "INSERT OR REPLACE INTO common_auditentry "
        "(id, number, at, action, subject, subject_id, detail, previous_hash, hash) "
        "SELECT id - 3, 6, at, 'x', subject, subject_id, detail, hash, hash FROM common_auditentry WHERE number = 5",
        "REPLACE INTO common_audithead (id, number, hash) VALUES (1, 2, '')",
        "UPDATE OR REPLACE common_auditentry SET id = 1 WHERE number = 2",
    ],
)
def test_the_database_refuses_to_replace_what_is_in_the_log(log: list[AuditEntry], statement: str) -> None:
    """SQLite alone has such statements, and fires no trigger of DELETE for them; PostgreSQL does not know the words."""
    with pytest.raises(DatabaseError), transaction.atomic():
        sql(statement)
    assert problems() == []


def test_the_database_refuses_to_truncate_the_log(log: list[AuditEntry]) -> None:
    """PostgreSQL by a trigger; SQLite has no such statement."""
    for table in ("common_auditentry", "common_auditentry CASCADE", "accounts_user CASCADE", "common_audithead"):
        with pytest.raises(DatabaseError), transaction.atomic():
            sql(f"TRUNCATE {table}")
    assert problems() == []


def test_the_orm_cannot_change_it_either(log: list[AuditEntry]) -> None:
    log[0].action = "other"
    for change in (
        log[0].save,
        log[0].delete,
        AuditEntry.objects.all().delete,
        lambda: AuditEntry.objects.update(action="x"),
        lambda: AuditEntry.objects.create(number=9, action="x", subject="x", subject_id=1, previous_hash="x", hash="x"),
    ):
        with pytest.raises(IntegrityError), transaction.atomic():
            change()
    assert problems() == []


@pytest.mark.usefixtures("lifted")
@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("action", "changed"),
        ("subject_id", 77),
        ("detail", {}),
        ("actor_id", None),
        ("at", datetime(2020, 1, 1, tzinfo=UTC)),
        ("subject", "jobs.job"),
        ("hash", "0" * 64),
        ("previous_hash", "0" * 64),
        ("number", 40),
    ],
)
def test_an_altered_entry_is_named_and_no_other(log: list[AuditEntry], column: str, value: object) -> None:
    AuditEntry.objects.filter(number=3).update(**{column: value})
    found = [problem for problem in problems() if "trigger" not in problem]
    named = value if column == "number" else 3
    assert f"Entry {named} (id {log[2].pk}, “" in found[0]
    assert "was altered: its content does not give its hash." in found[0]
    # An altered hash also breaks the join to the entry after it.
    assert len(found) == (2 if column == "hash" else 1)


@pytest.mark.usefixtures("lifted")
def test_an_entry_that_was_altered_and_hashed_anew_is_named_by_the_next(log: list[AuditEntry]) -> None:
    third = log[2]
    third.action = "forged"
    third.hash = entry_hash(
        number=3,
        at=moment_text(third.at),
        actor_id=third.actor_id,
        action="forged",
        subject=third.subject,
        subject_id=third.subject_id,
        detail=rfc8785.dumps(third.detail).decode(),
        previous_hash=third.previous_hash,
    )
    third.save()
    (found,) = (problem for problem in problems() if "trigger" not in problem)
    assert found.startswith("Entry 3 was replaced, or one before Entry 4 ")


@pytest.mark.usefixtures("lifted")
@pytest.mark.parametrize(
    ("gone", "said"),
    [
        ([1], "Entry 1 missing between entries 0 and 2."),
        ([2, 3], "Entries 2 to 3 missing between entries 1 and 4."),
        ([4, 5], "Entries 4 to 5 missing at the end of the log."),
        ([1, 2, 3, 4, 5], "Entries 1 to 5 missing at the end of the log."),
    ],
)
def test_missing_entries_are_named(log: list[AuditEntry], gone: list[int], said: str) -> None:
    AuditEntry.objects.filter(number__in=gone).delete()
    assert [problem for problem in problems() if "trigger" not in problem] == [said]


@pytest.mark.usefixtures("lifted")
def test_reordered_entries_are_named(log: list[AuditEntry]) -> None:
    second, third = log[1].pk, log[2].pk
    for old, new in ((second, -1), (third, second), (-1, third)):
        sql("UPDATE common_auditentry SET id = %s WHERE id = %s", new, old)
    (found,) = (problem for problem in problems() if "trigger" not in problem)
    assert found.startswith(f"Entry 2 (id {third}, “noted” accounts.user ")
    assert found.endswith(" stands out of order, after entry 3.")


@pytest.mark.usefixtures("lifted")
def test_missing_triggers_and_a_missing_head_are_named(log: list[AuditEntry]) -> None:
    sql("DELETE FROM common_audithead")
    found = problems()
    assert "The head of the audit log is missing: nobody can say how long the log was." in found
    assert any("The trigger audit_entry_no_update is missing, disabled or another" in problem for problem in found)
    assert any("The trigger signature_no_delete is missing, disabled or another" in problem for problem in found)


def test_a_trigger_that_lets_everything_pass_is_named(log: list[AuditEntry]) -> None:
    """One of the same name in its place, as somebody leaves it who wants nobody to notice."""
    statements = {
        "sqlite": [
            "DROP TRIGGER audit_entry_no_update",
            "CREATE TRIGGER audit_entry_no_update BEFORE UPDATE ON common_auditentry WHEN 0 BEGIN SELECT 1; END",
        ],
        "postgresql": [
            "CREATE OR REPLACE FUNCTION audit_entry_no_update() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RETURN NEW; END $$"
        ],
    }
    for statement in statements[connection.vendor]:
        sql(statement)
    sql("UPDATE common_auditentry SET action = action WHERE number = 2")
    (found,) = problems()
    assert found.startswith("The trigger audit_entry_no_update is missing, disabled or another than it must be")
    guards.set_up(connection)
    assert problems() == []


@pytest.mark.usefixtures("lifted")
def test_a_log_rewritten_from_the_start_is_known_by_a_head_that_was_kept(log: list[AuditEntry], alice: User) -> None:
    anchor = (4, log[3].hash)
    assert [problem for problem in problems(anchor) if "trigger" not in problem] == []
    sql("DELETE FROM common_auditentry")
    AuditHead.objects.update(number=0, hash=GENESIS)
    record("noted", alice, actor=alice)
    assert [problem for problem in problems(anchor) if "trigger" not in problem] == [
        "The log ends with entry 1, before entry 4 whose head was kept."
    ]
    for _ in range(4):
        record("noted", alice, actor=alice)
    (found,) = (problem for problem in problems(anchor) if "trigger" not in problem)
    assert "has another hash than the head that was kept: the log was rewritten." in found


def test_the_command_prints_the_head_and_fails_on_a_problem(log: list[AuditEntry]) -> None:
    out = io.StringIO()
    call_command("verify_audit", stdout=out)
    assert f"0 problems; head 5:{log[-1].hash}" in out.getvalue()
    call_command("verify_audit", f"--contains=2:{log[1].hash}", stdout=out)
    guards.lift(connection)
    sql("UPDATE common_auditentry SET action = 'x' WHERE number = 2")
    guards.set_up(connection)
    with pytest.raises(SystemExit) as ended:
        call_command("verify_audit", stdout=out)
    assert ended.value.code == 1
    assert "Entry 2 (id " in out.getvalue()


@pytest.mark.django_db(transaction=True)
def test_writers_at_the_same_moment_queue_for_the_head(alice: User) -> None:
    start = threading.Barrier(6)

    def write() -> None:
        start.wait(timeout=DEADLINE_SECONDS)
        for _ in range(5):
            record("noted", alice, actor=alice)
        connection.close()

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(AuditEntry.objects.order_by("id").values_list("number", flat=True)) == list(range(1, 31))
    assert problems() == []


@pytest.mark.django_db(transaction=True)
def test_flush_empties_even_a_guarded_log_and_puts_the_guards_up_again(alice: User) -> None:
    record("noted", alice, actor=alice)
    call_command("flush", interactive=False, verbosity=0)
    assert AuditEntry.objects.count() == 0
    assert str(AuditHead.objects.get()) == f"0:{GENESIS}"
    assert guards.missing(connection) == []


def test_what_is_no_json_is_not_recorded(alice: User) -> None:
    with pytest.raises(rfc8785.CanonicalizationError), transaction.atomic():
        record("noted", alice, actor=alice, value=float("nan"))
    assert AuditEntry.objects.count() == 0
