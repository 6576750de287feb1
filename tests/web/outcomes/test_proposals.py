"""A job that ends proposes its outcome by itself; people confirm it; forecasts stand against what came."""

import doctest
from decimal import Decimal
from typing import Any

import pytest
from django.core import mail
from django.db import IntegrityError, transaction
from django.test import Client
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks

from playbook.contracts.dataset import Split
from playbook.contracts.run_spec import Arm
from playbook.contracts.states import EndReason, JobState
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.models import AuditEntry
from playbook.web.common.permissions import Conflict
from playbook.web.decisions.models import Decision
from playbook.web.jobs import actions as job_actions
from playbook.web.jobs.models import Artifact, Job
from playbook.web.outcomes import calibration
from playbook.web.outcomes.actions import record_outcome
from playbook.web.outcomes.calibration import calibration_of, settled_forecasts
from playbook.web.outcomes.models import Confirmation, OutcomeProposal, OutcomeReview
from playbook.web.usecases.models import UseCase
from tests.web import decided
from tests.web.jobs.ended import claimed_job, finished_with, report_with, succeeded_job
from tests.web.jobs.factories import asking_for, make_spec, with_rows
from tests.web.jobs.measured import SETTINGS, measured_arm, measured_report, measured_spec

FORECAST: dict[str, Any] = {"forecast_probability": Decimal("0.7"), "forecast_value": Decimal("0.85")}
FORTY = {"met": 38, "inconclusive": 33, "missed": 20}


def rows(right: int) -> list[bool]:
    return [True] * right + [False] * (40 - right)


@pytest.fixture
def decision(use_case: UseCase, alice: User, bob: User, charlie: User) -> Decision:
    User.objects.filter(pk=alice.pk).update(email="alice@example.org")
    return decided.accepted(use_case, author=alice, ml_lead=bob, product_owner=charlie, **FORECAST)


@pytest.mark.parametrize("verdict", sorted(FORTY))
def test_the_end_of_a_job_proposes_its_outcome(
    client: Client, use_case: UseCase, decision: Decision, alice: User, verdict: str
) -> None:
    job = succeeded_job(use_case, alice, decision=decision, tuned=rows(FORTY[verdict]))
    proposal = OutcomeProposal.objects.get()
    assert (proposal.job, proposal.verdict, proposal.value, proposal.rows) == (job, verdict, FORTY[verdict] / 40, 40)
    assert proposal.report_sha256 == job.artifacts.get(name="report.json").sha256
    assert proposal.test_set_sha256 == Decision.objects.get().locked_test_set
    assert AuditEntry.objects.get(action="proposed outcome").detail["verdict"] == verdict
    client.force_login(alice)
    for page in ("/", f"/decisions/{decision.number}/"):
        assert f">{verdict}</span>" in client.get(page).content.decode()
    assert OutcomeReview.objects.count() == 0


def test_a_job_that_failed_says_that_nothing_was_measured(
    client: Client, use_case: UseCase, decision: Decision, alice: User
) -> None:
    attempt = claimed_job(use_case, alice, decision=decision)
    job_actions.finish(attempt, state=JobState.FAILED, reason=EndReason.DIVERGED, message="NaN")
    proposal = OutcomeProposal.objects.get()
    assert (proposal.verdict, proposal.value) == ("", None)
    client.force_login(alice)
    page = client.get(f"/decisions/{decision.number}/").content.decode()
    assert f"Nothing to judge: Job {attempt.job_id} is failed" in page


def test_a_job_cancelled_in_the_queue_ends_too(use_case: UseCase, decision: Decision, alice: User) -> None:
    attempt = claimed_job(use_case, alice, decision=decision)
    job_actions.release(attempt)
    job_actions.request_cancel(attempt.job, actor=alice)
    assert "is cancelled" in OutcomeProposal.objects.get().problem


def test_a_job_of_no_decision_proposes_nothing(use_case: UseCase, alice: User) -> None:
    succeeded_job(use_case, alice)
    assert OutcomeProposal.objects.count() == 0


def test_a_report_altered_afterwards_is_not_confirmed_and_the_proposal_stays(
    client: Client, use_case: UseCase, decision: Decision, alice: User
) -> None:
    job = succeeded_job(use_case, alice, decision=decision)
    blobs.path_of(job.artifacts.get(name="report.json").sha256).write_bytes(b"{}")
    with pytest.raises(Conflict, match="altered on disk"):
        record_outcome(job, confirmation=Confirmation.ADOPTED, lessons="x", actor=alice)
    client.force_login(alice)
    assert client.get(f"/outcomes/new/{job.pk}/").status_code == 409
    assert OutcomeProposal.objects.get().verdict == "met"


def test_a_report_on_another_test_set_says_nothing_about_the_promise(
    use_case: UseCase, decision: Decision, alice: User
) -> None:
    spec = asking_for(with_rows(make_spec(), 40), Arm.ZERO_SHOT, Arm.LORA)
    attempt = claimed_job(use_case, alice, decision=decision, spec=spec)
    inputs = tuple(
        file.model_copy(update={"sha256": "f" * 64}) if file.split == "test" else file for file in spec.inputs
    )
    report = report_with(spec.model_copy(update={"inputs": inputs}), base=rows(2), tuned=rows(38))
    blob = blobs.store([report.model_dump_json().encode()])
    Artifact.objects.create(
        job=attempt.job, attempt=attempt, name="report.json", sha256=blob.sha256, size_bytes=blob.size_bytes
    )
    Job.objects.filter(pk=attempt.job_id).update(
        state=JobState.SUCCEEDED, end_reason="completed", ended_at="2026-01-01T00:00Z"
    )
    with pytest.raises(Conflict, match="it says nothing about the promise"):
        record_outcome(Job.objects.get(pk=attempt.job_id), confirmation=Confirmation.ADOPTED, lessons="x", actor=alice)


def test_a_report_on_validation_rows_is_no_outcome(use_case: UseCase, decision: Decision, alice: User) -> None:
    settings = SETTINGS.model_copy(update={"arms": (Arm.FEW_SHOT,), "split": Split.VALIDATION})
    spec = measured_spec(settings=settings)
    attempt = claimed_job(use_case, alice, decision=decision, spec=spec)
    job = finished_with(attempt, measured_report(spec, (measured_arm(Arm.FEW_SHOT),)))

    with pytest.raises(Conflict, match="judged on the locked test set alone"):
        record_outcome(job, confirmation=Confirmation.ADOPTED, lessons="x", actor=alice)

    assert "validation rows" in OutcomeProposal.objects.get().problem


def test_half_a_proposal_cannot_be_stored(use_case: UseCase, decision: Decision, alice: User) -> None:
    succeeded_job(use_case, alice, decision=decision)
    for change in ({"verdict": ""}, {"value": None}, {"problem": "x"}, {"verdict": "perhaps"}):
        with pytest.raises(IntegrityError), transaction.atomic():
            OutcomeProposal.objects.update(**change)


def test_the_owner_is_written_to(
    use_case: UseCase,
    decision: Decision,
    alice: User,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        job = succeeded_job(use_case, alice, decision=decision)
    (letter,) = mail.outbox
    assert (letter.to, letter.subject) == (["alice@example.org"], f"Job {job.pk} of D-1 has ended")
    assert "It is proposed as met." in letter.body
    assert f"http://localhost:8000/jobs/{job.pk}/" in letter.body


def test_forecasts_stand_against_what_came(
    client: Client, use_case: UseCase, decision: Decision, alice: User, bob: User, charlie: User, mallory: User
) -> None:
    """0.7 and met gives 0.09, 0.7 and missed 0.49; the inconclusive one is shown and not scored."""
    others = [
        decided.accepted(use_case, author=alice, ml_lead=bob, product_owner=charlie, **FORECAST) for _ in range(2)
    ]
    for each, right in zip((decision, *others), (38, 20, 33), strict=True):
        job = succeeded_job(use_case, alice, decision=each, tuned=rows(right))
        record_outcome(job, confirmation=Confirmation.ADOPTED, lessons="x", actor=alice)
    found = calibration_of(alice)
    assert (found.forecasts, found.scored, found.met) == (3, 2, 1)
    assert found.brier == pytest.approx((0.09 + 0.49) / 2)
    assert found.said is not None
    assert [(row.label, row.text) for row in found.said.rows] == [("60–80 % (2)", "50 % (9–91)")]
    assert found.values is not None
    assert [(row.label, row.text) for row in found.values.rows] == [
        ("D-3 (85 %)", "83 % (68–91)"),
        ("D-2 (85 %)", "50 % (35–65)"),
        ("D-1 (85 %)", "95 % (83–99)"),
    ]
    client.force_login(alice)
    page = client.get("/outcomes/calibration/").content.decode()
    assert '<span class="value">1 of 2</span>' in page
    assert "0.290" in page
    client.force_login(mallory)
    assert "No forecast has been put to the test yet" in client.get("/outcomes/calibration/").content.decode()


def test_only_the_last_outcome_of_a_decision_counts(use_case: UseCase, decision: Decision, alice: User) -> None:
    for right in (20, 38):
        job = succeeded_job(use_case, alice, decision=decision, tuned=rows(right))
        record_outcome(job, confirmation=Confirmation.MORE_DATA, lessons="x", actor=alice)
    assert (calibration_of(alice).scored, calibration_of(alice).met) == (1, 1)


def test_a_decision_without_a_forecast_is_not_scored(use_case: UseCase, alice: User, bob: User, charlie: User) -> None:
    """One that was proposed before a promise needed a forecast."""
    plain = decided.accepted(use_case, author=alice, ml_lead=bob, product_owner=charlie)
    Decision.objects.filter(pk=plain.pk).update(forecast_probability=None, forecast_value=None)
    job = succeeded_job(use_case, alice, decision=plain)
    record_outcome(job, confirmation=Confirmation.ADOPTED, lessons="x", actor=alice)
    assert (calibration_of(alice).forecasts, list(settled_forecasts(alice))) == (0, [])


def test_the_page_costs_the_same_for_one_and_three(
    client: Client,
    use_case: UseCase,
    decision: Decision,
    alice: User,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    client.force_login(alice)
    for count in (1, 2):
        for _ in range(count):
            job = succeeded_job(use_case, alice, decision=decision)
            record_outcome(job, confirmation=Confirmation.ADOPTED, lessons="x", actor=alice)
        for page, queries in (("/outcomes/calibration/", 4), ("/outcomes/", 3)):
            with django_assert_num_queries(queries):
                client.get(page)


def test_the_example_in_the_module_holds() -> None:
    assert doctest.testmod(calibration).failed == 0
