"""`manage.py send_reminders`: write to those for whom something is due. Run it once a day; a second run writes nothing
that the first one wrote."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from playbook.web.common.reminders import send_reminders


class Command(BaseCommand):
    help = (
        "Send each person one letter with the questions and signatures that are due tomorrow, today or overdue. Run it "
        "once a day, from cron or a timer; run again on the same day, it writes to nobody twice. Exit code 1 when the "
        "mail server did not take a letter: run it again then."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        sent = send_reminders(timezone.localdate())
        self.stdout.write(
            f"{sent.written} letters sent; {sent.before} people had theirs today; {sent.no_address} have no address; "
            f"{sent.failed} could not be sent"
        )
        if sent.failed:
            raise SystemExit(1)
