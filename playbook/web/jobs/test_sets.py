"""How often a locked test set was looked at: each job that measured on it is one look, whoever's it was.

A decision taken after a measurement is what wears a test set out, not the opening of a page; so jobs are counted, and
the people who rated its answers are named beside them. See `scoring.reuse` for what the number means.
"""

from dataclasses import dataclass

from playbook.scoring.figures import points
from playbook.scoring.reuse import Reuse
from playbook.web.accounts.models import User
from playbook.web.jobs.models import Job, Rating

#: Looks named one by one; beyond, their number says enough.
NAMED = 10


@dataclass(frozen=True)
class Looks:
    """`jobs`: the newest that the reader may see, newest first. `unseen`: how many others there are."""

    reuse: Reuse
    jobs: tuple[Job, ...]
    unseen: int
    raters: int

    @property
    def tone(self) -> str:
        return {"fresh": "", "worn": "warn", "spent": "bad"}[self.reuse.level]

    @property
    def optimism(self) -> str:
        """The largest to expect: `7.6 points`."""
        return points(self.reuse.optimism)


def looks_at(sha256: str, *, rows: int, user: User) -> Looks:
    """Return the looks at the test set of this hash, which has `rows` rows. Three queries."""
    measured = Job.objects.measured_on(sha256)
    named = measured.for_member(user).select_related("created_by", "use_case").order_by("-pk")[:NAMED]
    jobs, total = tuple(named), measured.count()
    raters = Rating.objects.filter(job__test_set_sha256=sha256).values("rater").distinct().count()
    return Looks(Reuse(looks=total, rows=rows), jobs, unseen=total - len(jobs), raters=raters)
