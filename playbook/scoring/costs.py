"""What an arm costs: per request, to train, and from how many requests on the training has paid for itself.

The calculator of break-even and the reports use the same formulas.
"""

from dataclasses import dataclass
from math import inf, isfinite

HOURS_PER_MONTH = 730


def own_cost_per_token(*, price_per_hour: float, tokens_per_second: float) -> float:
    """Return the cost of one token on a machine of one's own that is busy: price an hour / (tokens a second x 3600)."""
    return price_per_hour / (tokens_per_second * 3600)


def machine_cost(seconds: float, *, hour_rate: float) -> float:
    """Return what so many seconds of a machine cost, in the currency of the rate.

    >>> machine_cost(90, hour_rate=2.0)
    0.05
    """
    return seconds * hour_rate / 3600


@dataclass(frozen=True)
class BreakEven:
    """When the tuned model has paid for itself. `requests` counts the one-off cost alone; `months` also what running
    it costs each month whatever the load. Either is None when it never pays."""

    requests: float | None
    months: float | None
    saved_per_month: float


def break_even(
    *, one_off: float, hosted_per_request: float, own_per_request: float, requests_per_month: float, fixed: float
) -> BreakEven:
    """Return the break-even of a tuned model against a long prompt. `fixed`: own cost a month without any request.

    requests = one-off cost / (hosted - own cost a request); months = one-off cost / (what a month saves). All amounts
    are in one currency.

    >>> break_even(one_off=500, hosted_per_request=0.02, own_per_request=0.01, requests_per_month=10_000, fixed=50)
    BreakEven(requests=50000.0, months=10.0, saved_per_month=50.0)
    """
    difference = hosted_per_request - own_per_request
    saved = requests_per_month * difference - fixed
    return BreakEven(
        requests=break_even_requests(one_off=one_off, before=hosted_per_request, after=own_per_request),
        months=_quotient(one_off, saved),
        saved_per_month=saved,
    )


def break_even_requests(*, one_off: float, before: float, after: float) -> float | None:
    """Return after how many requests a one-off cost is repaid by what each request then saves; None when none does.

    `before`, `after`: cost of a request. On one machine all three may be seconds: its price cancels out.
    """
    return _quotient(one_off, before - after)


def _quotient(one_off: float, saved: float) -> float | None:
    """Return how often `saved` repays `one_off`; None when it never does, nor in any number that can be written."""
    found = one_off / saved if saved > 0 else inf
    return found if isfinite(found) else None
