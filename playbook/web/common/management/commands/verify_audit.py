"""`manage.py verify_audit`: is the audit log as it was written? Exit code 1 when it is not."""

import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from playbook.web.common.verify import Verification, verify


class Command(BaseCommand):
    help = (
        "Recompute the hash chain of the audit log, name every entry that was altered, removed or moved, check what "
        "other tables keep against it, and that the database still refuses changes. Keep the printed head elsewhere: "
        "--contains NUMBER:HASH later proves that the log still holds the entry."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--contains", metavar="NUMBER:HASH", help="a head that was printed before")

    def handle(self, *args: Any, **options: Any) -> None:
        started = time.perf_counter()
        found = Verification(anchor=_anchor(options["contains"]))
        for problem in verify(connection, found):
            self.stdout.write(problem)
        seconds = time.perf_counter() - started
        self.stdout.write(
            f"{found.entries:,} entries read in {seconds:.1f} s; {found.problems} problems; head {found.head}"
        )
        if found.problems:
            raise SystemExit(1)


def _anchor(given: str | None) -> tuple[int, str] | None:
    if given is None:
        return None
    number, _, digest = given.partition(":")
    if not number.isdigit() or len(digest) != 64:
        raise CommandError(f"--contains {given!r} is not a head such as 120:<64 hexadecimal digits>.")
    return int(number), digest
