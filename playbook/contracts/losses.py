"""By which rule the losses of a run are called diverged or overfitted. The trainer says so in the log and the site on
the page of the job: of one curve both say the same.

Losses in nats per supervised token. Plain arithmetic.
"""

from collections.abc import Sequence
from enum import StrEnum
from statistics import median

#: Steps whose median stands for "now": losses of small batches jump, and a mean would follow one jump.
STRETCH = 10
#: The loss has diverged when it stands so many times, and so many nats, above its best stretch ...
BEST_FACTOR, BEST_NATS = 1.5, 0.5
#: ... or above its first step. That is one batch, which may have been an easy one. A learning rate far too high throws
#: the loss up within a few steps: no stretch is good then, and the last may be the best of them.
FIRST_FACTOR, FIRST_NATS = 2.0, 1.0
#: The validation loss has risen when it stands so much of its lowest value above it; less is noise.
VALIDATION_RISE = 0.02


class Above(StrEnum):
    """What a diverged loss stands far above."""

    BEST = "best"
    FIRST = "first"


def stretch(losses: Sequence[float]) -> float | None:
    """Return the median of the last `STRETCH` losses; None while there are fewer."""
    return median(losses[-STRETCH:]) if len(losses) >= STRETCH else None


def diverged(now: float, *, best: float, first: float) -> Above | None:
    """Return what the loss stands far above; None for a run that has not diverged. `now`: the last stretch. `best`: the
    lowest stretch up to now. `first`: the loss of the first step.

    >>> diverged(1.6, best=1.0, first=2.5), diverged(5.6, best=5.6, first=1.9), diverged(1.4, best=1.0, first=0.9)
    (<Above.BEST: 'best'>, <Above.FIRST: 'first'>, None)
    """
    if now >= max(best * BEST_FACTOR, best + BEST_NATS):
        return Above.BEST
    if now >= max(first * FIRST_FACTOR, first + FIRST_NATS):
        return Above.FIRST
    return None
