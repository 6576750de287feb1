"""The budget of a decision: counted over attempts, kept for jobs under way, held by the action and said on the page."""

import doctest
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings as site
from django.test import Client
from django.utils import timezone

from playbook.web.accounts.models import User
from playbook.web.common.permissions import Conflict
from playbook.web.datasets.actions import import_sample_dataset
from playbook.web.decisions.models import Decision
from playbook.web.jobs import actions, budget
from playbook.web.jobs.budget import Budget, budget_of
from playbook.web.jobs.models import Attempt, Job
from playbook.web.usecases.models import UseCase
from tests.web import decided
from tests.web.jobs.factories import make_capabilities, make_spec


@pytest.fixture
def decision(use_case: UseCase, alice: User, bob: User, charlie: User) -> Decision:
    """Accepted, with 90 GPU minutes."""
    return decided.accepted(use_case, author=alice, ml_lead=bob, product_owner=charlie, budget_gpu_minutes=90)


def launch(decision: Decision, minutes: int | None) -> Job:
    return actions.launch_job(
        use_case=decision.use_case,
        created_by=decision.created_by,
        title="Tickets",
        spec=make_spec(),
        decision=decision,
        estimated_seconds=None if minutes is None else minutes * 60,
    )


def test_the_examples_in_the_module_hold() -> None:
    assert doctest.testmod(budget).failed == 0


def test_a_job_beyond_the_budget_is_refused_and_leaves_no_trace(decision: Decision) -> None:
    with pytest.raises(Conflict) as refused:
        launch(decision, 91)
    assert str(refused.value) == (
        "D-1 has a budget of 90 GPU minutes: 0 are used, and this job would take about 91 GPU minutes. Make the job "
        "smaller, or propose a new decision with a larger budget that supersedes D-1."
    )
    assert (Job.objects.count(), Decision.objects.get().criterion_locked_at) == (0, None)
    assert launch(decision, 90).decision == decision


def test_jobs_that_wait_keep_their_estimate(decision: Decision) -> None:
    launch(decision, 60)
    with pytest.raises(Conflict, match="0 are used, 60 are kept for jobs that have not ended, and this job would take"):
        launch(decision, 31)
    launch(decision, 30)


def test_attempts_count_and_the_time_between_them_does_not(decision: Decision, alice: User) -> None:
    job = launch(decision, 60)
    worker, _ = actions.create_worker(name="gpu-1", created_by=None)
    for _ in range(2):
        claim = actions.claim_next_job(worker, make_capabilities())
        assert claim is not None
        actions.release(claim.attempt)
    now = timezone.now()
    for number, hours_ago in ((1, 9), (2, 2)):
        begun = now - timedelta(hours=hours_ago)
        job.attempts.filter(number=number).update(claimed_at=begun, ended_at=begun + timedelta(minutes=20))
    assert budget_of(decision) == Budget(decision=1, allowed=90, used=40.0, kept=20.0)
    actions.request_cancel(job, actor=alice)
    assert budget_of(decision) == Budget(decision=1, allowed=90, used=40.0, kept=0)


def test_a_job_of_unknown_length_needs_something_left(decision: Decision) -> None:
    launch(decision, 89)
    launch(decision, None)
    launch(decision, 1)
    with pytest.raises(Conflict, match="this job would take an unknown time"):
        launch(decision, None)


def test_a_decision_without_a_budget_sets_no_limit(decision: Decision) -> None:
    Decision.objects.update(budget_gpu_minutes=None)
    launch(Decision.objects.get(), 999_999)
    assert budget_of(Decision.objects.get()) is None


def test_the_launch_page_says_what_is_left_and_refuses_what_does_not_fit(
    client: Client, decision: Decision, alice: User
) -> None:
    sample = import_sample_dataset(Path(site.PLAYBOOK_CONTENT_DIR) / "datasets/support-tickets")
    client.force_login(alice)
    given = {"title": "Tickets", "recipe": "support-tickets-lora", "dataset": str(sample.pk)}
    address = f"/jobs/new/?decision={decision.number}"
    assert 'Of the budget of <span class="num">90</span> GPU minutes' in client.get(address).content.decode()
    Decision.objects.update(budget_gpu_minutes=0)
    assert "It does not fit the budget" in client.get(address).content.decode()
    answer = client.post(address, given)
    assert answer.status_code == 422
    assert "D-1 has a budget of 0 GPU minutes" in answer.content.decode()
    assert (Job.objects.count(), Attempt.objects.count()) == (0, 0)
