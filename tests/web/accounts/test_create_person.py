"""`manage.py create_person`: creates, renews, refuses."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from playbook.web.accounts.models import User
from playbook.web.common.models import AuditEntry


def _create(*arguments: str) -> str:
    """Run the command and return the password that it prints."""
    said = StringIO()
    call_command("create_person", *arguments, stdout=said)
    return said.getvalue().split()[-1]


def test_the_person_can_log_in_with_the_printed_password(client: Client, db: None) -> None:
    password = _create("erin", "Erin Vasquez")
    assert client.login(username="erin", password=password)
    assert User.objects.get().name == "Erin Vasquez"


def test_again_the_old_password_ends(client: Client, db: None) -> None:
    first, second = _create("erin", "Erin Vasquez"), _create("erin", "Erin Vasquez-Lee", "--staff")
    assert not client.login(username="erin", password=first)
    assert client.login(username="erin", password=second)
    assert [(user.name, user.is_staff) for user in User.objects.all()] == [("Erin Vasquez-Lee", True)]


def test_a_person_joins_teams_and_keeps_them(db: None) -> None:
    _create("erin", "Erin Vasquez", "--team", "Playbook editors", "--team", "Data team", "--email", "erin@example.org")
    _create("erin", "Erin Vasquez", "--team", "Playbook editors")
    user = User.objects.get()
    assert (user.email, sorted(team.name for team in user.groups.all())) == (
        "erin@example.org",
        ["Data team", "Playbook editors"],
    )


def test_a_person_leaves_a_team(db: None) -> None:
    _create("erin", "Erin Vasquez", "--team", "Playbook editors", "--team", "Data team")
    _create("erin", "Erin Vasquez", "--leave-team", "Data team")

    assert [team.name for team in User.objects.get().groups.all()] == ["Playbook editors"]


def test_a_team_that_is_none_cannot_be_left(client: Client, db: None) -> None:
    password = _create("erin", "Erin Vasquez", "--team", "Data team")

    with pytest.raises(CommandError, match="there is no team 'Date team'; there are: Data team"):
        _create("erin", "Erin Vasquez", "--leave-team", "Date team")

    assert client.login(username="erin", password=password)


@pytest.mark.parametrize(
    ("username", "name", "message"), [("e rin", "Erin", "username: "), ("erin", "", "name: "), ("x" * 200, "X", "150")]
)
def test_a_wrong_name_is_refused_with_the_reason(db: None, username: str, name: str, message: str) -> None:
    with pytest.raises(CommandError, match=message):
        _create(username, name)
    assert User.objects.count() == 0


def test_every_run_leaves_an_audit_row(db: None) -> None:
    _create("erin", "Erin Vasquez", "--team", "Data team")
    _create("erin", "Erin Vasquez-Lee", "--staff", "--leave-team", "Data team")
    same = {"username": "erin", "email": ""}
    entries = AuditEntry.objects.order_by("number")
    assert [(entry.action, entry.subject, entry.actor, entry.detail) for entry in entries] == [
        (
            "created person",
            "accounts.user",
            None,
            {**same, "name": "Erin Vasquez", "is_staff": False, "joined": ["Data team"], "left": []},
        ),
        (
            "gave a new password",
            "accounts.user",
            None,
            {
                **same,
                "name": "Erin Vasquez-Lee",
                "name_before": "Erin Vasquez",
                "is_staff": True,
                "joined": [],
                "left": ["Data team"],
            },
        ),
    ]
