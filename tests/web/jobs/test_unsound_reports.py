"""Reports that cannot be: refused when they are handed over, and never shown when one lies on disk all the same."""

import json
from typing import Any

import pytest
from django.test import Client

from playbook.contracts.run_spec import Arm
from playbook.contracts.states import EndReason, JobState
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.jobs import actions
from playbook.web.jobs.errors import Refused
from playbook.web.jobs.models import Artifact, Job
from playbook.web.usecases.models import UseCase
from tests.web.jobs.ended import claimed_job
from tests.web.jobs.measured import five_arm_job, measured_arm, measured_report, measured_spec

PAGES = ("report/", "report/print/", "rows/", "rows/3/", "report.csv", "report.json", "report.md", "report.rows.csv")


def unsound(job: Job, **more: Any) -> None:
    """Put another report in place of the job's, with a digest that fits: no upload would have passed it."""
    artifact = job.artifacts.get(name="report.json")
    document = json.loads(blobs.path_of(artifact.sha256).read_bytes())
    document["arms"][0] |= more
    blob = blobs.store([json.dumps(document).encode()])
    Artifact.objects.filter(pk=artifact.pk).update(sha256=blob.sha256, size_bytes=blob.size_bytes)


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"seconds": float("nan")}, "arms.0.seconds: Input should be a finite number"),
        ({"seconds": -1.0}, "arms.0.seconds: Input should be greater than or equal to 0"),
        ({"scores": []}, "zero_shot has no score by label_accuracy, the metric of the run, before its others"),
    ],
)
def test_an_unsound_report_on_disk_is_refused_on_every_page(
    client: Client, use_case: UseCase, alice: User, more: dict[str, Any], reason: str
) -> None:
    job = five_arm_job(use_case, alice)
    unsound(job, **more)
    client.force_login(alice)
    for page in PAGES:
        answer = client.get(f"/jobs/{job.pk}/{page}")
        assert (answer.status_code, "The report is not sound:" in answer.content.decode()) == (409, True), page
        assert reason in answer.content.decode()
    for page in (f"/jobs/{job.pk}/", f"/jobs/compare/?jobs={job.pk}", "/jobs/"):
        assert client.get(page).status_code == 200, page


def test_an_unsound_report_is_refused_when_it_is_handed_over(use_case: UseCase, alice: User) -> None:
    spec = measured_spec()
    attempt = claimed_job(use_case, alice, spec=spec)
    arm = measured_arm(Arm.LORA).model_copy(update={"seconds": -1.0})
    blob = blobs.store([measured_report(spec, (arm,)).model_dump_json().encode()])
    Artifact.objects.create(
        job=attempt.job, attempt=attempt, name="report.json", sha256=blob.sha256, size_bytes=blob.size_bytes
    )
    with pytest.raises(Refused, match=r"not a valid report: arms.0.seconds: Input should be greater than"):
        actions.finish(attempt, state=JobState.SUCCEEDED, reason=EndReason.COMPLETED, message="")
