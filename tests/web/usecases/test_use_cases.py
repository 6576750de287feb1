"""Use cases: who sees them, who changes the team."""

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.common.models import AuditEntry
from playbook.web.usecases.actions import create_use_case
from playbook.web.usecases.models import Membership, UseCase


def test_creating_makes_the_creator_owner_and_the_chosen_people_signers(
    client: Client, alice: User, bob: User, charlie: User
) -> None:
    client.force_login(alice)
    answer = client.post(
        "/use-cases/new/", {"name": "Support ticket triage", "ml_lead": bob.pk, "product_owner": charlie.pk}
    )
    assert answer.headers["Location"] == "/use-cases/support-ticket-triage/"
    assert sorted(Membership.objects.values_list("user__username", "role")) == [
        ("alice", "contributor"),
        ("alice", "owner"),
        ("bob", "ml_lead"),
        ("charlie", "product_owner"),
    ]
    assert list(AuditEntry.objects.values_list("action", "subject")) == [("created", "usecases.usecase")]


def test_a_name_that_is_taken_gets_another_address(alice: User) -> None:
    slugs = [create_use_case(name="Triage", description="", created_by=alice, members={}).slug for _ in range(3)]
    assert slugs == ["triage", "triage-2", "triage-3"]


def test_a_name_without_letters_still_gets_an_address(alice: User) -> None:
    assert create_use_case(name="客服", description="", created_by=alice, members={}).slug == "use-case"


def test_an_empty_name_is_refused_with_the_reason(client: Client, alice: User) -> None:
    client.force_login(alice)
    answer = client.post("/use-cases/new/", {"name": " "})
    assert answer.status_code == 422
    assert "This field is required." in answer.content.decode()
    assert UseCase.objects.count() == 0


def test_a_stranger_gets_404_and_does_not_see_it_listed(client: Client, use_case: UseCase, mallory: User) -> None:
    client.force_login(mallory)
    assert client.get(use_case.get_absolute_url()).status_code == 404
    assert "Support ticket triage" not in client.get("/use-cases/").content.decode()


def test_an_owner_adds_and_removes_a_member(client: Client, use_case: UseCase, alice: User, mallory: User) -> None:
    client.force_login(alice)
    client.post("/use-cases/support-ticket-triage/members/", {"user": mallory.pk, "role": "viewer"})
    membership = use_case.memberships.get(user=mallory)
    assert membership.role == Role.VIEWER
    client.post(f"/use-cases/support-ticket-triage/members/{membership.pk}/remove/")
    assert not use_case.memberships.filter(user=mallory).exists()


def test_the_last_owner_cannot_leave(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    owner = use_case.memberships.get(role=Role.OWNER)
    answer = client.post(f"/use-cases/support-ticket-triage/members/{owner.pk}/remove/", follow=True)
    assert "add another owner first" in answer.content.decode()
    assert use_case.memberships.filter(role=Role.OWNER).count() == 1


def test_the_same_role_twice_is_said(client: Client, use_case: UseCase, alice: User, bob: User) -> None:
    client.force_login(alice)
    answer = client.post("/use-cases/support-ticket-triage/members/", {"user": bob.pk, "role": "ml_lead"}, follow=True)
    assert "Bob Okafor already is ML lead" in answer.content.decode()


@pytest.mark.parametrize("name", ["bob", "charlie"])
def test_only_an_owner_changes_the_team(client: Client, use_case: UseCase, mallory: User, name: str) -> None:
    client.force_login(User.objects.get(username=name))
    answer = client.post("/use-cases/support-ticket-triage/members/", {"user": mallory.pk, "role": "owner"})
    assert answer.status_code == 403
    assert "This needs one of the roles Owner in “Support ticket triage”." in answer.content.decode()
    membership = use_case.memberships.first()
    assert membership is not None
    assert client.post(f"/use-cases/support-ticket-triage/members/{membership.pk}/remove/").status_code == 403
    assert not use_case.memberships.filter(user=mallory).exists()


def test_a_stranger_cannot_change_the_team(client: Client, use_case: UseCase, mallory: User) -> None:
    client.force_login(mallory)
    answer = client.post("/use-cases/support-ticket-triage/members/", {"user": mallory.pk, "role": "owner"})
    assert answer.status_code == 404


@pytest.mark.parametrize("path", ["members/", "members/1/remove/"])
def test_team_changes_need_a_post(client: Client, use_case: UseCase, alice: User, path: str) -> None:
    client.force_login(alice)
    assert client.get(f"/use-cases/support-ticket-triage/{path}").status_code == 405


def test_markup_in_a_name_is_shown_as_text(client: Client, alice: User) -> None:
    create_use_case(name="<script>alert(1)</script>", description="<b>x</b>", created_by=alice, members={})
    client.force_login(alice)
    page = client.get("/use-cases/").content.decode()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "&lt;b&gt;x&lt;/b&gt;" in page


def test_the_list_asks_the_same_number_of_queries_at_one_and_three_rows(
    client: Client, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(alice)
    for _ in range(2):
        create_use_case(name="Triage", description="", created_by=alice, members={})
        with django_assert_num_queries(2):
            client.get("/use-cases/")
        create_use_case(name="Triage", description="", created_by=alice, members={})
