"""The scatter of foretold against measured: places, band, ticks."""

import doctest

from playbook.web.common import plots_scatter
from playbook.web.common.plots_scatter import ScatterPoint, log_ticks, scatter_plot


def test_the_examples_in_the_module_hold() -> None:
    assert doctest.testmod(plots_scatter).failed == 0


def test_a_point_on_the_diagonal_lies_within_and_one_beside_the_band_does_not() -> None:
    points = [ScatterPoint("a", 10, 10), ScatterPoint("b", 10, 12.1), ScatterPoint("c", 0, 5)]
    plot = scatter_plot("Time", points, tolerance=0.2, unit="s")
    assert plot is not None
    assert [(dot.label, dot.within) for dot in plot.dots] == [("a", True), ("b", False)]
    assert plot.dots[0].x == plot.dots[1].x
    assert plot.dots[0].y > plot.dots[1].y
    assert plot.summary == "Time, foretold against measured: 1 of 2 jobs within ±20 %."
    x1, y1, x2, y2 = plot.diagonal
    assert (x1, y1, x2, y2) == (plot.left, plot.bottom, plot.right, plot.top)


def test_without_a_point_there_is_no_plot() -> None:
    assert scatter_plot("Time", [ScatterPoint("a", 0, 0)], tolerance=0.2, unit="s") is None


def test_wide_ranges_have_powers_of_ten_alone() -> None:
    assert log_ticks(1, 1_000_000) == [1.0, 10.0, 100.0, 1000.0, 10_000.0, 100_000.0, 1_000_000.0]


def test_narrow_ranges_have_even_steps() -> None:
    assert log_ticks(1.3, 4.5) == [2.0, 3.0, 4.0]
