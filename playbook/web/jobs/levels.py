"""Curves in coarser levels: what keeps the plot of a million points quick. Pure functions, no models.

A level cuts the steps of a curve into equal buckets, `FACTOR` times wider at each level, and keeps of each bucket its
lowest and its highest point: real points, so a spike of one step is never smoothed away. A reader takes the finest
level that has at most `MAX_BUCKETS` buckets over the curve's whole length.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Point = tuple[int, float]

FACTOR = 8
#: Buckets of the coarsest level are 8**6 = 262,144 steps wide: enough for two hundred million steps.
LEVELS = range(1, 7)
MAX_BUCKETS = 800


@dataclass(frozen=True)
class Bucket:
    """The lowest and the highest point of one bucket; the earlier step where values are equal."""

    lowest: Point
    highest: Point

    def joined(self, other: "Bucket") -> "Bucket":
        return Bucket(
            lowest=min(self.lowest, other.lowest, key=lambda point: (point[1], point[0])),
            highest=max(self.highest, other.highest, key=lambda point: (point[1], -point[0])),
        )

    def points(self) -> Iterator[Point]:
        """The one or two points, steps rising."""
        yield min(self.lowest, self.highest)
        if self.lowest[0] != self.highest[0]:
            yield max(self.lowest, self.highest)


def bucket_of(step: int, level: int) -> int:
    """Return the number of the bucket that holds the step.

    >>> bucket_of(100, 1), bucket_of(100, 2)
    (12, 1)
    """
    return int(step // FACTOR**level)


def level_for(first_step: int, last_step: int) -> int:
    """Return the finest level with at most `MAX_BUCKETS` buckets between the steps; the coarsest when none has."""
    for level in LEVELS:
        if bucket_of(last_step, level) - bucket_of(first_step, level) < MAX_BUCKETS:
            return level
    return LEVELS[-1]


def gather(points: Iterable[Point]) -> dict[tuple[int, int], Bucket]:
    """Return the buckets of all levels that the points fall into, by (level, bucket number)."""
    found: dict[tuple[int, int], Bucket] = {}
    for point in points:
        alone = Bucket(point, point)
        for level in LEVELS:
            key = level, bucket_of(point[0], level)
            found[key] = found[key].joined(alone) if key in found else alone
    return found


def thinned(points: list[Point], max_points: int) -> list[Point]:
    """Return at most `max_points` of the points, steps rising: of equal stretches the lowest and the highest point,
    and always the very first and the very last. `max_points` is at least 4.
    """
    if len(points) <= max_points:
        return points
    stretches = (max_points - 2) // 2
    inner = points[1:-1]
    kept = points[:1]
    for index in range(stretches):
        stretch = inner[index * len(inner) // stretches : (index + 1) * len(inner) // stretches]
        low = min(stretch, key=lambda point: point[1])
        high = max(stretch, key=lambda point: point[1])
        kept += sorted({low, high})
    return kept + points[-1:]
