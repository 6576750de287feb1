"""The estimate: larger with more work, and learning from jobs that have run."""

from datetime import timedelta
from pathlib import Path

import pytest

from playbook.contracts.report import Report
from playbook.contracts.run_spec import Arm, CostSettings, EvaluationSettings, RunSpec
from playbook.web.accounts.models import User
from playbook.web.jobs.estimate import (
    ASSUMED_FLOPS_PER_SECOND,
    FIXED_SECONDS,
    FLOAT32_COST,
    GENERAL_TOKENS,
    estimate,
)
from playbook.web.jobs.models import Job
from playbook.web.usecases.models import UseCase
from tests.web.jobs.ended import succeeded_job
from tests.web.jobs.factories import make_spec

PARAMETERS = 135_000_000
CONTENT = Path(__file__).parents[3] / "content"


def with_arms(*arms: Arm, max_steps: int = 30, **evaluation: object) -> RunSpec:
    spec = make_spec(max_steps=max_steps)
    return spec.model_copy(update={"evaluation": EvaluationSettings.model_validate({"arms": arms, **evaluation})})


def test_a_job_that_trains_nothing_counts_no_training(db: None) -> None:
    few, many = (estimate(with_arms(Arm.ZERO_SHOT, max_steps=steps), parameters=PARAMETERS) for steps in (10, 1000))
    assert (few.training_tokens, many.seconds) == (0, few.seconds)


def test_every_arm_repeat_and_example_counts(db: None) -> None:
    seconds = [
        estimate(spec, parameters=PARAMETERS).seconds
        for spec in (
            with_arms(Arm.ZERO_SHOT),
            with_arms(Arm.ZERO_SHOT, Arm.FEW_SHOT),
            with_arms(Arm.ZERO_SHOT, Arm.FEW_SHOT, few_shot_examples=64),
            with_arms(Arm.ZERO_SHOT, Arm.FEW_SHOT, few_shot_examples=64, repeats=3),
            with_arms(Arm.ZERO_SHOT, Arm.FEW_SHOT, Arm.RAG, few_shot_examples=64, repeats=3),
        )
    ]
    assert seconds == sorted(set(seconds))
    repeated = with_arms(Arm.ZERO_SHOT, Arm.FEW_SHOT, repeats=3)
    assert estimate(repeated, parameters=PARAMETERS).test_answers == 4 * repeated.measured_rows.rows


def test_the_general_set_counts_where_something_is_trained(db: None) -> None:
    spec = with_arms(Arm.LORA, max_steps=1, max_new_tokens=1)
    found = estimate(spec, parameters=PARAMETERS).seconds - FIXED_SECONDS
    assert found > 2 * PARAMETERS * 2 * GENERAL_TOKENS / ASSUMED_FLOPS_PER_SECOND


def test_answers_in_float32_take_longer_and_training_does_not(db: None) -> None:
    def seconds(*arms: Arm, dtype: str, max_steps: int = 30) -> float:
        spec = with_arms(*arms, max_steps=max_steps, evaluation_dtype=dtype)
        return estimate(spec, parameters=PARAMETERS).seconds - FIXED_SECONDS

    assert seconds(Arm.ZERO_SHOT, dtype="float32") == pytest.approx(FLOAT32_COST * seconds(Arm.ZERO_SHOT, dtype="auto"))
    longer = [
        seconds(Arm.LORA, dtype=dtype, max_steps=1000) - seconds(Arm.LORA, dtype=dtype) for dtype in ("auto", "float32")
    ]
    assert longer[1] == pytest.approx(longer[0])


def test_a_finished_job_in_bfloat16_tells_how_long_float32_takes(use_case: UseCase, alice: User) -> None:
    job = succeeded_job(use_case, alice)
    assert job.started_at is not None
    Job.objects.filter(pk=job.pk).update(ended_at=job.started_at + timedelta(seconds=FIXED_SECONDS + 100))
    exact = job.run_spec.evaluation.model_copy(update={"evaluation_dtype": "float32"})
    found = estimate(job.run_spec.model_copy(update={"evaluation": exact}), parameters=PARAMETERS).seconds
    assert FIXED_SECONDS + 100 < found < FIXED_SECONDS + FLOAT32_COST * 100


def test_more_steps_take_longer(db: None) -> None:
    few, many = (estimate(with_arms(Arm.LORA, max_steps=steps), parameters=PARAMETERS) for steps in (10, 1000))
    assert few.seconds < many.seconds
    assert many.training_tokens == 100 * few.training_tokens


def test_without_history_the_assumption_is_stated(db: None) -> None:
    assert estimate(make_spec(), parameters=PARAMETERS).basis.startswith("No finished job with this base model yet")


def test_with_history_the_same_job_takes_as_long_as_it_took(use_case: UseCase, alice: User) -> None:
    job = succeeded_job(use_case, alice)
    assert job.started_at is not None
    Job.objects.filter(pk=job.pk).update(ended_at=job.started_at + timedelta(seconds=FIXED_SECONDS + 123))
    found = estimate(job.run_spec, parameters=PARAMETERS)
    assert found.seconds == pytest.approx(FIXED_SECONDS + 123)
    assert found.basis == "Scaled from 1 finished job with this base model."


def test_the_cost_is_said_where_an_hour_has_a_price(db: None) -> None:
    spec = with_arms(Arm.LORA)
    found = estimate(spec, parameters=PARAMETERS)
    assert (found.cost, found.currency) == (None, "")
    priced = spec.model_copy(update={"cost": CostSettings(hour_rate=36.0, currency="USD")})
    assert estimate(priced, parameters=PARAMETERS).cost == pytest.approx(found.seconds / 100)
    assert estimate(priced, parameters=PARAMETERS).currency == "USD"


@pytest.mark.parametrize("slug", ["support-tickets", "company-facts", "order-numbers"])
def test_without_history_the_shipped_experiments_are_estimated_near_what_they_took(db: None, slug: str) -> None:
    report = Report.model_validate_json((CONTENT / f"reports/{slug}/report.json").read_bytes())
    took = (report.finished_at - report.started_at).total_seconds()
    assert took * 0.6 < estimate(report.spec, parameters=PARAMETERS).seconds < took * 1.7
