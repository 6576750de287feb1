"""Answers are appended; nobody's answer is overwritten unseen."""

import threading

import pytest
from django.db import connection

from playbook.library.checklist import evaluate
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import (
    InvalidAnswer,
    StaleAnswer,
    add_evidence,
    answer_question,
    lock_assessment,
    start_assessment,
    unlock_assessment,
)
from playbook.web.assessments.evidence import LinkEvidence
from playbook.web.assessments.models import Answer, Assessment
from playbook.web.assessments.queries import checklist_of, current_answers, evaluation_of
from playbook.web.common.content import library
from playbook.web.common.models import AuditEntry
from playbook.web.common.permissions import Conflict
from playbook.web.usecases.models import UseCase
from tests.waiting import DEADLINE_SECONDS


@pytest.fixture
def assessment(use_case: UseCase, alice: User) -> Assessment:
    checklist = library().checklists["should-we-fine-tune"]
    return start_assessment(use_case=use_case, checklist=checklist, article="", created_by=alice)


def answer(assessment: Assessment, author: User, value: str, *, seen: int = 0, question: str = "prompting") -> Answer:
    return answer_question(assessment, question_id=question, value=value, comment="", seen_revision=seen, author=author)


def test_the_definition_is_kept_with_its_digest(assessment: Assessment) -> None:
    checklist = library().checklists["should-we-fine-tune"]
    kept = checklist_of(Assessment.objects.get(pk=assessment.pk))
    assert (kept, kept.digest) == (checklist, assessment.checklist_digest)


def test_an_answer_is_appended_and_recorded(assessment: Assessment, alice: User, bob: User) -> None:
    answer(assessment, alice, "no")
    answer(assessment, bob, "yes", seen=1)
    rows = assessment.answers.values_list("revision", "value", "author__username")
    assert list(rows) == [(1, "no", "alice"), (2, "yes", "bob")]
    assert current_answers(assessment)["prompting"].value == "yes"
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.action, entry.actor) == ("answered", bob)
    assert entry.detail == {
        "question": "prompting",
        "before": "no",
        "before_comment": "",
        "after": "yes",
        "comment": "",
    }


def test_the_same_answer_again_changes_nothing(assessment: Assessment, alice: User, bob: User) -> None:
    first = answer(assessment, alice, "no")
    assert answer(assessment, bob, "no") == first
    assert assessment.answers.count() == 1


def test_a_stale_form_is_told_what_the_other_answered(assessment: Assessment, alice: User, bob: User) -> None:
    answer(assessment, alice, "no")
    with pytest.raises(StaleAnswer, match="Alice Moreau answered “no” after you opened this page, so your “yes”"):
        answer(assessment, bob, "yes")
    assert [row.value for row in assessment.answers.all()] == ["no"]


def test_evidence_of_others_is_no_other_answer_and_stays_with_the_next(
    assessment: Assessment, alice: User, bob: User
) -> None:
    answer(assessment, alice, "no")
    piece = LinkEvidence(url="https://example.org/", label="Minutes")
    add_evidence(assessment, question_id="prompting", piece=piece, author=bob)
    answer(assessment, alice, "yes", seen=1)
    newest = current_answers(assessment)["prompting"]
    assert (newest.value, newest.pieces, newest.author) == ("yes", (piece,), alice)


def test_what_one_said_oneself_may_be_changed_from_a_page_that_does_not_show_it(
    assessment: Assessment, alice: User, bob: User
) -> None:
    answer(assessment, alice, "no")
    answer(assessment, alice, "yes")
    answer(assessment, bob, "unknown", seen=2)
    with pytest.raises(StaleAnswer, match="Bob Okafor answered “unknown”"):
        answer(assessment, alice, "no", seen=2)
    assert [row.value for row in assessment.answers.all()] == ["no", "yes", "unknown"]


@pytest.mark.parametrize(
    ("question", "value", "message"),
    [
        ("prompting", "maybe", "“maybe” is not an answer here; choose one of yes, no, unknown."),
        ("prompting", "", "No answer was chosen; choose one of yes, no, unknown."),
        ("nothing", "yes", "There is no question 'nothing' in this checklist"),
    ],
)
def test_an_invalid_answer_is_refused(
    assessment: Assessment, alice: User, question: str, value: str, message: str
) -> None:
    with pytest.raises(InvalidAnswer, match=message):
        answer(assessment, alice, value, question=question)
    assert assessment.answers.count() == 0


def test_a_locked_assessment_takes_no_answer(assessment: Assessment, alice: User) -> None:
    lock_assessment(assessment, actor=alice)
    lock_assessment(assessment, actor=alice)
    with pytest.raises(Conflict, match="they are locked"):
        answer(assessment, alice, "no")
    unlock_assessment(assessment, actor=alice)
    answer(assessment, alice, "no")
    actions = AuditEntry.objects.filter(subject="assessments.assessment").values_list("action", flat=True)
    assert list(actions) == ["answered", "unlocked", "locked", "started"]


def test_answers_to_questions_no_longer_asked_are_kept_but_not_counted(assessment: Assessment, alice: User) -> None:
    answer(assessment, alice, "yes")
    answer(assessment, alice, "no", question="examples")
    answer(assessment, alice, "no", seen=1)
    assert [reason.question_id for reason in evaluation_of(assessment).reasons] == ["prompting"]
    assert current_answers(assessment)["examples"].value == "no"
    assert evaluation_of(assessment) == evaluate(checklist_of(assessment), {"prompting": "no"})


@pytest.mark.django_db(transaction=True)
def test_two_people_at_the_same_moment_lose_no_answer(use_case: UseCase, alice: User, bob: User) -> None:
    checklist = library().checklists["should-we-fine-tune"]
    assessment = start_assessment(use_case=use_case, checklist=checklist, article="", created_by=alice)
    together, refused = threading.Barrier(2), []

    def save(author: User, value: str) -> None:
        together.wait(timeout=DEADLINE_SECONDS)
        try:
            answer(assessment, author, value)
        except StaleAnswer:
            refused.append(author)
        finally:
            connection.close()

    threads = [threading.Thread(target=save, args=pair) for pair in ((alice, "yes"), (bob, "no"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=DEADLINE_SECONDS)
    assert len(refused) == 1
    (kept,) = assessment.answers.all()
    assert kept.author != refused[0]
