"""The page of a question with htmx: each form answers with the parts that it changed, and with no others."""

import re

import pytest
from django.test import Client

from playbook.web.accounts.models import User
from playbook.web.assessments.actions import lock_assessment
from playbook.web.assessments.models import Assessment
from playbook.web.assessments.team_actions import assign_question
from tests.web.assessments.conftest import say

HTMX = {"HX-Request": "true"}
LINK = {"kind": "link", "url": "https://example.org/", "label": "Counted"}


def sent(client: Client, assessment: Assessment, part: str, data: dict[str, str]) -> tuple[int, list[str], str]:
    """Return the status, the parts that come back, and the whole answer."""
    address = f"{assessment.get_absolute_url()}questions/goal/{part}"
    if part == "answer":
        address = f"{assessment.get_absolute_url()}answers/goal/"
        data = {"back": "question", "comment": "", "seen_revision": "0", **data}
    response = client.post(address, data, headers=HTMX)
    page = response.content.decode()
    return response.status_code, re.findall(r'<(?:section|article) [^>]*?id="(\w+)"', page), page


def test_each_write_answers_with_what_it_changed(client: Client, kinds: Assessment, alice: User, bob: User) -> None:
    client.force_login(alice)
    assign_question(kinds, question_id="goal", assignee=bob, due_on=None, actor=alice)
    assert sent(client, kinds, "answer", {"value": "Fewer calls"})[:2] == (
        200,
        ["goal", "evidence", "assignment", "answers"],
    )
    assert sent(client, kinds, "answer", {"value": "Still fewer"})[:2] == (200, ["goal", "answers"])
    status, parts, page = sent(client, kinds, "evidence/", LINK)
    assert (status, parts) == (200, ["goal", "evidence", "answers"])
    assert page.count('hx-swap-oob="true"') == 3
    (digest,) = re.findall(r'name="digest" value="(\w+)"', page)
    assert sent(client, kinds, "evidence/remove/", {"digest": digest})[1] == ["goal", "evidence", "answers"]
    assert sent(client, kinds, "assign/", {"assignee": str(bob.pk)})[1] == ["goal", "assignment"]
    assert sent(client, kinds, "assign/end/", {})[1] == ["goal", "assignment"]
    status, parts, page = sent(client, kinds, "remarks/", {"text": "Who says so?"})
    assert (status, parts, "Who says so?" in page) == (200, ["discussion"], True)


@pytest.mark.parametrize(
    ("part", "data", "shown"),
    [
        ("answer", {"value": " "}, "goal"),
        ("evidence/", {"kind": "link"}, "evidence"),
        ("assign/", {"assignee": "0"}, "assignment"),
        ("remarks/", {"text": " "}, "discussion"),
    ],
)
def test_a_form_that_does_not_fit_comes_back_alone(
    client: Client, kinds: Assessment, alice: User, part: str, data: dict[str, str], shown: str
) -> None:
    client.force_login(alice)
    assert sent(client, kinds, part, data)[:2] == (422, [shown])


@pytest.mark.parametrize(
    ("part", "data", "shown"),
    [
        ("answer", {"value": "y"}, "goal"),
        ("evidence/", LINK, "evidence"),
        ("evidence/remove/", {"digest": "x"}, "evidence"),
        ("assign/end/", {}, "assignment"),
    ],
)
def test_why_nothing_was_written_stands_in_its_part(
    client: Client, kinds: Assessment, alice: User, part: str, data: dict[str, str], shown: str
) -> None:
    client.force_login(alice)
    say(kinds, alice, goal="x")
    lock_assessment(kinds, actor=alice)
    status, parts, page = sent(client, kinds, part, data)
    assert (status, parts) == (409, [shown])
    assert "so they are locked" in page
