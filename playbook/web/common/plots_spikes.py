"""Where the axis of a plot ends, so that a few high values leave the others readable."""

from collections.abc import Sequence

#: Of the points, the share that may lie above the axis; how often the top of the others goes into the highest before
#: it is cut; and what of the axis is left above that top.
SPIKES, SQUEEZED, ROOM = 0.1, 6, 2
#: Fewer say nothing of what is usual.
LEAST_TO_CUT = 8


def without_spikes(values: Sequence[float]) -> float:
    """Return where an axis ends on which most of the values can be told apart: at the highest, unless a few that are
    many times the others squeeze these to its foot.

    >>> without_spikes([1.0, 1.2, 0.9, 1.1, 1.0, 0.8, 0.9, 1.0, 0.7, 400.0])
    2.4
    >>> without_spikes([4.0, 2.5, 1.6, 1.0, 0.8, 0.7, 0.6, 0.6, 0.5, 0.5])
    4.0
    """
    falling = sorted(values, reverse=True)
    if len(falling) < LEAST_TO_CUT:
        return falling[0]
    usual = falling[max(1, int(len(falling) * SPIKES))]
    return ROOM * usual if 0 < usual * SQUEEZED < falling[0] else falling[0]
