"""An import that runs can be given up: its process ends, and no other."""

import os
from pathlib import Path

from django.test import Client

from playbook.datasets.spec import LOCK
from playbook.web.accounts.models import User
from playbook.web.datasets import imports
from playbook.web.usecases.models import UseCase
from tests.waiting import wait_for
from tests.web.datasets.conftest import ended, waiting


def test_a_running_import_can_be_discarded(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    with waiting(client) as made:
        folder = imports.folder_of(made.pk)
        process = int((folder / LOCK).read_text())
        assert "Stop and discard" in client.get(made.get_absolute_url()).content.decode()
        assert client.post(f"/datasets/imports/{made.pk}/discard/")["Location"] == "/datasets/"
        assert not folder.exists()
        wait_for(lambda: not Path(f"/proc/{process}").exists())


def test_only_the_process_of_the_import_is_killed(client: Client, use_case: UseCase, alice: User) -> None:
    """The number in the lock may be that of another process by now."""
    client.force_login(alice)
    with waiting(client) as made:
        lock = imports.folder_of(made.pk) / LOCK
        number = lock.read_text()
        lock.write_text(str(os.getpid()))
        response = client.post(f"/datasets/imports/{made.pk}/discard/")
        assert response.status_code == 409
        assert "This import runs where it cannot be stopped from" in response.content.decode()
        lock.write_text(number)
    ended(made)
