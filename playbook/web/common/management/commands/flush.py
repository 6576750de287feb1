"""`manage.py flush`: Django's own, which empties every table, for a database whose guards refuse that."""

from typing import Any

from django.core.management.commands import flush
from django.db import connections

from playbook.web.common import guards


class Command(flush.Command):
    def handle(self, **options: Any) -> None:
        connection = connections[options["database"]]
        guards.lift(connection)
        try:
            super().handle(**options)
        finally:
            guards.set_up(connection)
