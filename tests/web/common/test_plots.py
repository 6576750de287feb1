"""Plots: geometry, ticks, labels that do not collide, values that are not finite."""

import doctest
import math
from itertools import pairwise

import pytest

from playbook.web.common import plots, plots_axis
from playbook.web.common.plots import TOP, interval_plot, line_plot, smoothed, stacked_plot
from playbook.web.common.plots_axis import end_without_spikes, nice_ticks, number_text, without_spikes


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 1.24, [0.0, 0.5, 1.0]),
        (0, 30, [0, 10, 20, 30]),
        (1, 30, [10, 20, 30]),
        (0.003, 0.009, [0.004, 0.006, 0.008]),
        (-1, 1, [-1.0, -0.5, 0.0, 0.5, 1.0]),
        (5, 5, [5]),
    ],
)
def test_ticks_are_round_numbers_inside_the_range(low: float, high: float, expected: list[float]) -> None:
    assert nice_ticks(low, high) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (1.2413, "1.24"),
        (0.003123, "0.00312"),
        (12345.6, "12,346"),
        (1_250_000, "1,250,000"),
        (1.2345e12, "1.23e12"),
        (-1e38, "-1e38"),
        (30, "30"),
        (0.00001, "1e-5"),
        (0.000025, "2.5e-5"),
        (3e-12, "3e-12"),
        (1e-4 - 1e-12, "0.0001"),
    ],
)
def test_number_text_keeps_three_digits(value: float, text: str) -> None:
    assert number_text(value) == text


def test_line_plot_places_first_and_last_point_on_the_frame() -> None:
    plot = line_plot("Loss", {"Training": [(1, 2.0), (11, 0.0)]}, x_label="step")
    assert plot is not None
    (line,) = plot.series
    assert line.path == f"M0.0 {line.path.split(' ')[1].split('L')[0]}L100.0 {plot.bottom}.0"
    assert line.last == "0"
    assert plot.summary == "Loss by step. Training: from 2 at 1 to 0 at 11."


def test_line_plot_without_a_finite_point_is_none() -> None:
    assert line_plot("Loss", {"Training": [(1, math.nan)], "Validation": []}, x_label="step") is None


def test_line_plot_leaves_out_values_that_are_not_finite() -> None:
    plot = line_plot("Loss", {"Training": [(1, 1.0), (2, math.inf), (3, 0.5)]}, x_label="step")
    assert plot is not None
    assert plot.series[0].points == ((1.0, 1.0), (3.0, 0.5))


def test_line_plot_of_one_point_has_a_frame() -> None:
    plot = line_plot("Loss", {"Training": [(3, 1.0)]}, x_label="step")
    assert plot is not None
    assert [tick.label for tick in plot.x_ticks][:1] == ["3"]


def test_end_labels_of_lines_that_meet_are_kept_apart() -> None:
    plot = line_plot("Loss", {"a": [(0, 1), (1, 0.5)], "b": [(0, 1), (1, 0.501)]}, x_label="step")
    assert plot is not None
    first, second = sorted(line.end_y for line in plot.series)
    assert second - first >= 15
    assert [line.name for line in plot.series] == ["a", "b"]


def test_interval_plot_places_value_between_low_and_high_and_draws_the_rule() -> None:
    plot = interval_plot([("LoRA", 0.9, 0.8, 0.95)], threshold=0.8, threshold_label="criterion 80 %")
    (row,) = plot.rows
    assert row.x_low < row.x < row.x_high
    assert plot.rule is not None
    assert plot.rule.position == row.x_low
    assert plot.summary == "LoRA: 90 % (80–95)."


def test_a_running_curve_leaves_room_for_the_steps_to_come() -> None:
    plot = line_plot("Loss", {"Training": [(1, 1.0), (2, 0.5)]}, x_label="step", x_max=40)
    assert plot is not None
    assert [tick.label for tick in plot.x_ticks] == ["10", "20", "30", "40"]
    assert plot.series[0].end_x < 10


def test_a_step_axis_has_whole_numbers_alone() -> None:
    plot = line_plot("Loss", {"Training": [(1, 1.0), (2, 0.5)]}, x_label="step")
    assert plot is not None
    assert [tick.label for tick in plot.x_ticks] == ["1", "2"]


def test_stacked_plot_places_parts_end_to_end_on_one_scale() -> None:
    plot = stacked_plot(
        [("Small", [("a", 1.0), ("b", 0.0), ("c", 1.0)]), ("Large", [("a", 4.0), ("b", 2.0), ("c", 2.0)])],
        text=lambda size: f"{size:.0f} MB",
    )

    assert [(row.label, row.text) for row in plot.rows] == [("Small", "2 MB"), ("Large", "8 MB")]
    assert [(part.number, part.x, part.width) for part in plot.rows[0].segments] == [(1, 0.0, 12.5), (3, 12.5, 12.5)]
    assert [part.x for part in plot.rows[1].segments] == [0.0, 50.0, 75.0]
    assert plot.names == ((1, "a"), (2, "b"), (3, "c"))
    assert plot.summary == (
        "Small: 2 MB, of which a 1 MB, b 0 MB, c 1 MB. Large: 8 MB, of which a 4 MB, b 2 MB, c 2 MB."
    )
    assert [tick.label for tick in plot.x_ticks] == ["0 MB", "2 MB", "4 MB", "6 MB", "8 MB"]


def test_stacked_plot_of_nothing_is_empty() -> None:
    plot = stacked_plot([("None", [("a", 0.0)])], text=str)

    assert plot.rows[0].segments == ()


def test_many_lines_each_have_a_label_inside_the_plot_and_a_look_of_their_own() -> None:
    plot = line_plot(
        "GPU memory", {f"GPU {number}": [(0, 60 + number), (9, 60 + number)] for number in range(16)}, x_label="second"
    )
    assert plot is not None
    places = sorted(line.end_y for line in plot.series)
    assert places[0] >= 0
    assert places[-1] <= plot.bottom
    assert min(after - before for before, after in pairwise(places)) >= 15
    assert len({(line.colour, line.again) for line in plot.series}) == 16


@pytest.mark.parametrize("points", [[(1, 2.5), (250_000, 0.125)], [(3, -1.0), (7, 4.0)], [(5, 0.0)]])
def test_the_scale_leads_from_a_place_on_the_plot_back_to_the_point(points: list[tuple[float, float]]) -> None:
    plot = line_plot("Loss", {"Training": points}, x_label="step", x_max=300_000)
    assert plot is not None
    left, right, low, high, bottom, top = plot.scale
    read = []
    for place in plot.series[0].path.removeprefix("M").split("L"):
        x, y = map(float, place.split())
        read.append((round(left + x / 100 * (right - left)), low + (bottom - y) / (bottom - top) * (high - low)))
    assert [step for step, _ in read] == [step for step, _ in points]
    assert [value for _, value in read] == pytest.approx([value for _, value in points], abs=1e-3)


def test_what_a_curve_was_smoothed_from_lies_under_it_in_its_colour_and_shares_its_axes() -> None:
    each = [(float(step), 9.0 if step == 30 else 1.0) for step in range(60)]
    plot = line_plot(
        "Loss", {"Validation": [(0, 2.0)], "Training": smoothed(each)}, x_label="step", under={"Training": each}
    )
    assert plot is not None
    (faint,), (_, strong) = plot.under, plot.series
    assert (faint.name, faint.number, faint.points) == ("Training, each step", strong.number, tuple(each))
    assert strong.last == "1"
    assert [tick.label for tick in plot.y_ticks] == ["0", "2", "4", "6", "8"]


def test_the_examples_in_the_module_hold() -> None:
    assert [doctest.testmod(module).failed for module in (plots, plots_axis)] == [0, 0]


def test_a_spike_leaves_the_other_values_readable_and_is_marked_and_said() -> None:
    """One value of 400 drew all others of a loss around 1 as a line along the foot."""
    losses = [(step, 400.0 if step == 12 else 1 + step / 100) for step in range(1, 41)]
    plot = line_plot("Loss", {"Training": losses}, x_label="step", axis_of=without_spikes)
    assert plot is not None
    x_low, _, _, y_high, bottom, top = plot.scale
    assert (x_low, bottom, top) == (1, plot.bottom, TOP)
    assert 2 < y_high < 3
    (line,) = plot.series
    drawn = [tuple(map(float, point.split())) for point in line.path.removeprefix("M").split("L")]
    # The script reads values off the path, so it holds the spike where it is; what is drawn ends at the top.
    assert [place for place, (_, y) in enumerate(drawn) if y < TOP] == [11]
    assert drawn[11][1] == pytest.approx(bottom - 400 / y_high * (bottom - top), abs=0.01)
    assert [(mark.position, mark.colour) for mark in plot.marks] == [(drawn[11][0], 1)]
    assert plot.note == f"The axis ends at {number_text(y_high)}; ▲ marks higher values, up to 400 at step 12."
    assert plot.summary.endswith(plot.note)


def test_a_line_that_ends_above_the_axis_has_its_label_and_ends_where_pixels_do() -> None:
    losses = [*((step, 1.0) for step in range(1, 40)), (40, 1e30)]
    plot = line_plot("Loss", {"Training": losses}, x_label="step", axis_of=without_spikes)
    assert plot is not None
    assert (plot.series[0].end_y, plot.series[0].last) == (TOP, "1e30")
    assert plot.series[0].path.endswith("L100.0 -10000000.0")


def test_marks_beside_each_other_are_thinned() -> None:
    many = [*((step, 1.0) for step in range(1_000)), *((step, 50.0) for step in range(1_000, 1_080))]
    plot = line_plot("Loss", {"Training": many}, x_label="step", axis_of=without_spikes)
    assert plot is not None
    assert 2 < len(plot.marks) < 8


@pytest.mark.parametrize(
    "losses",
    [
        [4.0 * 0.9**step + 0.5 for step in range(90)],
        [0.0] * 50 + [1.0],
        [1.0, 1.0, 300.0],
        [1.0] * 20 + [300.0] * 20,
    ],
)
def test_what_falls_as_losses_do_and_what_is_half_of_the_run_is_not_cut(losses: list[float]) -> None:
    assert end_without_spikes(losses) == max(losses)


def test_marks_of_values_without_end_have_room_beside_the_plot() -> None:
    """They were written out, digit by digit, far beyond the left border."""
    plot = line_plot("Gradient norm", {"Gradient norm": [(1, 2.0), (2, 3.1e14)]}, x_label="step")
    assert plot is not None
    assert [tick.label for tick in plot.y_ticks] == ["0", "1e14", "2e14", "3e14"]
    assert plot.summary == "Gradient norm by step. Gradient norm: from 2 at 1 to 3.1e14 at 2."
