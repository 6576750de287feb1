"""What the database refuses to statements that no code of ours sends: to write over what is appended or fixed."""

from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.assessments.team_actions import add_remark
from playbook.web.decisions import actions
from playbook.web.decisions.models import Decision
from playbook.web.outcomes.actions import record_outcome
from playbook.web.outcomes.models import Confirmation
from tests.web.jobs.ended import succeeded_job

TABLES = (
    "assessments_answer",
    "assessments_remark",
    "decisions_decision",
    "decisions_signature",
    "outcomes_outcomereview",
    "common_auditentry",
    "common_audithead",
)


@pytest.fixture
def locked(accepted: Decision, alice: User) -> Decision:
    """Accepted by two, discussed, its first run ended and recorded; beside it a draft that nothing holds."""
    job = succeeded_job(accepted.use_case, alice, decision=accepted)
    record_outcome(job, confirmation=Confirmation.ADOPTED, lessons="Labels matter.", actor=alice)
    add_remark(accepted.assessment, question_id="maintain", text="Who?", author=alice)
    actions.draft_from_assessment(accepted.assessment, created_by=alice)
    return accepted


def rows() -> dict[str, list[Any]]:
    with connection.cursor() as cursor:
        found = {}
        for table in TABLES:
            cursor.execute(f"SELECT * FROM {table} ORDER BY id")  # noqa: S608 - our own tables
            found[table] = cursor.fetchall()
    return found


@pytest.mark.parametrize(
    "statement",
    [
        # SQLite's own, which delete a row in the way and fire no trigger of DELETE; PostgreSQL does not know the words.
        "UPDATE OR REPLACE decisions_decision SET number = 1 WHERE number = 2",
        "UPDATE OR REPLACE decisions_decision SET id = (SELECT id FROM decisions_decision WHERE number = 1) "
        "WHERE number = 2",
        "UPDATE OR REPLACE decisions_decision SET rowid = (SELECT id FROM decisions_decision WHERE number = 1) "
        "WHERE number = 2",
        "UPDATE OR REPLACE decisions_signature SET id = (SELECT min(id) FROM decisions_signature) "
        "WHERE role = 'product_owner'",
        "UPDATE OR IGNORE decisions_signature SET reason = 'x'",
        "UPDATE OR REPLACE common_auditentry SET number = 1 WHERE number = 2",
        "UPDATE OR REPLACE common_audithead SET hash = 'x'",
        "REPLACE INTO decisions_signature SELECT * FROM decisions_signature",
        "INSERT OR REPLACE INTO common_auditentry SELECT * FROM common_auditentry",
        "INSERT OR REPLACE INTO common_audithead SELECT * FROM common_audithead",
        "UPDATE OR REPLACE assessments_answer SET revision = 1",
        "REPLACE INTO outcomes_outcomereview SELECT * FROM outcomes_outcomereview",
        # What both know.
        "UPDATE assessments_answer SET value = 'no' WHERE question_id = 'maintain'",
        "UPDATE assessments_answer SET author_id = author_id",
        "UPDATE assessments_remark SET text = 'x'",
        "UPDATE outcomes_outcomereview SET verdict = 'missed'",
        "DELETE FROM assessments_answer WHERE question_id = 'maintain'",
        "DELETE FROM assessments_remark",
        "DELETE FROM outcomes_outcomereview",
        "UPDATE decisions_decision SET criterion_locked_at = NULL",
        "UPDATE decisions_decision SET criterion_threshold = 0.1 WHERE number = 1",
        "UPDATE decisions_decision SET locked_test_set = '' WHERE number = 1",
        "UPDATE decisions_signature SET reason = 'x'",
        "UPDATE common_auditentry SET action = action",
        "UPDATE common_audithead SET number = 0",
        "DELETE FROM decisions_decision",
        "DELETE FROM decisions_signature",
        "DELETE FROM common_auditentry",
        "DELETE FROM common_audithead",
        "INSERT INTO decisions_signature SELECT * FROM decisions_signature "
        "WHERE true ON CONFLICT (id) DO UPDATE SET reason = 'x'",
        "INSERT INTO common_auditentry SELECT * FROM common_auditentry WHERE true ON CONFLICT DO NOTHING",
        "TRUNCATE decisions_signature",
        "TRUNCATE decisions_decision CASCADE",
    ],
)
def test_the_database_refuses_to_write_over_what_is_fixed(locked: Decision, statement: str) -> None:
    before = rows()
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(statement)
    assert rows() == before


def test_a_signature_is_not_replaced_by_one_with_the_same_content(accepted: Decision, bob: User) -> None:
    """Not by its key alone, by whatever no second row may have."""
    row = accepted.signatures.get(user=bob)
    before = rows()
    columns = [field.column for field in row._meta.concrete_fields if not field.primary_key]
    names = ", ".join(f'"{name}"' for name in columns)
    chosen = names.replace('"reason"', "'Another reason.'")
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            f"INSERT OR REPLACE INTO decisions_signature ({names}) SELECT {chosen} FROM decisions_signature"  # noqa: S608
        )
    assert rows() == before


def test_numbers_of_decisions_move_where_nobody_is_in_the_way(locked: Decision, bob: User) -> None:
    """The guard against being written over refuses nothing else."""
    Decision.objects.filter(number=2).update(number=3)
    assert [row.number for row in Decision.objects.order_by("number")] == [1, 3]
    assert sorted(row.role for row in locked.signatures.all()) == [Role.ML_LEAD, Role.PRODUCT_OWNER]
