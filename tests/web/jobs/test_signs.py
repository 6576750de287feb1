"""Signs that a run needs a look: each speaks when it should, and is silent on a healthy run."""

from datetime import UTC, datetime, timedelta

import pytest

from playbook.contracts.events import EVENT, Preflight
from playbook.contracts.states import EndReason
from playbook.web.jobs import signs
from playbook.web.jobs.levels import Point
from playbook.web.jobs.signs import Pulse
from playbook.web.jobs.signs import signs as all_signs
from tests.web.jobs.announced import ENDLESS, SAMPLE, preflight

NOW = datetime(2025, 6, 1, 12, tzinfo=UTC)


def found_in(**changes: object) -> Preflight:
    event = EVENT.validate_python({"at": NOW, **preflight(**changes)})  # type: ignore[arg-type]
    assert isinstance(event, Preflight)
    return event


def falling(steps: int = 40) -> list[Point]:
    return [(step, 2.0 / step) for step in range(1, steps + 1)]


def test_a_healthy_run_has_no_sign() -> None:
    validation = [(10, 1.0), (20, 0.8), (30, 0.79), (40, 0.795)]
    pulse = Pulse(NOW - timedelta(seconds=59), 2.0)
    assert (
        all_signs(
            train=falling(),
            validation=validation,
            not_finite_step=None,
            preflight=found_in(),
            pulse=pulse,
            heard_at=NOW,
            now=NOW,
        )
        == []
    )


def test_overfitting_is_validation_rising_twice_while_training_falls() -> None:
    sign = signs.overfitting(falling(), [(10, 0.5), (20, 0.6), (30, 0.7)])
    assert sign is not None
    assert sign.kind == "overfitting"
    assert sign.text.startswith("Validation loss was lowest at step 10 (0.5) and is 0.7 at step 30")


def test_an_overfitted_job_that_keeps_its_best_weights_is_not_told_to_run_again_for_them() -> None:
    validation = [(10, 0.5), (20, 0.6), (30, 0.7)]
    last, best = (signs.overfitting(falling(), validation, keeps_best=kept) for kept in (False, True))
    assert last is not None
    assert best is not None
    assert "load_best_model_at_end hands over the weights of that step." in last.advice
    assert best.advice.startswith("The weights of that step are handed over")
    assert "Clone" not in best.advice


@pytest.mark.parametrize(
    ("train", "validation"),
    [
        (falling(), [(10, 0.5), (20, 0.6)]),  # too few
        (falling(), [(10, 0.7), (20, 0.5), (30, 0.6)]),  # risen once
        (falling(), [(10, 0.500), (20, 0.505), (30, 0.506)]),  # within noise
        ([(step, float(step)) for step in range(1, 41)], [(10, 0.5), (20, 0.6), (30, 0.7)]),  # training rises too
        ([], [(10, 0.5), (20, 0.6), (30, 0.7)]),
    ],
)
def test_overfitting_is_not_said_too_early(train: list[Point], validation: list[Point]) -> None:
    assert signs.overfitting(train, validation) is None


def test_divergence_is_a_value_that_is_no_number_or_a_loss_far_above_its_best() -> None:
    lost = signs.divergence([], not_finite_step=17)
    assert lost is not None
    assert lost.text.startswith("A metric of step 17 was not a finite number")
    risen = signs.divergence([*falling(20), *((step, 4.0) for step in range(21, 31))], not_finite_step=None)
    assert risen is not None
    assert risen.text == "Training loss is at 4, after 0.129 in its best stretch of 10 points."


def test_a_loss_thrown_up_at_once_is_divergence_though_its_last_stretch_is_its_best() -> None:
    thrown = [(1, 1.9), (2, 12.0), (3, 80.0), *((step, 40.0 / step + 4.0) for step in range(4, 31))]
    sign = signs.divergence(thrown, not_finite_step=None, ended=EndReason.COMPLETED)
    assert sign is not None
    assert (sign.title, sign.text) == ("Diverged", "Training loss ended at 5.57, and began at 1.9.")
    back = [(step, min(value, 2.8)) for step, value in thrown]
    assert signs.divergence(back, not_finite_step=None) is None


@pytest.mark.parametrize(
    "train", [[(1, 1.0), (2, 9.0)], [*falling(20), (21, 9.0)], [(step, 0.1 + step % 2) for step in range(40)]]
)
def test_one_jump_is_no_divergence(train: list[Point]) -> None:
    assert signs.divergence(train, not_finite_step=None) is None


@pytest.mark.parametrize(
    ("silent_seconds", "seconds_per_step", "stalls"),
    [(61, 1.0, True), (59, 1.0, False), (99, 10.0, False), (101, 10.0, True), (9999, None, False)],
)
def test_a_stall_is_ten_steps_of_silence_and_a_minute_at_least(
    silent_seconds: float, seconds_per_step: float | None, stalls: bool
) -> None:
    sign = signs.stall(Pulse(NOW - timedelta(seconds=silent_seconds), seconds_per_step), NOW)
    assert (sign is not None) is stalls


def test_a_long_silence_is_said_in_minutes() -> None:
    sign = signs.stall(Pulse(NOW - timedelta(seconds=1244), 2.5), NOW)
    assert sign is not None
    assert sign.text == "The last metric came 20 min 44 s ago; a step takes about 2.5 s."


def test_ten_minutes_without_progress_are_a_stall_where_no_step_was_timed() -> None:
    assert signs.silence(NOW - timedelta(seconds=599), NOW) is None
    assert signs.silence(None, NOW) is None
    sign = signs.silence(NOW - timedelta(seconds=605), NOW)
    assert sign is not None
    assert (sign.kind, sign.text) == (
        "stall",
        "Nothing was measured, and no progress told, for 10 min 05 s.",
    )


def test_rows_that_are_dropped_or_cut_are_counted_by_split() -> None:
    sign = signs.truncation(found_in(dropped_rows=2, truncated_rows=1, lost_tokens=77))
    assert sign is not None
    assert sign.text == "train: 2 dropped and 1 cut of 42 rows, 77 tokens lost. The preflight names the lines."
    assert signs.truncation(found_in()) is None
    assert signs.truncation(None) is None


def test_a_turn_that_is_not_ended_names_its_rows() -> None:
    sign = signs.endless(found_in(samples=[SAMPLE, ENDLESS]))
    assert sign is not None
    assert sign.text.startswith("In train line 9 the last learned token does not end the turn")
    assert signs.endless(None) is None


def test_the_gravest_comes_first_and_every_sign_says_what_to_do() -> None:
    found = all_signs(
        train=falling(),
        validation=[(10, 0.5), (20, 0.6), (30, 0.7)],
        not_finite_step=3,
        preflight=found_in(samples=[ENDLESS], dropped_rows=1),
        pulse=Pulse(NOW - timedelta(hours=1), 1.0),
        heard_at=NOW - timedelta(hours=1),
        now=NOW,
    )
    assert [sign.kind for sign in found] == ["divergence", "endless", "stall", "overfitting", "truncation"]
    assert all(sign.advice.endswith(".") for sign in found)
