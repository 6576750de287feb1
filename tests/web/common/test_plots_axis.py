"""The upright axis: what makes it logarithmic, where it ends then, and what is said of it."""

import pytest

from playbook.web.common.plots import TOP, line_plot
from playbook.web.common.plots_axis import Axis, apart, from_zero, log_ticks, without_spikes

GOOD = [2.0 * 0.95**step + 0.4 for step in range(60)]
DIVERGED = [2.0, 9.0, 60.0, *(12.0 - step / 10 for step in range(57))]
LATE = [*GOOD[:45], *(8.0 + step % 2 for step in range(15))]


@pytest.mark.parametrize(
    ("curves", "is_log"),
    [
        ([GOOD, DIVERGED], True),
        ([GOOD, LATE], True),
        ([GOOD, []], False),
        ([GOOD], False),
        ([DIVERGED], False),
        ([GOOD, [value * 3 for value in GOOD]], False),
        ([GOOD, [0.0] * 60], False),
        ([GOOD, [*GOOD[:30], 400.0, *GOOD[30:]]], False),
    ],
)
def test_the_axis_is_logarithmic_where_a_whole_curve_would_lie_at_the_foot(
    curves: list[list[float]], is_log: bool
) -> None:
    axis = apart(curves)
    assert axis.is_log == is_log
    assert is_log or axis == without_spikes(curves)


def test_on_a_logarithmic_axis_both_curves_take_much_of_the_height() -> None:
    def height(axis: Axis, curve: list[float]) -> float:
        return axis.share(max(curve)) - axis.share(min(curve))

    late = [value for value in GOOD if value < 2]
    assert height(from_zero([GOOD, DIVERGED]), late) < 0.03
    assert height(apart([GOOD, DIVERGED]), late) > 0.25
    assert height(apart([GOOD, DIVERGED]), DIVERGED) > 0.6


def test_a_logarithmic_axis_is_said_and_its_scale_is_that_of_the_powers_of_ten() -> None:
    plot = line_plot(
        "Loss",
        {"Job 1": list(enumerate(GOOD)), "Job 2": list(enumerate(DIVERGED))},
        x_label="step",
        axis_of=apart,
    )
    assert plot is not None
    assert plot.is_log
    assert plot.note == "The axis is logarithmic, so that lines far apart can all be read."
    assert plot.summary.endswith(plot.note)
    assert [tick.label for tick in plot.y_ticks] == ["1", "10"]
    _, _, low, high, bottom, top = plot.scale
    (_, y), *_ = ([float(number) for number in pair.split()] for pair in plot.series[0].path[1:].split("L"))
    assert 10 ** (low + (bottom - y) / (bottom - top) * (high - low)) == pytest.approx(GOOD[0], rel=0.01)


def test_what_falls_to_nothing_lies_at_the_foot_and_does_not_take_the_axis() -> None:
    learned = [2.0 * 0.5**step for step in range(40)] + [0.0]
    plot = line_plot(
        "Loss", {"Job 1": list(enumerate(learned)), "Job 2": list(enumerate(DIVERGED))}, x_label="step", axis_of=apart
    )
    assert plot is not None
    assert plot.note.endswith("can all be read; values below 0.0072 lie at its foot.")
    assert (plot.series[0].last_y, plot.marks, plot.drawn_top) == (plot.bottom, (), 0)
    assert plot.y_ticks[0].position > TOP


def test_ticks_of_a_logarithmic_axis_are_powers_of_ten_or_2_and_5_times_these() -> None:
    assert log_ticks(-0.2, 0.9) == [1.0, 2.0, 5.0]
    assert log_ticks(-3.5, 0.5) == [0.001, 0.01, 0.1, 1.0]


@pytest.mark.parametrize(
    ("values", "low", "high"),
    [([-3.0, -1.0], -3.0, 0.0), ([-3.0, 0.0], -3.0, 0.0), ([0.0, 0.0], 0.0, 1.0), ([-2.0, 4.0], -2.0, 4.2)],
)
def test_an_axis_from_zero_holds_zero_and_every_value(values: list[float], low: float, high: float) -> None:
    """Values below zero alone had an axis that ended below the highest of them."""
    axis = from_zero([values])
    assert [axis.low, axis.high] == pytest.approx([low, high])
    assert not any(map(axis.ends_below, values))
