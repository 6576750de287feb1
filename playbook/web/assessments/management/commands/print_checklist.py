"""`manage.py print_checklist SLUG`: the whole decision table of a checklist, one line a path."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from playbook.web.assessments.tables import table_of
from playbook.web.common.content import library


class Command(BaseCommand):
    help = "Print the decision table of a checklist: every path with the outcome at its end."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("slug", help="name of the file in content/checklists, without .yaml")

    def handle(self, *args: Any, slug: str, **options: Any) -> None:
        checklist = library().checklists.get(slug)
        if checklist is None:
            known = ", ".join(library().checklists) or "none that can be read; run manage.py check_content"
            raise CommandError(f"There is no checklist {slug!r}; there are: {known}.")
        table = table_of(checklist, limit=None)
        self.stdout.write(f"{checklist.title} (version {checklist.version}, {table.total} paths)")
        for number, question in enumerate(checklist.questions, start=1):
            self.stdout.write(f"{number}. {question.text}")
        for row in table.rows:
            given = (f"{number} {cell}" for number, cell in enumerate(row.cells, start=1) if cell)
            self.stdout.write(f"{' · '.join(given)} → {row.outcome.title}")
