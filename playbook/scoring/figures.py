"""Figures as people read them: shares in percent with their interval, differences in points, p-values."""

from playbook.contracts.report import Score


def score_text(score: Score) -> str:
    """Return a score with its interval: `93 % (89–96)`, or `3.1 (2.8–3.4)` for perplexity."""
    if not score.metric.is_share:
        return f"{number(score.value)} ({number(score.low)}–{number(score.high)})"
    return share_text(score.value, score.low, score.high)


def share_text(value: float, low: float, high: float) -> str:
    """Return a share with its interval: `93 % (89–96)`."""
    return f"{percent(value)} % ({percent(low)}–{percent(high)})"


def percent(share: float) -> str:
    """Return a share in percent; never 0 or 100 unless it is.

    >>> percent(0.934), percent(0.125), percent(0.999), percent(1.0)
    ('93', '13', '99.9', '100')
    """
    rounded = _whole(share * 100)
    if rounded in ("0", "100") and share not in (0.0, 1.0):
        return f"{min(max(share * 100, 0.1), 99.9):.1f}"
    return rounded


def points(difference: float, *, signed: bool = False) -> str:
    """Return a difference of two shares in points, with a sign if asked.

    >>> points(0.123), points(0.014), points(-0.01, signed=True)
    ('12 points', '1.4 points', '−1 point')
    """
    number = _points(difference, signed=signed)
    return f"{number} point{'' if number.strip('+−') == '1' else 's'}"


def counted(count: int, noun: str) -> str:
    """Return a number of things, whose plural ends in s.

    >>> counted(1, "row"), counted(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def points_between(low: float, high: float) -> str:
    """Return an interval of a difference: `+2 to +9.5`."""
    return f"{_points(low, signed=True)} to {_points(high, signed=True)}"


def _points(difference: float, *, signed: bool) -> str:
    value = difference * 100
    text = _whole(abs(value)) if abs(value) >= 9.95 else f"{abs(value):.1f}".removesuffix(".0")
    if not signed or text == "0":
        return text if value >= 0 or text == "0" else f"−{text}"
    return f"{'−' if value < 0 else '+'}{text}"


def _whole(value: float) -> str:
    """Return a positive number without decimals, a half rounded up: Python's own rounding makes 12 of 12.5."""
    return str(int(value + 0.5))


def p_text(p: float, *, sign: bool = False) -> str:
    """Return a p-value, with its sign of comparison if asked. Never rounded across 0.05, where findings begin.

    >>> p_text(0.0312), p_text(0.0001), p_text(0.0312, sign=True), p_text(0.0497)
    ('0.031', '< 0.001', '= 0.031', '0.0497')
    """
    if p < 0.001:
        return "< 0.001"
    text = "1" if p >= 0.995 else f"{p:.2g}"
    if text == "0.05" != str(p):
        text = next(longer for digits in range(3, 18) if (longer := f"{p:.{digits}g}") != text)
    return f"= {text}" if sign else text


def number(value: float) -> str:
    """Return a number of three figures; `∞` beyond all."""
    return "∞" if value == float("inf") else f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
