"""Blind side-by-side: two arms' answers to one row, in an order that only the server knows.

Rows come in another order for each person, so that whoever stops early has rated a random sample. Rows that both arms
answered alike are not asked: there is nothing to choose.
"""

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from django.db import IntegrityError, transaction
from django.utils.crypto import salted_hmac

from playbook.contracts.report import ArmReport, Report
from playbook.contracts.run_spec import Arm, Method
from playbook.scoring.preference import Preference, preference_of
from playbook.scoring.preference import Rating as RowRating
from playbook.scoring.rows import question_of
from playbook.scoring.words import arm_label
from playbook.web.accounts.models import User
from playbook.web.common.models import record
from playbook.web.common.permissions import Conflict
from playbook.web.jobs.models import Job, Rating
from playbook.web.jobs.rating_models import Preferred

Choice = Literal["left", "right", "equal"]
CHOICES: tuple[Choice, ...] = ("left", "right", "equal")


@dataclass(frozen=True)
class Pair:
    """Two arms that answered the same rows, in the order of the report. `rows`: those that they answered differently,
    by their place in the report. `method`: what tuned the model of a tuned arm."""

    first: ArmReport
    second: ArmReport
    rows: tuple[int, ...]
    method: Method

    @property
    def key(self) -> str:
        """How addresses and forms name the pair."""
        return f"{self.first.arm.value},{self.second.arm.value}"

    @property
    def labels(self) -> tuple[str, str]:
        return arm_label(self.first.arm, self.method), arm_label(self.second.arm, self.method)

    @property
    def same(self) -> int:
        """Rows that both answered alike."""
        return len(self.first.items) - len(self.rows)


@dataclass(frozen=True)
class Question:
    """One row as a person sees it. Nothing in it tells the arms apart."""

    index: int
    prompt: str
    expected: str
    left: str
    right: str


def pairs_of(report: Report) -> list[Pair]:
    """Return every two arms of the report that answered the same rows."""
    found = []
    for at, second in enumerate(report.arms):
        for first in report.arms[:at]:
            if [item.index for item in first.items] == [item.index for item in second.items]:
                answers = enumerate(zip(first.items, second.items, strict=True))
                differing = tuple(place for place, (one, other) in answers if one.output != other.output)
                found.append(Pair(first, second, differing, report.spec.method))
    return found


def pair_of(pairs: Sequence[Pair], key: str) -> Pair | None:
    """Return the pair of this key, or None."""
    return next((pair for pair in pairs if pair.key == key), None)


def default_pair(pairs: Sequence[Pair], arms: Collection[ArmReport]) -> Pair | None:
    """Return the pair of these two arms, else the last, which holds the last arm of the run."""
    wanted = (pair for pair in pairs if all(any(arm is one for one in arms) for arm in (pair.first, pair.second)))
    return next(wanted, pairs[-1] if pairs else None)


def rated_rows(job: Job, pair: Pair, rater: User) -> set[int]:
    """Return the rows that the person has rated. One query."""
    found = Rating.objects.filter(job=job, rater=rater, first_arm=pair.first.arm, second_arm=pair.second.arm)
    return set(found.values_list("row_index", flat=True))


def next_question(job: Job, pair: Pair, rater: User, rated: Collection[int]) -> Question | None:
    """Return the row to rate next, None when all are."""
    waiting = (place for place in pair.rows if pair.first.items[place].index not in rated)
    place = min(waiting, key=lambda place: _draw(job, pair, rater, place), default=None)
    if place is None:
        return None
    first, second = pair.first.items[place], pair.second.items[place]
    shown = (first.output, second.output)
    left, right = shown if _first_is_left(job, pair, rater, place) else shown[::-1]
    return Question(first.index, question_of((first, second)), first.expected, left, right)


def rate(job: Job, pair: Pair, *, rater: User, report_sha256: str, row_index: int, choice: Choice) -> Rating:
    """Append the person's judgement of one row.

    Raises Conflict when they have rated it, or when both arms answered it alike or not at all.
    """
    place = next((place for place in pair.rows if pair.first.items[place].index == row_index), None)
    if place is None:
        raise Conflict(f"Row {row_index + 1} is none that these two arms answered differently; rate the one shown.")
    first_on_left = _first_is_left(job, pair, rater, place)
    try:
        with transaction.atomic():
            rating = Rating.objects.create(
                job=job,
                rater=rater,
                report_sha256=report_sha256,
                first_arm=pair.first.arm,
                second_arm=pair.second.arm,
                row_index=row_index,
                first_on_left=first_on_left,
                preferred=_preferred(choice, first_on_left=first_on_left),
            )
            record("rated an answer", job, actor=rater, row=row_index, arms=pair.key)
    except IntegrityError:
        raise Conflict(f"You have rated row {row_index + 1} already; a rating is never changed.") from None
    return rating


def _preferred(choice: Choice, *, first_on_left: bool) -> Preferred:
    if choice == "equal":
        return Preferred.EQUAL
    return Preferred.FIRST if (choice == "left") == first_on_left else Preferred.SECOND


def _first_is_left(job: Job, pair: Pair, rater: User, place: int) -> bool:
    return _draw(job, pair, rater, place)[-1] % 2 == 0


def _draw(job: Job, pair: Pair, rater: User, place: int) -> bytes:
    """Return 32 random bytes, always the same for this person and row. Without the site's key nobody can tell them."""
    return salted_hmac("blind", f"{job.pk} {rater.pk} {pair.key} {place}", algorithm="sha256").digest()


def preferences(job: Job, *, report_sha256: str) -> list[tuple[Preference, int]]:
    """Return whom people prefer for each pair of arms that was rated, with the number of people. One query."""
    fields = ("first_arm", "second_arm", "row_index", "preferred", "rater")
    given: dict[tuple[str, str], list[tuple[RowRating, int]]] = defaultdict(list)
    for first, second, row, preferred, rater in job.ratings.filter(report_sha256=report_sha256).values_list(*fields):
        arm = {Preferred.FIRST: Arm(first), Preferred.SECOND: Arm(second)}.get(preferred)
        given[first, second].append((RowRating(row, arm), rater))
    return [
        (
            preference_of([rating for rating, _ in ratings], baseline=Arm(first), arm=Arm(second)),
            len({rater for _, rater in ratings}),
        )
        for (first, second), ratings in given.items()
    ]
