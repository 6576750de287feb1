"""Assessments as a team leaves them: every kind of question answered, discussed, assigned, measured; or a version
behind."""

from datetime import timedelta

from django.utils import timezone

from playbook.library.definition import Checklist
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import add_evidence, answer_by_measurement, answer_question, start_assessment
from playbook.web.assessments.evidence import FileEvidence, LinkEvidence
from playbook.web.assessments.models import Assessment
from playbook.web.assessments.team_actions import add_remark, assign_question
from playbook.web.common import blobs
from playbook.web.common.content import library
from playbook.web.common.measurements import measurements_of
from playbook.web.jobs.models import Job
from playbook.web.usecases.models import UseCase
from tests.library.kinds import every_kind

REWORDED = "ready-to-put-it-to-use"
#: A file that somebody brought as evidence.
NOTES = b"12 June: 41 calls\n13 June: 38 calls\n"


def talked_about(use_case: UseCase, author: User, other: User) -> Assessment:
    """Every kind of question, answered up to the one that a measurement answers."""
    assessment = start_assessment(use_case=use_case, checklist=every_kind(), article="", created_by=author)
    for question_id, value in {"goal": "Fewer calls to the second line.", "often": "daily", "rows": "120"}.items():
        answer_question(assessment, question_id=question_id, value=value, comment="", seen_revision=0, author=author)
    answer_question(
        assessment, question_id="goal", value="unknown", comment="Who says so?", seen_revision=1, author=other
    )
    link = LinkEvidence(url="https://example.org/minutes", label="Minutes of the team, 3 June")
    blob = blobs.store([NOTES])
    for piece in (link, FileEvidence(name="calls.txt", sha256=blob.sha256, size_bytes=blob.size_bytes)):
        add_evidence(assessment, question_id="goal", piece=piece, author=author)
    due = timezone.localdate() - timedelta(days=1)
    assign_question(assessment, question_id="goal", assignee=other, due_on=due, actor=author)
    add_remark(assessment, question_id="goal", text="Whose calls?\nOurs, or theirs?", author=other)
    add_remark(assessment, question_id="goal", text="Ours.", author=author)
    return assessment


def one_version_behind(use_case: UseCase, author: User) -> Assessment:
    """An assessment with a shipped checklist as it was before its first question was reworded."""
    now = library().checklists[REWORDED]
    fields = now.model_dump(mode="json")
    fields["questions"][0]["text"] = "Is the report good?"
    fields["questions"][1]["why"] = "Because it matters."
    before = Checklist.model_validate(fields | {"version": now.version - 1, "review_in": "30d"})
    assessment = start_assessment(use_case=use_case, checklist=before, article="", created_by=author)
    answer_question(assessment, question_id="met", value="yes", comment="", seen_revision=0, author=author)
    return assessment


def measured_by(job: Job, assessment: Assessment, author: User, *, question_id: str = "fits") -> None:
    """Answer a question with the first thing that the job measured."""
    measured, _ = measurements_of(assessment.use_case_id)
    first = next(one for one in measured if one.job == job.pk)
    answer_by_measurement(assessment, question_id=question_id, measurement=first, author=author)
