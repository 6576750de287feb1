"""The budget of a decision: the minutes that all its runs may take together, held at launch.

An attempt counts from its claim to its end. A job that has not ended keeps what it is estimated at, so that several
jobs launched at once cannot spend the same minutes.
"""

from dataclasses import dataclass

from django.utils import timezone

from playbook.contracts.states import ENDED_STATES
from playbook.web.decisions.models import Decision
from playbook.web.jobs.models import Attempt, Job


@dataclass(frozen=True)
class Budget:
    """Minutes of the worker's machine. `asked`: the estimate of a job that is to be launched; None when unknown."""

    decision: int
    allowed: int
    used: float
    kept: float
    asked: float | None = None

    @property
    def is_spent(self) -> bool:
        return self.used > self.allowed

    @property
    def refusal(self) -> str:
        """Why the asked job does not fit, and what to do; empty when it fits.

        A job of unknown length fits while anything is left: then the page says that it is not known.

        >>> Budget(decision=3, allowed=90, used=60.0, kept=20.0, asked=10.0).refusal
        ''
        """
        taken = self.used + self.kept
        if taken + self.asked <= self.allowed if self.asked is not None else taken < self.allowed:
            return ""
        kept = f", {self.kept:,.0f} are kept for jobs that have not ended" if self.kept else ""
        asked = f"about {self.asked:,.0f} GPU minutes" if self.asked is not None else "an unknown time"
        return (
            f"D-{self.decision} has a budget of {self.allowed:,} GPU minutes: {self.used:,.0f} are used{kept}, and "
            f"this job would take {asked}. Make the job smaller, or propose a new decision with a larger budget that "
            f"supersedes D-{self.decision}."
        )


def budget_of(decision: Decision, *, asked_seconds: float | None = None) -> Budget | None:
    """Return the budget of a decision and what is taken of it; None when it sets none. Two queries."""
    if decision.budget_gpu_minutes is None:
        return None
    now = timezone.now()
    used: dict[int, float] = {}
    attempts = Attempt.objects.filter(job__decision=decision).order_by()
    for job, begun, ended in attempts.values_list("job_id", "claimed_at", "ended_at"):
        used[job] = used.get(job, 0.0) + ((ended or now) - begun).total_seconds() / 60
    under_way = Job.objects.filter(decision=decision).exclude(state__in=ENDED_STATES).order_by()
    estimates = under_way.values_list("pk", "estimated_seconds")
    return Budget(
        decision=decision.number,
        allowed=decision.budget_gpu_minutes,
        used=sum(used.values()),
        kept=sum(max(0.0, (seconds or 0) / 60 - used.get(job, 0.0)) for job, seconds in estimates),
        asked=None if asked_seconds is None else asked_seconds / 60,
    )
