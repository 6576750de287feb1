"""`manage.py print_checklist_schema`: the JSON Schema of checklist files, kept as `content/checklist.schema.json`."""

import json
from typing import Any

from django.core.management.base import BaseCommand

from playbook.library.checklist_schema import checklist_schema


class Command(BaseCommand):
    help = "Print the JSON Schema of content/checklists/*.yaml; editors check files with it while you type."

    def handle(self, *args: Any, **options: Any) -> None:
        self.stdout.write(json.dumps(checklist_schema(), indent=2, ensure_ascii=False))
