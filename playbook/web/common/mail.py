"""Letters to people of the site. A letter never fails the write that it tells of."""

import logging
from collections.abc import Iterable

from django.conf import settings
from django.core.mail import send_mail
from django.db import transaction

from playbook.web.accounts.models import User

log = logging.getLogger(__name__)


def send_after_commit(people: Iterable[User], *, subject: str, text: str, path: str) -> None:
    """Write to each person who has an address, once the transaction is committed; `path` becomes a whole address.

    Without PLAYBOOK_EMAIL_URL letters are printed on the console. A mail server that does not answer is logged.
    """
    addressed = [person for person in people if person.email]
    body = f"{text}\n\n{whole_address(path)}\n"

    def send() -> None:
        for person in addressed:
            send_letter(person, subject=subject, body=body)

    if addressed:
        transaction.on_commit(send)


def send_letter(person: User, *, subject: str, body: str) -> bool:
    """Write to a person who has an address, now. Returns False, and logs why, when the mail server did not take it."""
    one_line = " ".join(subject.split())  # a subject with a line break would be refused as a forged header
    try:
        send_mail(one_line, body, settings.DEFAULT_FROM_EMAIL, [person.email])
    except OSError as error:  # smtplib's own errors are of this kind too
        log.warning("The letter “%s” to %s was not sent: %s", one_line, person.email, error)
        return False
    return True


def whole_address(path: str) -> str:
    """Return a path of the site as people outside of it open it."""
    return f"{settings.PLAYBOOK_PUBLIC_URL}{path}"
