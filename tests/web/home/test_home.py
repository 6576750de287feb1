"""Home: what needs the reader, and where the loop begins."""

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from playbook.web.accounts.models import User
from playbook.web.usecases.models import UseCase
from tests.web.decided import proposed
from tests.web.jobs.ended import claimed_job


def test_a_newcomer_sees_the_loop_and_where_to_begin(client: Client, mallory: User) -> None:
    client.force_login(mallory)
    page = client.get("/").content.decode()
    assert "Good to see you, Mallory" in page
    assert "Begin with one question" in page
    assert '<a class="button primary" href="/decide/">Choose a checklist</a>' in page
    assert "Nothing waits for you" not in page
    assert 'href="/library/decide/when-fine-tuning-pays-off/">When fine-tuning pays off</a>' in page


def test_a_member_for_whom_nothing_waits_is_told_so(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    page = client.get("/").content.decode()
    assert "Nothing waits for you" in page
    assert "Begin with one question" not in page


def test_those_who_must_sign_are_asked_and_the_proposer_is_not(
    client: Client, use_case: UseCase, alice: User, bob: User, charlie: User
) -> None:
    decision = proposed(use_case, alice)
    asked = {}
    for user in (alice, bob, charlie):
        client.force_login(user)
        asked[user.username] = f"D-{decision.number}" in client.get("/").content.decode()
    assert asked == {"alice": False, "bob": True, "charlie": True}


def test_a_running_job_is_shown_to_its_team_alone(
    client: Client, use_case: UseCase, alice: User, bob: User, mallory: User
) -> None:
    claimed_job(use_case, alice)
    shown = {}
    for user in (bob, mallory):
        client.force_login(user)
        shown[user.username] = "Running and waiting" in client.get("/").content.decode()
    assert shown == {"bob": True, "mallory": False}


@pytest.mark.parametrize("method", ["post", "put", "delete"])
def test_home_is_only_read(client: Client, alice: User, method: str) -> None:
    client.force_login(alice)
    assert getattr(client, method)("/").status_code == 405


def test_home_asks_the_same_number_of_queries_with_one_and_three_jobs(
    client: Client, use_case: UseCase, alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(alice)
    claimed_job(use_case, alice)
    client.get("/")  # a process reads the open flags once
    with django_assert_num_queries(11) as first:
        client.get("/")
    claimed_job(use_case, alice)
    claimed_job(use_case, alice)
    with django_assert_num_queries(len(first)):
        client.get("/")
