"""`manage.py create_person USERNAME "PRINTED NAME"`: somebody who may log in; run again, a new password."""

import secrets
from typing import Any

from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction

from playbook.web.accounts.models import User
from playbook.web.common.models import record


class Command(BaseCommand):
    help = (
        "Create a person who may log in, or give the one of this username a new password, and print it once. "
        "The printed name stands in signatures. --staff sees problems in content and searches without a result."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="what the person types to log in")
        parser.add_argument("name", help="printed name, in quotes")
        parser.add_argument("--staff", action="store_true", help="an editor of the library")
        parser.add_argument("--email", default="", help="where letters go; articles may name their owner by it")
        parser.add_argument(
            "--team", action="append", default=[], help="a team to join, as articles name it as their owner; repeatable"
        )

        parser.add_argument("--leave-team", action="append", default=[], help="a team to leave; repeatable")

    def handle(self, *args: Any, **options: Any) -> None:
        teams = set(Group.objects.values_list("name", flat=True))
        if unknown := [team for team in options["leave_team"] if team not in teams]:
            raise CommandError(f"there is no team {unknown[0]!r}; there are: {', '.join(sorted(teams)) or 'none'}")
        password = secrets.token_urlsafe(12)
        user = User.objects.filter(username=options["username"]).first() or User(username=options["username"])
        before = str(user) if user.pk else ""
        user.name = options["name"]
        user.is_staff = user.is_staff or options["staff"]
        user.email = options["email"] or user.email
        user.set_password(password)
        try:
            user.full_clean()
        except ValidationError as error:
            said = "; ".join(f"{field}: {' '.join(found)}" for field, found in error.message_dict.items())
            raise CommandError(said) from error
        _save(user, before=before, joins=options["team"], leaves=options["leave_team"])
        self.stdout.write(f"{user.username} ({user.name}) may log in with the password {password}")


@transaction.atomic
def _save(user: User, *, before: str, joins: list[str], leaves: list[str]) -> None:
    """Save the person and their teams. `before`: the printed name until now, which earlier signatures keep."""
    user.save()
    user.groups.remove(*Group.objects.filter(name__in=leaves))
    user.groups.add(*(Group.objects.get_or_create(name=team[:150])[0] for team in joins))
    record(
        "gave a new password" if before else "created person",
        user,
        actor=None,
        username=user.username,
        name=user.name,
        is_staff=user.is_staff,
        email=user.email,
        joined=joins,
        left=leaves,
        **({"name_before": before} if before not in ("", user.name) else {}),
    )
