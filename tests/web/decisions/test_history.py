"""What the page of a decision tells of what happened, and of what is not as it was."""

from datetime import date

from django.test import Client

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import answer_question
from playbook.web.decisions.actions import draft_from_assessment
from playbook.web.decisions.models import Decision
from playbook.web.outcomes.actions import record_outcome
from playbook.web.outcomes.models import Confirmation
from playbook.web.usecases.models import UseCase
from tests.web import decided
from tests.web.decisions.conftest import edit, sign
from tests.web.jobs.ended import succeeded_job


def answer(decision: Decision, author: User, value: str) -> None:
    seen = decision.assessment.answers.filter(question_id="maintain").count()
    answer_question(
        decision.assessment, question_id="maintain", value=value, comment="", seen_revision=seen, author=author
    )


def page(client: Client, reader: User) -> str:
    client.force_login(reader)
    return client.get("/decisions/1/").content.decode()


def test_a_due_date_is_told_with_its_day(client: Client, draft: Decision, alice: User) -> None:
    edit(draft, alice, sign_by=date(2027, 3, 4))
    assert "set when signatures are due: 4 March 2027" in page(client, alice)
    edit(draft, alice, sign_by=None)
    assert "set no due date" in page(client, alice)


def test_an_outcome_is_told_with_its_job_and_verdict(client: Client, accepted: Decision, alice: User) -> None:
    job = succeeded_job(accepted.use_case, alice, decision=accepted)
    outcome = record_outcome(job, confirmation=Confirmation.ADOPTED, lessons="Labels matter.", actor=alice)
    shown = page(client, alice)
    assert f"Job {job.pk} ended, so its outcome was proposed: {outcome.verdict}" in shown
    assert f"recorded the outcome of job {job.pk}: {outcome.verdict}" in shown


def test_a_signature_stays_void_when_a_change_is_taken_back_and_it_is_said(
    client: Client, proposal: Decision, alice: User, bob: User
) -> None:
    sign(proposal, bob, Role.ML_LEAD)
    answer(proposal, alice, "unknown")
    shown = page(client, bob)
    assert "Alice Moreau changed an answer of the assessment" in shown
    assert "answer to maintain <del>yes</del> → <ins>unknown</ins>" in shown
    assert "It reads the same again now." not in shown
    answer(proposal, alice, "yes")
    shown = page(client, bob)
    assert "<strong>Void:</strong> Bob Okafor" in shown
    assert "It reads the same again now. A signature that was void stays void." in shown


def test_a_decision_says_when_the_answers_recommend_something_else_now(
    client: Client, proposal: Decision, alice: User
) -> None:
    assert "recommend something else" not in page(client, alice)
    answer(proposal, alice, "no")
    assert "recommend something else: Do not fine-tune." in page(client, alice)
    answer_question(
        proposal.assessment, question_id="missing_information", value="yes", comment="", seen_revision=1, author=alice
    )
    answer(proposal, alice, "yes")
    assert "recommend something else: Retrieve for knowledge and fine-tune for behaviour." in page(client, alice)


def test_a_decision_says_when_the_answers_end_nowhere_any_more(client: Client, use_case: UseCase, alice: User) -> None:
    decision = draft_from_assessment(decided.short(use_case, alice), created_by=alice)
    assert "has an open question again" not in page(client, alice)
    answer_question(decision.assessment, question_id="enough", value="no", comment="", seen_revision=1, author=alice)
    assert "The assessment</a> has an open question again." in page(client, alice)
