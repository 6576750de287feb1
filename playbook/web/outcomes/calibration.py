"""How well we foretell: each decision's forecast against its last recorded outcome. Reads alone.

A forecast is scored by Brier (Monthly Weather Review 78, 1950): the mean squared difference between the probability
that was said and what came, 1 when the promise was met and 0 when it was missed. 0 is best; who always says 50 % gets
0.25. An inconclusive outcome is neither, so it is shown and not scored.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import Count, Max

from playbook.scoring.statistics import wilson_interval
from playbook.web.accounts.models import User
from playbook.web.common.plots import IntervalPlot, interval_plot
from playbook.web.decisions.criterion import Verdict
from playbook.web.outcomes.models import OutcomeReview, OutcomeReviewQuerySet

#: The bins of the plot: so many, of equal width.
BINS = 5
#: Decisions drawn in the plot of values, the newest.
DRAWN = 12


#: 1 when the promise was met, 0 when it was missed; of others nobody can tell.
CAME = {Verdict.MET: 1, Verdict.MISSED: 0}


@dataclass(frozen=True)
class Calibration:
    """`forecasts`: how many outcomes stand against a forecast. `brier` is None without one that can be scored; the
    plots are None without anything to draw."""

    forecasts: int
    scored: int
    met: int
    brier: float | None
    said: IntervalPlot | None
    values: IntervalPlot | None


def settled_forecasts(user: User) -> OutcomeReviewQuerySet:
    """Return the last outcome of each decision that the user may see and that forecast one, newest first."""
    last = OutcomeReview.objects.order_by().values("decision").annotate(last=Max("pk")).values("last")
    forecast = OutcomeReview.objects.visible_to(user).filter(decision__forecast_probability__isnull=False)
    return forecast.filter(pk__in=last).select_related("decision")


def calibration_of(user: User) -> Calibration:
    """Return how well the decisions that the user may see foretold. Two queries: the database counts, since there are
    few probabilities and verdicts, however many decisions."""
    settled = settled_forecasts(user)
    kinds = ("decision__forecast_probability", "verdict")
    counted = settled.order_by(*kinds).values_list(*kinds).annotate(count=Count("pk"))
    counts = [(float(probability), Verdict(verdict), count) for probability, verdict, count in counted]
    scored = [(probability, CAME[verdict], count) for probability, verdict, count in counts if verdict in CAME]
    return Calibration(
        forecasts=sum(count for _, _, count in counts),
        scored=sum(count for _, _, count in scored),
        met=sum(came * count for _, came, count in scored),
        brier=brier_score(scored) if scored else None,
        said=_said_plot(scored),
        values=_values_plot(settled[:DRAWN]),
    )


def brier_score(scored: Sequence[tuple[float, int, int]]) -> float:
    """Return the mean of (probability - what came)² over `(probability, what came, how often)`, which is not empty.

    >>> brier_score([(1.0, 1, 3), (0.5, 0, 1)])
    0.0625
    """
    squares = sum(count * (probability - came) ** 2 for probability, came, count in scored)
    return squares / sum(count for _, _, count in scored)


def _said_plot(scored: Sequence[tuple[float, int, int]]) -> IntervalPlot | None:
    """Return a row for each bin of probabilities: the share of its promises that were met."""
    if not scored:
        return None
    rows = []
    for place in range(BINS):
        inside = [(came, count) for probability, came, count in scored if _bin_of(probability) == place]
        if inside:
            met, total = sum(came * count for came, count in inside), sum(count for _, count in inside)
            low, high = wilson_interval(met, total)
            rows.append((f"{100 * place // BINS}–{100 * (place + 1) // BINS} % ({total})", met / total, low, high))
    return interval_plot(
        rows,
        caption="Share of the promises that were met, with the 95 % interval; in brackets, how many promises. A "
        "forecast was good where its own range, on the left, lies within the interval.",
    )


def _bin_of(probability: float) -> int:
    return min(int(probability * BINS), BINS - 1)


def _values_plot(outcomes: Iterable[OutcomeReview]) -> IntervalPlot | None:
    """Return a row for each outcome: what was expected in its label, what was measured with its interval."""
    rows = [
        (
            f"D-{outcome.decision.number} ({(outcome.decision.forecast_value or 0) * 100:.0f} %)",
            outcome.value,
            outcome.low,
            outcome.high,
        )
        for outcome in outcomes
    ]
    return interval_plot(rows) if rows else None
