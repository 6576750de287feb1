"""What the validation curve is marked with: its lowest point, and where early stopping ended training."""

from typing import Any

import pytest
from django.test import Client

from playbook.contracts.run_spec import TrainingSettings
from playbook.contracts.states import JobState
from playbook.web.accounts.models import User
from playbook.web.common.plots import Landmark, Sign
from playbook.web.jobs.landmarks import landmarks_of
from playbook.web.jobs.levels import Point
from playbook.web.jobs.models import Job
from playbook.web.usecases.models import UseCase
from tests.web.jobs.announced import metric
from tests.web.jobs.ended import claimed_job, send_events
from tests.web.jobs.factories import make_spec

CURVE: list[Point] = [(10, 0.9), (20, 0.7), (30, 0.75), (40, 0.8)]


def settings(**changes: Any) -> TrainingSettings:
    return TrainingSettings.model_validate({"max_steps": 90, "eval_steps": 10, **changes})


@pytest.mark.parametrize(
    ("state", "is_best_kept", "text"),
    [
        (JobState.RUNNING, True, "Lowest validation loss so far, 0.7 at step 20"),
        (JobState.FAILED, True, "Lowest validation loss, 0.7 at step 20"),
        (JobState.SUCCEEDED, True, "Lowest validation loss, 0.7 at step 20: these weights were handed over"),
        (JobState.SUCCEEDED, False, "Lowest validation loss, 0.7 at step 20: the weights of step 40 were handed over"),
    ],
)
def test_the_lowest_validation_loss_is_ringed_and_says_which_weights_were_taken(
    state: JobState, is_best_kept: bool, text: str
) -> None:
    found = landmarks_of(CURVE, settings(load_best_model_at_end=is_best_kept), state=state)
    assert found == (Landmark(Sign.RING, 20, 0.7, text),)


def test_of_equal_losses_the_first_is_the_best_as_in_the_trainer() -> None:
    (found,) = landmarks_of([(10, 0.9), (20, 0.7), (30, 0.7)], settings(), state=JobState.RUNNING)
    assert found.x == 20


@pytest.mark.parametrize(
    ("curve", "patience", "max_steps", "ended"),
    [
        (CURVE, 2, 90, True),
        (CURVE, 3, 90, False),
        (CURVE, None, 90, False),
        (CURVE, 2, 40, False),  # it was over anyway
        ([*CURVE, (50, 0.6)], 2, 90, False),
    ],
)
def test_where_early_stopping_ended_training_a_line_is_drawn(
    curve: list[Point], patience: int | None, max_steps: int, ended: bool
) -> None:
    training = settings(early_stopping_patience=patience, max_steps=max_steps)
    rules = [mark for mark in landmarks_of(curve, training, state=JobState.RUNNING) if mark.sign is Sign.RULE]
    assert rules == ([Landmark(Sign.RULE, 40, 0.8, "Early stopping ended training at step 40 of 90")] if ended else [])


@pytest.mark.parametrize("curve", [[], CURVE[:1]])
def test_one_check_is_no_landmark(curve: list[Point]) -> None:
    assert landmarks_of(curve, settings(), state=JobState.RUNNING) == ()


def test_the_page_draws_both_and_tells_them_by_shape_and_in_words(
    client: Client, use_case: UseCase, alice: User
) -> None:
    spec = make_spec(max_steps=90)
    spec = spec.model_copy(update={"training": spec.training.model_copy(update={"early_stopping_patience": 2})})
    attempt = claimed_job(use_case, alice, spec=spec)
    send_events(
        attempt,
        {"kind": "stage_started", "stage": "training"},
        *(metric(step, train_loss=1 / step) for step in range(1, 41)),
        *(metric(step, validation_loss=loss) for step, loss in CURVE),
    )
    client.force_login(alice)
    page = client.get(Job.objects.get().get_absolute_url()).content.decode()
    lowest, ended = "Lowest validation loss so far, 0.7 at step 20", "Early stopping ended training at step 40 of 90"
    assert f'r="6"><title>{lowest}</title></circle>' in page
    assert f"<title>{ended}</title></line>" in page
    assert page.count(f"</svg>{lowest}</span>") == page.count(f"</svg>{ended}</span>") == 1
    assert f"{lowest}. {ended}." in page, "what is read aloud of the plot"
