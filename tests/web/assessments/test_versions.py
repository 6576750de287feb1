"""A newer version of a checklist: the assessment keeps its own, shows the difference, and can be moved over."""

import re

import pytest
from django.test import Client

from playbook.library.definition import Checklist
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import start_assessment
from playbook.web.assessments.models import Assessment
from playbook.web.assessments.queries import checklist_of, evaluation_of
from playbook.web.common.content import library
from playbook.web.common.models import AuditEntry
from playbook.web.decisions.actions import draft_from_assessment, propose
from playbook.web.usecases.models import UseCase
from tests.web.assessments.conftest import say
from tests.web.assessments.filled import REWORDED, one_version_behind


@pytest.fixture
def old(use_case: UseCase, alice: User) -> Assessment:
    return one_version_behind(use_case, alice)


def newer(assessment: Assessment) -> str:
    return f"/decide/assessments/{assessment.pk}/newer/"


def move(client: Client, assessment: Assessment, digest: str | None = None) -> str:
    sent = digest or library().checklists[assessment.checklist_slug].digest
    response = client.post(f"/decide/assessments/{assessment.pk}/move/", {"seen_digest": sent}, follow=True)
    return f"{response.status_code} {response.content.decode()}"


def test_an_open_assessment_keeps_its_version_and_says_that_there_is_another(
    client: Client, old: Assessment, alice: User
) -> None:
    client.force_login(alice)
    page = client.get(old.get_absolute_url()).content.decode()
    assert "Is the report good?" in page
    assert f'<a href="{newer(old)}">See the difference, and move it over</a>' in page
    page = client.get(newer(old)).content.decode()
    assert "<del>Is the report good?</del>" in page
    assert "<ins>Does the report meet the criterion on the locked test split?</ins>" in page
    assert "<del>30 days</del>" in page
    assert "Changed: question." in page


def test_a_checklist_that_changed_under_the_same_number_is_not_called_a_newer_version(
    client: Client, use_case: UseCase, alice: User
) -> None:
    now = library().checklists[REWORDED]
    before = Checklist.model_validate(now.model_dump(mode="json") | {"title": "Ready?"})
    assessment = start_assessment(use_case=use_case, checklist=before, article="", created_by=alice)
    client.force_login(alice)
    page = client.get(assessment.get_absolute_url()).content.decode()
    assert f"The library changed version {now.version} of this checklist" in page
    page = client.get(newer(assessment)).content.decode()
    assert f"<h1>Version {now.version} was changed</h1>" in page
    assert "<del>Ready?</del>" in page


def test_moving_keeps_every_answer_and_asks_for_another_look(client: Client, old: Assessment, alice: User) -> None:
    client.force_login(alice)
    say(old, alice, elsewhere="yes")
    page = move(client, old)
    now = library().checklists[REWORDED]
    moved = Assessment.objects.get(pk=old.pk)
    assert page.startswith("200 ")
    assert "Every answer is kept." in page
    assert "Answers to look at again" in page
    assert (checklist_of(moved), moved.checklist_digest, moved.look_again) == (now, now.digest, ["met"])
    assert [row.value for row in moved.answers.all()] == ["yes", "yes"]
    entry = AuditEntry.objects.filter(action="moved to version").get()
    assert (entry.detail["before_digest"], entry.detail["after_digest"]) == (old.checklist_digest, now.digest)


def test_the_same_answer_again_settles_the_second_look(client: Client, old: Assessment, alice: User) -> None:
    client.force_login(alice)
    move(client, old)
    assert say(old, alice, met="yes")[0].revision == 2
    assert Assessment.objects.get(pk=old.pk).look_again == []
    assert "Answers to look at again" not in client.get(old.get_absolute_url()).content.decode()
    assert say(old, alice, met="yes")[0].revision == 2


def test_moving_twice_or_to_a_version_that_nobody_saw_is_refused(client: Client, old: Assessment, alice: User) -> None:
    client.force_login(alice)
    page = move(client, old, digest="0" * 64)
    assert page.startswith("409 ")
    assert "The checklist changed again after you opened this page" in page
    assert move(client, old).startswith("200 ")
    assert f"under version {library().checklists[REWORDED].version} already" in move(client, old)
    assert "Nothing to move to" in client.get(newer(old)).content.decode()


def test_what_people_are_asked_to_sign_stays(client: Client, old: Assessment, alice: User) -> None:
    client.force_login(alice)
    say(old, alice, met="no")
    assert evaluation_of(old).complete
    decision = draft_from_assessment(old, created_by=alice)
    assert (
        '<a href="/decisions/1/">D-1</a> will say that the answers moved under it.'
        in client.get(newer(old)).content.decode()
    )
    propose(decision, actor=alice)
    page = client.get(newer(old)).content.decode()
    assert "D-1 is proposed on these answers, so they stay under version" in page
    assert 'name="seen_digest"' not in page
    answer = move(client, old)
    assert answer.startswith("409 ")
    assert "D-1 is proposed: people sign what this version asks and recommends. Withdraw it first" in answer
    assert Assessment.objects.get(pk=old.pk).checklist_digest == old.checklist_digest


@pytest.mark.parametrize("headers", [{}, {"HX-Request": "true"}])
def test_nobody_answers_a_question_that_was_put_in_other_words_meanwhile(
    client: Client, old: Assessment, alice: User, headers: dict[str, str]
) -> None:
    client.force_login(alice)
    page = client.get(old.get_absolute_url()).content.decode()
    (seen,) = set(re.findall(r'name="seen_checklist" value="([0-9a-f]{64})"', page))
    move(client, old)
    sent = {"value": "no", "comment": "", "seen_revision": "1", "seen_checklist": seen}
    address = f"/decide/assessments/{old.pk}/answers/met/"
    response = client.post(address, sent, headers=headers)
    page = response.content.decode()
    assert response.status_code == 409
    assert f"moved this assessment to version {library().checklists[REWORDED].version} of the checklist" in page
    assert "Does the report meet the criterion on the locked test split?" in page
    assert Assessment.objects.get(pk=old.pk).look_again == ["met"]
    (seen,) = set(re.findall(r'name="seen_checklist" value="([0-9a-f]{64})"', page))
    assert client.post(address, {**sent, "seen_checklist": seen}, headers=headers).status_code in (200, 302)
    assert [row.value for row in old.answers.all()] == ["yes", "no"]
