"""What it costs to measure on the same locked rows again and again, choosing by what was seen.

Each decision taken after a look fits the choices a little to these rows, and their scores promise a little too much:
Dwork, Feldman, Hardt, Pitassi, Reingold and Roth, "The reusable holdout: Preserving validity in adaptive data
analysis", Science 349 (2015), 636-638.
"""

from dataclasses import dataclass
from math import log, sqrt
from typing import Literal

#: From so many looks on, at least one of their 95 % intervals misses with a chance of over a fifth: 1 - 0.95**5 = 0.23.
WORN_FROM = 5
#: From so many on, more likely than not: 1 - 0.95**14 = 0.51.
SPENT_FROM = 14


@dataclass(frozen=True)
class Reuse:
    """`looks` measurements on one test set of `rows` rows."""

    looks: int
    rows: int

    @property
    def level(self) -> Literal["fresh", "worn", "spent"]:
        if self.looks >= SPENT_FROM:
            return "spent"
        return "worn" if self.looks >= WORN_FROM else "fresh"

    @property
    def chance_of_a_miss(self) -> float:
        """The chance that at least one of so many 95 % intervals misses its true value: 1 - 0.95**looks.

        For looks that are independent; choosing by what was seen makes it larger.
        """
        return float(1 - 0.95**self.looks)

    @property
    def optimism(self) -> float:
        """The largest share by which the best of so many equally good models is expected to look better than it is.

        The expected maximum of k averages of `rows` values in 0..1 exceeds their mean by at most sqrt(ln k / (2 rows)):
        Boucheron, Lugosi and Massart, Concentration Inequalities, 2013, theorem 2.5 with Hoeffding's lemma 2.2.

        >>> round(Reuse(looks=10, rows=200).optimism, 3)
        0.076
        """
        return min(1.0, sqrt(log(self.looks) / (2 * self.rows))) if self.looks > 1 else 0.0
