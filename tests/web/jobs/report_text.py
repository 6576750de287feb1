"""What the pages of a report say, as text."""

import re
from typing import Any

from django.test import Client

from playbook.contracts.report import ArmReport
from playbook.contracts.run_spec import EvaluationSettings
from playbook.web.accounts.models import User
from playbook.web.jobs.models import Job
from playbook.web.usecases.models import UseCase
from tests.web.jobs.ended import claimed_job, finished_with
from tests.web.jobs.factories import asking_for
from tests.web.jobs.measured import (
    SETTINGS,
    measured_report,
    measured_spec,
)

PAGES = ("report/", "report/print/", "rows/", "rows/3/", "report.csv", "report.json", "report.md", "report.rows.csv")


def text_of(reader: Client, job: Job, page: str = "report/") -> str:
    answer = reader.get(f"/jobs/{job.pk}/{page}")
    assert answer.status_code == 200, answer.content.decode()
    return re.sub(r"\s+", " ", answer.content.decode())


def finished(use_case: UseCase, user: User, *arms: ArmReport, rows: int, **more: Any) -> Job:
    settings: EvaluationSettings = more.pop("settings", SETTINGS)
    spec = measured_spec(rows=rows, settings=settings, hour_rate=more.pop("hour_rate", 2.0))
    if not more.get("partial"):
        spec = asking_for(spec, *(arm.arm for arm in arms))
    return finished_with(claimed_job(use_case, user, spec=spec), measured_report(spec, arms, **more))


def cells_of(page: str, label: str) -> list[str]:
    """The cells of an arm's line in the table, as text."""
    row = re.search(rf'<tr[^>]*> ?<th scope="row">{re.escape(label)}.*?</tr>', page)
    assert row is not None, label
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row[0])]
