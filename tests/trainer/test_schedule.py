from dataclasses import replace
from typing import Any

import pytest

from playbook.contracts.run_spec import RunSpec, TrainingSettings
from playbook.trainer.schedule import PACE_STEPS, Pace, Workload, learning_rate_at, step_cost
from tests.trainer.conftest import MakeRun


def rates(kind: str, *, max_steps: int = 6, warmup_steps: int = 2) -> list[float]:
    settings = TrainingSettings.model_validate(
        {"learning_rate": 0.6, "max_steps": max_steps, "warmup_steps": warmup_steps, "lr_scheduler_type": kind}
    )
    return [round(learning_rate_at(step, settings), 4) for step in range(max_steps)]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("linear", [0.2, 0.4, 0.6, 0.45, 0.3, 0.15]),
        ("cosine", [0.2, 0.4, 0.6, 0.5121, 0.3, 0.0879]),
        ("constant", [0.2, 0.4, 0.6, 0.6, 0.6, 0.6]),
    ],
)
def test_learning_rate_warms_up_to_the_peak_and_never_is_zero(kind: str, expected: list[float]) -> None:
    assert rates(kind) == expected


def test_a_warm_up_longer_than_the_run_only_rises() -> None:
    assert rates("linear", max_steps=2, warmup_steps=5) == [0.1, 0.2]


def test_remaining_time_covers_steps_validations_and_answers() -> None:
    work = Workload(training_step=800, validation=4000, validations=4, generated_tokens=1000)

    remaining = [work.remaining_after(step, max_steps=40, seconds_per_step=2.0, eval_steps=10) for step in (1, 20, 40)]

    # 2 s a step is 2.5 ms a position: a validation takes 3.5 s, the answers 7.5 s.
    assert remaining == [pytest.approx(99.5), pytest.approx(54.5), pytest.approx(7.5)]


def test_a_step_during_which_the_machine_slept_does_not_change_what_is_left() -> None:
    work = Workload(training_step=800, validation=0, validations=0, generated_tokens=0)
    pace = Pace()
    left = []
    for step, seconds in enumerate((9.0, 2.0, 2.0, 2.0, 600.0, 2.0), start=1):
        pace.step_done(tokens=800, seconds=seconds)
        per_step = pace.seconds_per_token * work.training_step
        left.append(work.remaining_after(step, max_steps=40, seconds_per_step=per_step, eval_steps=10))

    assert left[2:] == [pytest.approx(2.0 * steps) for steps in (37, 36, 35, 34)]


def test_a_machine_that_has_become_slower_is_believed_after_half_the_steps_that_are_looked_at() -> None:
    pace = Pace()
    for seconds in [2.0] * 90 + [4.0] * (PACE_STEPS // 2 + 1):
        pace.step_done(tokens=100, seconds=seconds)

    assert pace.seconds_per_token == 0.04


def test_answers_take_as_long_whatever_a_step_of_training_costs() -> None:
    work = Workload(training_step=800, validation=0, validations=0, generated_tokens=1000, prompt_tokens=800)
    dear = replace(work, step_cost=1.7)

    plain, slower = (
        one.remaining_after(10, max_steps=12, seconds_per_step=seconds, eval_steps=100)
        for one, seconds in ((work, 2.0), (dear, 3.4))
    )

    assert slower - plain == pytest.approx(2 * (3.4 - 2.0))


@pytest.mark.parametrize(
    ("changed", "dearer"),
    [
        ({}, False),
        ({"method": "full"}, True),
        ({"lora": {"use_dora": True}}, True),
        ({"lora": {"lora_dropout": 0.1}}, True),
    ],
)
def test_a_step_that_does_more_than_plain_lora_costs_more(make_run: MakeRun, changed: Any, dearer: bool) -> None:
    spec = RunSpec.model_validate_json((make_run(**changed) / "spec.json").read_bytes())

    assert (step_cost(spec) > 1) is dearer
