"""Many people answer one assessment at once, over real HTTP: nothing is lost, nothing fails. `make bench` sends 50."""

from collections.abc import Iterator

import pytest
from django.conf import settings
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import start_assessment
from playbook.web.common.models import AuditEntry
from playbook.web.usecases.models import Membership, UseCase
from tests.web.assessments.crowd import answer_together, expected, wide_checklist

PEOPLE = 12
QUESTIONS = 3


@pytest.fixture
def site(alice: User) -> Iterator[LiveServer]:
    """A site with a thread for each request; it starts once the settings of the test are in place."""
    server = LiveServer("localhost")
    yield server
    server.stop()


@pytest.mark.django_db(transaction=True)
def test_people_who_answer_at_once_lose_nothing(site: LiveServer, use_case: UseCase, alice: User) -> None:
    checklist = wide_checklist(QUESTIONS)
    names = [question.id for question in checklist.questions]
    assessment = start_assessment(use_case=use_case, checklist=checklist, article="", created_by=alice)
    cookies = []
    for number in range(PEOPLE):
        person = User.objects.create_user(f"person-{number}", name=f"Person {number}")
        Membership.objects.create(use_case=use_case, user=person, role=Role.CONTRIBUTOR)
        client = Client()
        client.force_login(person)
        cookies.append(client.cookies[settings.SESSION_COOKIE_NAME].value)

    crowd = answer_together(site.url, cookies, assessment.pk, names)

    assert crowd.errors == []
    assert set(crowd.statuses) <= {200, 409}
    kept = list(assessment.answers.order_by("question_id", "revision"))
    assert {(answer.question_id, answer.comment) for answer in kept} == expected(PEOPLE, names)
    assert [answer.revision for answer in kept] == list(range(1, PEOPLE + 1)) * QUESTIONS
    assert {answer.comment.partition(" ")[0]: answer.author.username for answer in kept} == {
        str(number): f"person-{number}" for number in range(PEOPLE)
    }
    assert AuditEntry.objects.filter(action="answered", subject_id=assessment.pk).count() == PEOPLE * QUESTIONS
