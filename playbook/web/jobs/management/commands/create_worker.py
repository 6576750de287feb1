"""`manage.py create_worker NAME`: the one way to a worker token."""

import os
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from playbook.web.jobs.actions import create_worker
from playbook.web.jobs.models import Worker


class Command(BaseCommand):
    help = """Create a worker and print its token, or give an existing worker a new one.

The token lets one machine claim jobs from this site. It is shown once: the site keeps only its sha256. Running the
command again with the same name makes a new token, ends the old one and enables a disabled worker; a job that
the worker holds at that moment goes on, since it runs under a token of its own.

  python manage.py create_worker gpu-1 --token-file gpu-1.token
  # copy the file to the GPU machine, then run there:
  python -m playbook.worker --site https://this.site --token-file gpu-1.token --work-dir runs --models-dir models
"""

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.add_argument("name", help="the worker's name on the job pages, such as the machine's host name")
        parser.add_argument(
            "--token-file",
            type=Path,
            metavar="PATH",
            help="write the token to this file, readable by its owner alone, instead of printing it",
        )

    def handle(self, *args: Any, name: str, token_file: Path | None, **options: Any) -> None:
        longest = Worker._meta.get_field("name").max_length or 0
        if not name.strip() or len(name) > longest or not name.isprintable():
            raise CommandError(f"the name {name[:120]!r} must be 1 to {longest} printable characters")
        if token_file is not None and not token_file.parent.is_dir():
            raise CommandError(f"--token-file {token_file}: the folder {token_file.parent} does not exist; create it")
        _, token = create_worker(name=name.strip(), created_by=None)
        if token_file is None:
            self.stdout.write(token)
            return
        _write_private(token_file, token)
        self.stdout.write(f"Worker {name.strip()}: token written to {token_file}")


def _write_private(path: Path, text: str) -> None:
    """Replace `path` with a file that only its owner reads, never readable by others in between."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text + "\n")
    temporary.replace(path)
