"""`manage.py check_content`: what the content files have wrong, `path:line: message` each. Exit code 1 on an error.

The check itself is `playbook.library.check`, which knows nothing of the site.
"""

import json
from pathlib import Path

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.utils import timezone

from playbook.library.check import check_library
from playbook.library.content import load_library


class Command(BaseCommand):
    help = "Check the content files: links, anchors, orphans, front matter, claims, sources, formulas and images."
    requires_system_checks = ()  # it needs neither a database nor a site that is set up

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="print one JSON list of path, line, message, severity")

    def handle(self, *args: object, **options: object) -> None:
        library = load_library(Path(settings.PLAYBOOK_CONTENT_DIR))
        problems = check_library(library, today=timezone.localdate())
        errors = sum(problem.severity == "error" for problem in problems)
        if options["json"]:
            self.stdout.write(json.dumps([problem.model_dump(mode="json") for problem in problems], indent=2))
        else:
            for problem in problems:
                self.stdout.write(f"{problem}{' (warning)' if problem.severity == 'warning' else ''}")
            count = f"{len(library.articles)} articles, {errors} errors, {len(problems) - errors} warnings"
            self.stdout.write(count)
        if errors:
            raise SystemExit(1)
