"""`manage.py load_demo`: people and sample datasets. Safe to repeat: people and passwords that exist stay as they are.

The password is random for each installation, so that a demo left open on a network cannot be entered by a password
that everybody knows. It lies in the data folder, readable by its owner alone.
"""

import json
import os
import secrets
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from playbook.contracts.documents import BadDocuments
from playbook.library.problems import ContentError
from playbook.web.accounts.models import User
from playbook.web.common.models import record
from playbook.web.datasets.actions import import_sample_dataset
from playbook.web.datasets.document_sets import import_sample_documents
from playbook.web.datasets.reading import BadDataset

PEOPLE = (
    ("alice", "Alice Moreau", "writes articles, answers the checklist, launches jobs"),
    ("bob", "Bob Okafor", "signs as ML lead"),
    ("charlie", "Charlie Lindqvist", "signs as product owner"),
    ("dana", "Dana Ferreira", "signs as data steward"),
)

#: The owner of the articles that come with Playbook; the first of PEOPLE is in it.
EDITORS = "Playbook editors"


class Command(BaseCommand):
    help = "Create the demo people (names and password: demo-people.json in the data folder), import sample datasets."

    def handle(self, *args: Any, **options: Any) -> None:
        file = Path(settings.PLAYBOOK_DATA_DIR) / "demo-people.json"
        kept = _kept_password(file)
        password = kept or f"playbook-{secrets.token_hex(4)}"
        with transaction.atomic():
            editors, _ = Group.objects.get_or_create(name=EDITORS)
            for username, name, _ in PEOPLE:
                user, created = User.objects.get_or_create(username=username, defaults={"name": name})
                if created or not kept:
                    user.set_password(password)
                    user.save(update_fields=["password"])
                    done = "created person" if created else "gave a new password"
                    record(done, user, actor=None, username=username, name=user.name)
            editors.user_set.add(User.objects.get(username=PEOPLE[0][0]))
        people = [{"username": username, "name": name, "part": part} for username, name, part in PEOPLE]
        _write_private(file, json.dumps({"people": people, "password": password}, indent=2))
        for card in sorted(Path(settings.PLAYBOOK_CONTENT_DIR).glob("datasets/*/card.md")):
            _import_sample(card.parent)


def _import_sample(folder: Path) -> None:
    try:
        dataset = import_sample_dataset(folder)
        if (documents := folder / "documents.jsonl").is_file():
            import_sample_documents(documents, name=dataset.name)
    except (BadDataset, BadDocuments, ContentError, OSError) as error:
        raise CommandError(f"The sample dataset in {folder} cannot be imported: {error}") from error


def _kept_password(file: Path) -> str | None:
    """Return the password of an earlier run, or None when the file is missing or damaged."""
    try:
        password: str = json.loads(file.read_text())["password"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return password


def _write_private(file: Path, text: str) -> None:
    partial = file.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(text)
    partial.replace(file)
