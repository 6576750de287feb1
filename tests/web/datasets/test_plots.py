"""The geometry of the plots: bars stand on the axis, keep their order and say what they count."""

from playbook.contracts.dataset import Split
from playbook.datasets.spec import Balance, Histogram
from playbook.web.datasets.plots import balance_plot, histogram_plot


def test_bars_fill_the_axis_and_the_last_one_holds_the_rest() -> None:
    histogram = Histogram(name="answer", low=0, width=10, counts=(2, 0, 4), median=21.0, p95=40.0, largest=99)
    plot = histogram_plot(histogram)
    assert [bar.text for bar in plot.bars] == [
        "0 to 9 characters: 2 rows",
        "10 to 19 characters: 0 rows",
        "20 to more characters: 4 rows",
    ]
    assert [round(bar.y + bar.height, 1) for bar in plot.bars] == [plot.bottom] * 3
    assert plot.bars[2].height == 2 * plot.bars[0].height
    assert [bar.x for bar in plot.bars] == sorted(bar.x for bar in plot.bars)
    assert plot.bars[1].x < plot.bars[2].x < plot.median.position <= 100
    assert plot.summary == "Length of the answer: median 21 characters, 95 % below 40, longest 99."


def test_of_many_classes_the_twelve_most_frequent_are_drawn_each_with_its_whole_name() -> None:
    """Cut after fourteen characters, classes that begin alike could not be told apart."""
    counts = tuple((f"a very long class name {n}", {Split.TRAIN: 20 - n, Split.TEST: 1}) for n in range(15))
    plot = balance_plot(Balance(field="issue", counts=counts))
    assert (len(plot.rows), plot.rows[0].label, plot.rows[0].text) == (12, "a very long class name 0", "21")
    assert plot.summary.startswith("a very long class name 0: 21, of which train 20, validation 0, test 1.")
    assert [name for _, name in plot.names] == ["train", "validation", "test"]
