"""What the reports of jobs measured, for pages below that answer questions with it. Registered by the app's `ready`."""

from collections.abc import Collection

from playbook.contracts.dataset import Split
from playbook.contracts.report import Report
from playbook.contracts.states import JobState
from playbook.web.common.measurements import Measurement
from playbook.web.jobs import reports
from playbook.web.jobs.models import Artifact, Job

#: A team looks for a measurement among its last jobs.
NEWEST_JOBS = 20


def of_use_case(use_case_id: int) -> tuple[list[Measurement], list[str]]:
    """Return the shares of the newest reports, newest job first, and the reports that cannot be read."""
    ended = Job.objects.runs().filter(use_case_id=use_case_id, state=JobState.SUCCEEDED)
    jobs = list(ended.order_by("-pk")[:NEWEST_JOBS])
    found, problems = reports.reports_of(jobs)
    digests = newest_reports([job.pk for job in jobs])
    measured = [one for job in jobs if job.pk in found for one in _scores(job, found[job.pk], digests[job.pk])]
    return measured, problems


def newest_reports(job_ids: Collection[int]) -> dict[int, str]:
    """Return the digest of the newest report of each job that has one. One query."""
    rows = Artifact.objects.filter(job__in=job_ids, name="report.json").order_by("attempt__number")
    return dict(rows.values_list("job", "sha256"))


def _scores(job: Job, report: Report, sha256: str) -> list[Measurement]:
    """Shares on the locked test set alone: what was tried on validation rows answers no question."""
    if report.spec.evaluation.split is not Split.TEST:
        return []
    return [
        Measurement(
            job=job.pk,
            title=job.title,
            arm=arm.arm.value,
            metric=score.metric.value,
            value=score.value,
            low=score.low,
            high=score.high,
            rows=score.n,
            report_sha256=sha256,
            test_set_sha256=report.test_set_sha256,
        )
        for arm in report.arms
        for score in arm.scores
        if score.metric.is_share
    ]
