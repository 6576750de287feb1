"""`manage.py prepare_demo TOKEN_FILE`: everything the demo's database and folders need, in one process.

Each is a command of its own; four of them in turn would load Django four times, a third of a second start.
"""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "Migrate, collect static files, load the demo people and sample datasets, and create the local worker."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("token_file", type=Path, help="where the token of the local worker is written")

    def handle(self, *args: Any, token_file: Path, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        call_command("load_demo")
        call_command("create_worker", "local", token_file=token_file)
