"""`manage.py create_person USERNAME "PRINTED NAME"`: somebody who may log in; run again, a new password."""

import secrets
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from playbook.web.accounts.models import User


class Command(BaseCommand):
    help = (
        "Create a person who may log in, or give the one of this username a new password, and print it once. "
        "The printed name stands in signatures. --staff sees problems in content and searches without a result."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("username", help="what the person types to log in")
        parser.add_argument("name", help="printed name, in quotes")
        parser.add_argument("--staff", action="store_true", help="an editor of the library")

    def handle(self, *args: Any, **options: Any) -> None:
        password = secrets.token_urlsafe(12)
        user = User.objects.filter(username=options["username"]).first() or User(username=options["username"])
        user.name = options["name"]
        user.is_staff = user.is_staff or options["staff"]
        user.set_password(password)
        try:
            user.full_clean()
        except ValidationError as error:
            said = "; ".join(f"{field}: {' '.join(found)}" for field, found in error.message_dict.items())
            raise CommandError(said) from error
        user.save()
        self.stdout.write(f"{user.username} ({user.name}) may log in with the password {password}")
