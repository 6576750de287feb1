"""What others do appears on an open page: only what changed, nothing when nothing did, and an end."""

import re

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from playbook.web.accounts.models import User
from playbook.web.assessments.actions import lock_assessment
from playbook.web.assessments.live import newest_entry
from playbook.web.assessments.models import Assessment
from playbook.web.assessments.team_actions import add_remark
from tests.web.assessments.conftest import say

HTMX = {"HX-Request": "true"}


def asked(client: Client, assessment: Assessment, since: object, *shown: str) -> tuple[int, str]:
    address = f"{assessment.get_absolute_url()}changes/"
    response = client.get(address, {"since": str(since), "shown": shown}, headers=HTMX)
    return response.status_code, response.content.decode()


def swapped(page: str) -> list[str]:
    return re.findall(r'<article [^>]*id="(\w+)" hx-swap-oob="true">', page)


def test_nothing_new_is_an_empty_answer_of_few_queries(
    client: Client, kinds: Assessment, alice: User, bob: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(alice)
    say(kinds, bob, goal="His")
    since = newest_entry(kinds)
    with django_assert_num_queries(3):
        assert asked(client, kinds, since, "goal") == (204, "")


def test_only_the_questions_that_changed_come_with_who_did_what(
    client: Client, kinds: Assessment, alice: User, bob: User
) -> None:
    client.force_login(alice)
    page = client.get(kinds.get_absolute_url()).content.decode()
    found = re.search(r"changes/\?since=(\d+)\"", page)
    assert found is not None
    say(kinds, bob, goal="His <b>goal</b>")
    status, page = asked(client, kinds, found[1], "goal", "often")
    assert (status, swapped(page)) == (200, ["goal"])
    assert '<p class="small news" role="status">Bob Okafor answered just now</p>' in page
    assert "His &lt;b&gt;goal&lt;/b&gt;" in page
    assert f"changes/?since={newest_entry(kinds)}" in page
    add_remark(kinds, question_id="often", text="Why?", author=bob)
    since = newest_entry(kinds)
    assert asked(client, kinds, since, "goal", "often")[0] == 204
    status, page = asked(client, kinds, since - 1, "goal", "often")
    assert swapped(page) == ["often"]
    assert "Bob Okafor wrote in the discussion just now" in page


def test_a_question_that_an_answer_brings_in_appears_and_one_that_it_takes_away_goes(
    client: Client, kinds: Assessment, alice: User, bob: User
) -> None:
    client.force_login(alice)
    say(kinds, bob, goal="x", often="daily")
    since = newest_entry(kinds)
    say(kinds, bob, rows="120")
    page = asked(client, kinds, since, "goal", "often", "rows")[1]
    assert 'hx-swap-oob="afterend:#rows"' in page
    since = newest_entry(kinds)
    say(kinds, bob, rows="3")
    page = asked(client, kinds, since, "goal", "often", "rows", "fits")[1]
    assert '<div id="fits" hx-swap-oob="delete">' in page


def test_what_i_did_in_another_window_comes_without_news(client: Client, kinds: Assessment, alice: User) -> None:
    client.force_login(alice)
    say(kinds, alice, goal="Hers")
    status, page = asked(client, kinds, 0, "goal")
    assert (status, swapped(page), "just now" in page) == (200, ["goal"], False)


def test_an_assessment_that_is_closed_says_so_and_ends_the_asking(
    client: Client, kinds: Assessment, alice: User, bob: User
) -> None:
    client.force_login(alice)
    since = newest_entry(kinds)
    lock_assessment(kinds, actor=bob)
    status, page = asked(client, kinds, since, "goal")
    assert (status, "hx-trigger" in page) == (286, False)
    assert "Bob Okafor closed the answers by accepting a decision." in page
    assert 'id="changes"' not in client.get(kinds.get_absolute_url()).content.decode()


@pytest.mark.parametrize("since", ["", "-1", "x", "٣", "9" * 30])
def test_what_is_no_entry_is_not_found(client: Client, kinds: Assessment, alice: User, since: str) -> None:
    client.force_login(alice)
    assert asked(client, kinds, since)[0] == 404


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_what_could_not_be_saved_stays_in_the_fields(
    client: Client, kinds: Assessment, alice: User, headers: dict[str, str]
) -> None:
    client.force_login(alice)
    say(kinds, alice, goal="x", often="daily")
    sent = {"value": "12 apples", "comment": "Counted by hand.", "seen_revision": "0"}
    response = client.post(f"{kinds.get_absolute_url()}answers/rows/", sent, headers=headers)
    page = response.content.decode()
    assert response.status_code == 422
    assert 'id="rows_value" value="12 apples"' in page
    assert ">Counted by hand.</textarea>" in page
