"""The password asked for once more: guesses that come at once."""

import threading

import pytest
from django.db import connection

from playbook.web.accounts.models import User
from playbook.web.common.models import AuditEntry
from playbook.web.common.passwords import MOST_WRONG, PasswordRefused, confirm_password
from playbook.web.usecases.models import UseCase
from tests.waiting import DEADLINE_SECONDS


@pytest.mark.django_db(transaction=True)
def test_guesses_at_a_password_at_the_same_moment_are_all_counted(use_case: UseCase, bob: User) -> None:
    guesses = MOST_WRONG + 3
    together, refused = threading.Barrier(guesses), []

    def guess() -> None:
        together.wait(timeout=DEADLINE_SECONDS)
        try:
            confirm_password(bob, "guess", about=use_case)
        except PasswordRefused as refusal:
            refused.append(str(refusal))
        finally:
            connection.close()

    threads = [threading.Thread(target=guess) for _ in range(guesses)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=DEADLINE_SECONDS)
    assert len(refused) == guesses
    assert refused.count("This is not your password.") == MOST_WRONG
    assert AuditEntry.objects.filter(action="gave a wrong password", actor=bob).count() == MOST_WRONG
