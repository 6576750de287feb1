"""How well we foretell: each decision's forecast against its last recorded outcome. Reads alone.

A forecast is scored by Brier (Monthly Weather Review 78, 1950): the mean squared difference between the probability
that was said and what came, 1 when the promise was met and 0 when it was missed. 0 is best; who always says 50 % gets
0.25. An inconclusive outcome is neither, so it is shown and not scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import OuterRef, Subquery

from playbook.scoring.statistics import wilson_interval
from playbook.web.accounts.models import User
from playbook.web.common.plots import IntervalPlot, interval_plot
from playbook.web.decisions.criterion import Verdict
from playbook.web.outcomes.models import OutcomeReview

#: The bins of the plot: so many, of equal width.
BINS = 5
#: Decisions drawn in the plot of values, the newest.
DRAWN = 12


@dataclass(frozen=True)
class Forecast:
    """What was said before the run, and what came."""

    outcome: OutcomeReview
    probability: float
    expected: float

    @property
    def came(self) -> int | None:
        """1 when met, 0 when missed, None when nobody can tell."""
        return {Verdict.MET: 1, Verdict.MISSED: 0}.get(Verdict(self.outcome.verdict))


@dataclass(frozen=True)
class Calibration:
    """`brier` is None without a scored forecast; the plots are None without anything to draw."""

    rows: tuple[Forecast, ...]
    scored: int
    met: int
    brier: float | None
    said: IntervalPlot | None
    values: IntervalPlot | None


def calibration_of(user: User) -> Calibration:
    """Return the forecasts of all decisions that the user may see. One query."""
    last = OutcomeReview.objects.filter(decision=OuterRef("decision")).order_by("-pk").values("pk")[:1]
    outcomes = OutcomeReview.objects.visible_to(user).filter(
        pk=Subquery(last), decision__forecast_probability__isnull=False
    )
    rows = tuple(
        Forecast(outcome, float(outcome.decision.forecast_probability), float(outcome.decision.forecast_value))
        for outcome in outcomes.select_related("decision")
        if outcome.decision.forecast_probability is not None and outcome.decision.forecast_value is not None
    )
    scored = [(row.probability, row.came) for row in rows if row.came is not None]
    return Calibration(
        rows=rows,
        scored=len(scored),
        met=sum(came for _, came in scored),
        brier=brier_score(scored) if scored else None,
        said=_said_plot(scored),
        values=_values_plot(rows[:DRAWN]),
    )


def brier_score(scored: Sequence[tuple[float, int]]) -> float:
    """Return the mean of (probability - what came)². `scored` is not empty.

    >>> brier_score([(1.0, 1), (0.5, 0)])
    0.125
    """
    return sum((probability - came) ** 2 for probability, came in scored) / len(scored)


def _said_plot(scored: Sequence[tuple[float, int]]) -> IntervalPlot | None:
    """Return a row for each bin of probabilities: the share of its promises that were met."""
    if not scored:
        return None
    rows = []
    for place in range(BINS):
        inside = [came for probability, came in scored if min(int(probability * BINS), BINS - 1) == place]
        if inside:
            low, high = wilson_interval(sum(inside), len(inside))
            label = f"{100 * place // BINS}–{100 * (place + 1) // BINS} % ({len(inside)})"
            rows.append((label, sum(inside) / len(inside), low, high))
    return interval_plot(
        rows,
        caption="Share of the promises that were met, with the 95 % interval; in brackets, how many promises. A "
        "forecast was good where its own range, on the left, lies within the interval.",
    )


def _values_plot(rows: Sequence[Forecast]) -> IntervalPlot | None:
    """Return a row for each decision: what was expected in its label, what was measured with its interval."""
    if not rows:
        return None
    return interval_plot(
        [
            (
                f"D-{row.outcome.decision.number} ({row.expected * 100:.0f} %)",
                row.outcome.value,
                row.outcome.low,
                row.outcome.high,
            )
            for row in rows
        ]
    )
