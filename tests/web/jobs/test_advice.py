"""What the checklists would advise with a report's figures: the engine decides, the team's answers fill the rest."""

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from playbook.contracts.run_spec import Arm, EvaluationSettings
from playbook.web.accounts.models import User
from playbook.web.jobs import reports
from playbook.web.jobs.advice import Advice, advice_of
from playbook.web.jobs.models import Job
from playbook.web.usecases.actions import create_use_case
from playbook.web.usecases.models import UseCase
from tests.web.decided import accepted, assessed
from tests.web.jobs.ended import arm_report, claimed_job, finished_with
from tests.web.jobs.measured import five_arm_job, measured_report, measured_spec

TUNE, KEEP = "Fine-tune, and measure it against the prompt", "Keep the prompt"


def few_shot_job(use_case: UseCase, user: User, *, right: int, arm: Arm = Arm.FEW_SHOT, partial: bool = False) -> Job:
    """A job whose few-shot arm is right on so many of 60 rows, by exact match."""
    spec = measured_spec(settings=EvaluationSettings(arms=(arm,)))
    measured = arm_report(arm, [row < right for row in range(60)]).model_copy(update={"partial": partial})
    report = measured_report(spec, (measured,), partial=partial)
    return finished_with(claimed_job(use_case, user, spec=spec), report)


def advised(job: Job) -> dict[str, Advice]:
    read = reports.read_of(job)
    assert read is not None
    return {advice.checklist.slug: advice for advice in advice_of(job, read.report)}


@pytest.mark.parametrize(
    ("right", "answer", "advice", "said"),
    [
        (58, "Yes", KEEP, f"instead of “{TUNE}”"),
        (20, "No", TUNE, "as before"),
        (50, "Unknown", TUNE, "as before"),
    ],
)
def test_a_measured_answer_changes_the_advice_and_the_page_says_from_what(
    client: Client, use_case: UseCase, alice: User, right: int, answer: str, advice: str, said: str
) -> None:
    assessment = assessed(use_case, alice)
    job = few_shot_job(use_case, alice, right=right)
    found = advised(job)["should-we-fine-tune"]
    assert (found.advised, found.before, found.url) == (advice, TUNE, assessment.get_absolute_url())
    client.force_login(alice)
    page = client.get(f"/jobs/{job.pk}/report/").content.decode()
    assert f'<strong>{advice}</strong> <span class="small muted">{said}</span>' in page
    assert f"<strong>{answer}</strong>: exact match of few-shot ≥ 0.80: {right / 60 * 100:.0f} % (" in page


def test_the_assessment_of_the_decision_counts_before_a_newer_one(
    use_case: UseCase, alice: User, bob: User, charlie: User
) -> None:
    decision = accepted(use_case, author=alice, ml_lead=bob, product_owner=charlie)
    newer = assessed(use_case, alice)
    job = few_shot_job(use_case, alice, right=58)
    assert advised(job)["should-we-fine-tune"].url == newer.get_absolute_url()
    job.decision = decision
    assert advised(job)["should-we-fine-tune"].url == f"/decide/assessments/{decision.assessment_id}/"


def test_without_an_assessment_the_figures_alone_leave_open_what_they_leave_open(
    client: Client, use_case: UseCase, alice: User
) -> None:
    job = few_shot_job(use_case, alice, right=20)
    found = advised(job)["should-we-fine-tune"]
    assert found.before is None
    assert found.advised is None
    client.force_login(alice)
    page = client.get(f"/jobs/{job.pk}/report/").content.decode()
    assert "Still open:</span> Have we fully explored prompting?" in page


def test_what_no_checklist_asks_for_is_said(client: Client, use_case: UseCase, alice: User) -> None:
    job = five_arm_job(use_case, alice)
    assert advised(job) == {}
    client.force_login(alice)
    assert "No checklist asks for what this report measured." in client.get(f"/jobs/{job.pk}/report/").content.decode()


def test_the_teams_checklist_says_what_it_asks_for_and_did_not_get(
    client: Client, use_case: UseCase, alice: User
) -> None:
    assessed(use_case, alice)
    job = few_shot_job(use_case, alice, right=58, arm=Arm.LORA)
    found = advised(job)
    assert [(slug, advice.advised, advice.is_new) for slug, advice in found.items()] == [
        ("should-we-fine-tune", TUNE, False)
    ]
    client.force_login(alice)
    page = client.get(f"/jobs/{job.pk}/report/").content.decode()
    assert "It asks for exact match of few-shot ≥ 0.80, which this report did not measure." in page


def test_an_arm_that_was_cancelled_on_the_way_answers_nothing(use_case: UseCase, alice: User) -> None:
    assert advised(few_shot_job(use_case, alice, right=58, partial=True)) == {}


def test_another_teams_assessment_is_not_used(use_case: UseCase, alice: User, mallory: User) -> None:
    assessed(create_use_case(name="Other", description="", created_by=mallory, members={}), mallory)
    assert advised(few_shot_job(use_case, alice, right=58))["should-we-fine-tune"].before is None


@pytest.mark.parametrize("assessments", [1, 3])
def test_advice_asks_two_queries(
    use_case: UseCase, alice: User, django_assert_num_queries: DjangoAssertNumQueries, assessments: int
) -> None:
    for _ in range(assessments):
        assessed(use_case, alice)
    job = few_shot_job(use_case, alice, right=58)
    read = reports.read_of(job)
    assert read is not None
    with django_assert_num_queries(3):
        advice_of(job, read.report)
