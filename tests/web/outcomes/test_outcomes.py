"""Outcomes: measured against the criterion, recorded once, shown on the decision and on the articles behind it."""

from typing import TypeVar

import pytest
from django.db.models import Model
from django.db.models.signals import post_init
from django.test import Client

from playbook.contracts.states import EndReason, JobState
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.models import AuditEntry
from playbook.web.decisions.models import Decision
from playbook.web.jobs import actions as job_actions
from playbook.web.jobs.models import Job
from playbook.web.outcomes.models import OutcomeArticle, OutcomeReview
from playbook.web.outcomes.panels import SHOWN
from playbook.web.usecases.actions import create_use_case
from playbook.web.usecases.models import UseCase
from tests.web.decided import ARTICLE, accepted
from tests.web.jobs.ended import claimed_job, succeeded_job

Row = TypeVar("Row", bound=Model)

RECORD = {"confirmation": "adopted", "lessons": "Fewer <i>steps</i> were enough."}


@pytest.fixture
def decision(use_case: UseCase, alice: User, bob: User, charlie: User) -> Decision:
    return accepted(use_case, author=alice, ml_lead=bob, product_owner=charlie)


@pytest.fixture
def job(decision: Decision, alice: User) -> Job:
    return succeeded_job(decision.use_case, alice, decision=decision)


@pytest.mark.parametrize(
    ("right", "verdict"), [(38, "met"), (34, "inconclusive"), (20, "missed")], ids=["met", "inconclusive", "missed"]
)
def test_the_outcome_is_judged_by_the_interval(
    client: Client, decision: Decision, alice: User, right: int, verdict: str
) -> None:
    job = succeeded_job(decision.use_case, alice, decision=decision, tuned=[True] * right + [False] * (40 - right))
    client.force_login(alice)
    form = client.get(f"/outcomes/new/{job.pk}/").content.decode()
    assert verdict in form
    assert '<div role="group" aria-labelledby="confirmation_legend">' in form
    answer = client.post(f"/outcomes/new/{job.pk}/", RECORD)
    assert answer.headers["Location"] == f"/decisions/{decision.number}/#outcomes"
    outcome = OutcomeReview.objects.get()
    assert (outcome.verdict, outcome.value, outcome.rows, outcome.confirmation) == (verdict, right / 40, 40, "adopted")
    assert outcome.report_sha256 == job.artifacts.get(name="report.json").sha256
    assert AuditEntry.objects.filter(action="recorded outcome").count() == 1


def test_the_decision_the_job_and_the_list_show_the_outcome(
    client: Client, decision: Decision, job: Job, alice: User
) -> None:
    client.force_login(alice)
    client.post(f"/outcomes/new/{job.pk}/", RECORD)
    for path in (f"/decisions/{decision.number}/", f"/jobs/{job.pk}/", "/outcomes/"):
        page = client.get(path).content.decode()
        assert '<span class="badge good">met</span> <strong class="num">95 %</strong>' in page
    assert (
        "Fewer &lt;i&gt;steps&lt;/i&gt; were enough." in client.get(f"/decisions/{decision.number}/").content.decode()
    )


def test_the_article_that_led_there_and_those_that_the_checklist_cites_show_the_outcome(
    client: Client, decision: Decision, job: Job, alice: User
) -> None:
    client.force_login(alice)
    assert "No team has recorded an outcome" in client.get(f"/library/{ARTICLE}/").content.decode()
    client.post(f"/outcomes/new/{job.pk}/", RECORD)
    cited = decision.assessment.definition["questions"][0]["article"].partition("#")[0]
    for key in (ARTICLE, cited):
        page = client.get(f"/library/{key}/").content.decode()
        assert f"D-{decision.number} " in page
        assert '<span class="badge good">met</span>' in page


def test_a_stranger_sees_on_the_article_only_that_there_is_one(
    client: Client, decision: Decision, job: Job, alice: User, mallory: User
) -> None:
    client.force_login(alice)
    client.post(f"/outcomes/new/{job.pk}/", RECORD)
    client.force_login(mallory)
    page = client.get(f"/library/{ARTICLE}/").content.decode()
    assert "1 more outcome in use cases that you do not belong to." in page
    assert decision.title not in page
    assert "steps" not in page.partition("What came of it")[2].partition("</section>")[0]
    assert decision.title not in client.get("/outcomes/").content.decode()


def test_an_article_reads_of_its_outcomes_those_that_it_shows(
    client: Client, decision: Decision, job: Job, alice: User
) -> None:
    client.force_login(alice)
    client.post(f"/outcomes/new/{job.pk}/", RECORD)
    jobs = Job.objects.bulk_create(_copy_of(job) for _ in range(SHOWN + 2))
    first = OutcomeReview.objects.get()
    outcomes = OutcomeReview.objects.bulk_create(_copy_of(first, job=each) for each in jobs)
    OutcomeArticle.objects.bulk_create(OutcomeArticle(outcome=each, key=ARTICLE) for each in outcomes)
    read: list[int] = []

    def note(instance: OutcomeReview, **_: object) -> None:
        read.append(instance.pk)

    post_init.connect(note, sender=OutcomeReview)
    try:
        page = client.get(f"/library/{ARTICLE}/").content.decode()
    finally:
        post_init.disconnect(note, sender=OutcomeReview)
    assert read == [each.pk for each in reversed(outcomes)][:SHOWN]
    assert "in use cases that you do not belong to" not in page


def _copy_of(row: Row, **changed: object) -> Row:
    fields = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    copy = type(row)(**{**fields, row._meta.pk.attname: None})
    for name, value in changed.items():
        setattr(copy, name, value)
    return copy


def test_an_outcome_is_recorded_once(client: Client, job: Job, alice: User) -> None:
    client.force_login(alice)
    client.post(f"/outcomes/new/{job.pk}/", RECORD)
    answer = client.post(f"/outcomes/new/{job.pk}/", {**RECORD, "confirmation": "rejected"})
    assert answer.status_code == 409
    assert "is recorded already; it is never edited" in answer.content.decode()
    assert OutcomeReview.objects.get().confirmation == "adopted"


@pytest.mark.parametrize("field", ["confirmation", "lessons"])
def test_both_fields_are_needed(client: Client, job: Job, alice: User, field: str) -> None:
    client.force_login(alice)
    answer = client.post(f"/outcomes/new/{job.pk}/", {**RECORD, field: ""})
    assert answer.status_code == 422
    assert OutcomeReview.objects.count() == 0


def test_a_job_without_a_decision_has_no_outcome_to_record(client: Client, use_case: UseCase, alice: User) -> None:
    job = succeeded_job(use_case, alice)
    client.force_login(alice)
    assert client.post(f"/outcomes/new/{job.pk}/", RECORD).status_code == 404


def test_a_failed_job_has_no_outcome_to_record(client: Client, decision: Decision, alice: User) -> None:
    attempt = claimed_job(decision.use_case, alice, decision=decision)
    job_actions.finish(attempt, state=JobState.FAILED, reason=EndReason.DIVERGED, message="nan at step 3")
    client.force_login(alice)
    answer = client.post(f"/outcomes/new/{attempt.job_id}/", RECORD)
    assert answer.status_code == 409
    assert "only a succeeded job has an outcome" in answer.content.decode()


def test_an_altered_report_is_not_judged(client: Client, job: Job, alice: User) -> None:
    blobs.path_of(job.artifacts.get(name="report.json").sha256).write_bytes(b"{}")
    client.force_login(alice)
    answer = client.post(f"/outcomes/new/{job.pk}/", RECORD)
    assert answer.status_code == 409
    assert "altered on disk" in answer.content.decode()
    assert OutcomeReview.objects.count() == 0


def test_a_viewer_may_not_record_and_a_stranger_not_see(
    client: Client, job: Job, mallory: User, use_case: UseCase
) -> None:
    client.force_login(mallory)
    assert client.post(f"/outcomes/new/{job.pk}/", RECORD).status_code == 404
    use_case.memberships.create(user=mallory, role="viewer")
    assert client.post(f"/outcomes/new/{job.pk}/", RECORD).status_code == 403
    assert OutcomeReview.objects.count() == 0


def test_home_reminds_of_an_outcome_to_record_until_it_is_recorded(client: Client, job: Job, alice: User) -> None:
    client.force_login(alice)
    assert "Outcomes to record" in client.get("/").content.decode()
    client.post(f"/outcomes/new/{job.pk}/", RECORD)
    assert "Outcomes to record" not in client.get("/").content.decode()


def test_another_use_case_is_not_reminded(client: Client, job: Job, mallory: User) -> None:
    create_use_case(name="Other", description="", created_by=mallory, members={})
    client.force_login(mallory)
    assert "Outcomes to record" not in client.get("/").content.decode()
