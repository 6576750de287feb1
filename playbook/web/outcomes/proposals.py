"""What a job's end proposes as its outcome: measured against the criterion by itself, for people to confirm."""

from typing import Any

from playbook.contracts.dataset import Split
from playbook.contracts.report import Report, Score
from playbook.contracts.states import JobState
from playbook.web.common.mail import send_after_commit
from playbook.web.common.models import record
from playbook.web.common.permissions import Conflict
from playbook.web.decisions.criterion import Criterion
from playbook.web.decisions.models import Decision
from playbook.web.jobs import reports
from playbook.web.jobs.models import Job
from playbook.web.outcomes.models import OutcomeProposal


def measured(job: Job, decision: Decision, criterion: Criterion) -> tuple[Score, Report, str]:
    """Return the score that the criterion asks for, with its report and the report's digest.

    Raises Conflict when the job did not succeed, did not measure it, or not on the promised test set, or when its
    report was altered.
    """
    if job.state != JobState.SUCCEEDED:
        raise Conflict(f"Job {job.pk} is {job.state}: only a succeeded job has an outcome to record.")
    try:
        found = reports.report_of(job)
    except reports.ReportDamaged as damaged:
        raise Conflict(str(damaged)) from None
    if found is None:
        raise Conflict(f"Job {job.pk} has no report.")
    artifact, report = found
    if report.spec.evaluation.split is not Split.TEST:
        raise Conflict(f"Job {job.pk} measured on validation rows; an outcome is judged on the locked test set alone.")
    arm = report.arm(criterion.arm)
    score = next((s for s in arm.scores if s.metric is criterion.metric), None) if arm else None
    if score is None:
        raise Conflict(f"Job {job.pk} did not measure {criterion.text}; launch one whose recipe does.")
    test_set = report.test_set_sha256
    if decision.test_set and test_set != decision.test_set:
        raise Conflict(
            f"Job {job.pk} measured on the test set {test_set[:12]}…, and D-{decision.number} promises something about "
            f"{decision.test_set[:12]}…: it says nothing about the promise."
        )
    return score, report, artifact.sha256


def propose_outcome(*, job_pk: int, **_: Any) -> None:
    """Append the proposal of a job that has just ended, if its decision has a criterion. Receives `job_ended`."""
    job = Job.objects.select_related("decision__owner", "decision__proposed_by").get(pk=job_pk)
    decision = job.decision
    criterion = decision.criterion if decision else None
    if decision is None or criterion is None or OutcomeProposal.objects.filter(job=job).exists():
        return
    proposal = OutcomeProposal(decision=decision, job=job)
    try:
        score, report, proposal.report_sha256 = measured(job, decision, criterion)
        proposal.value, proposal.low, proposal.high, proposal.rows = score.value, score.low, score.high, score.n
        proposal.test_set_sha256 = report.test_set_sha256
        proposal.verdict = criterion.judge(value=score.value, low=score.low, high=score.high)
    except Conflict as conflict:
        proposal.problem = f"Nothing to judge: {conflict}"
    proposal.save(force_insert=True)
    record(
        "proposed outcome",
        decision,
        actor=None,
        job=job.pk,
        verdict=proposal.verdict or "nothing measured",
        report=proposal.report_sha256,
    )
    people = {
        person for person in (decision.owner, decision.proposed_by, job.created_by) if person and person.is_active
    }
    said = f"It is proposed as {proposal.verdict}." if proposal.verdict else proposal.problem
    send_after_commit(
        sorted(people, key=lambda person: person.pk),
        subject=f"Job {job.pk} of D-{decision.number} has ended",
        text=f"Promised: {criterion.text}. {said} Say what you will do with it, and what the next team should know.",
        path=job.get_absolute_url(),
    )
