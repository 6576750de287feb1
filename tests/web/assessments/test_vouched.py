"""`verify_audit` holds every answer against the entry of the audit log that recorded it."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.db import connection
from django.db.models import F

from playbook.web.accounts.models import User
from playbook.web.assessments.actions import add_evidence, answer_question, remove_evidence
from playbook.web.assessments.evidence import LinkEvidence, digest_of
from playbook.web.assessments.models import Answer, Assessment
from playbook.web.common import guards
from playbook.web.common.models import AuditEntry
from playbook.web.common.verify import Verification, verify
from playbook.web.usecases.models import UseCase
from tests.web import decided
from tests.web.assessments.filled import talked_about

ODD = 'quote " back \\ tab \t line \n é \u2028 😀 </script>'
LINK = LinkEvidence(url="https://example.org/", label="Minutes")


def problems() -> list[str]:
    return list(verify(connection, Verification()))


@pytest.fixture
def answered(use_case: UseCase, alice: User, bob: User) -> Assessment:
    """Answers by two people, one with comments, one with evidence that came and went; and other assessments beside."""
    decided.short(use_case, alice)
    assessment = talked_about(use_case, alice, bob)
    answer_question(assessment, question_id="rows", value="50", comment=ODD, seen_revision=1, author=bob)
    add_evidence(assessment, question_id="rows", piece=LINK, author=alice)
    remove_evidence(assessment, question_id="rows", digest=digest_of(LINK), author=bob)
    answer_question(assessment, question_id="rows", value="60", comment=ODD, seen_revision=4, author=bob)
    decided.short(use_case, bob)
    return assessment


@pytest.fixture
def lifted(answered: Assessment) -> Iterator[None]:
    """Somebody with the database in their hands takes the triggers down, and puts them up again afterwards."""
    guards.lift(connection)
    yield
    guards.set_up(connection)


def found() -> list[str]:
    guards.set_up(connection)
    return problems()


def test_answers_as_they_were_given_are_verified(answered: Assessment) -> None:
    assert answered.answers.count() == 10
    assert problems() == []


@pytest.mark.usefixtures("lifted")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"value": "70"}, "value"),
        ({"comment": "I never said so."}, "comment"),
        ({"evidence": []}, "evidence"),
        ({"evidence": [{"kind": "other"}]}, "evidence"),
        ({"measurement": {"job": 1}}, "measurement"),
        ({"author": "alice"}, "author"),
        ({"answered_at": F("answered_at") - timedelta(days=1)}, "time"),
        ({"value": "70", "comment": ""}, "value and comment"),
    ],
)
def test_an_altered_answer_is_named_with_what_is_not_as_recorded(
    answered: Assessment, alice: User, change: dict[str, object], said: str
) -> None:
    # bob's second answer, or the third, which alice gave evidence
    answer = answered.answers.get(question_id="rows", revision=3 if "evidence" in change else 2)
    Answer.objects.filter(pk=answer.pk).update(**change | ({"author": alice} if "author" in change else {}))
    about = AuditEntry.objects.filter(subject_id=answered.pk, detail__contains='"question":"rows"').order_by("id")
    number = about[answer.revision - 1].number
    assert found() == [
        f"Answer {answer.pk} to 'rows' in assessment {answered.pk}, revision {answer.revision}, was altered: "
        f"audit entry {number} recorded another {said}."
    ]


@pytest.mark.usefixtures("lifted")
def test_an_answer_that_was_removed_or_made_up_is_named(answered: Assessment, alice: User) -> None:
    gone = answered.answers.get(question_id="often")
    gone.delete()
    assert [problem.partition(" that audit")[0] for problem in found()] == [
        f"The answer to 'often' in assessment {answered.pk}"
    ]
    guards.lift(connection)
    made_up = Answer.objects.create(assessment=answered, question_id="goal", revision=9, value="Mine.", author=alice)
    assert [problem for problem in found() if "is gone" not in problem] == [
        f"Answer {made_up.pk} to 'goal' in assessment {answered.pk}, revision 9, has no audit entry: nobody gave it."
    ]


@pytest.mark.usefixtures("lifted")
def test_an_assessment_whose_answers_are_all_gone_hides_no_other(answered: Assessment) -> None:
    other = Assessment.objects.exclude(pk=answered.pk).first()
    assert other is not None
    answered.answers.all().delete()
    other.answers.filter(question_id="prompting").update(value="no")
    said = found()
    assert len([problem for problem in said if problem.endswith("recorded is gone.")]) == 10
    assert len([problem for problem in said if "was altered" in problem]) == 1
