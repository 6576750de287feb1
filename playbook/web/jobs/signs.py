"""Signs that a run needs a look, read from its curves and its preflight while it runs. Pure functions, no queries.

Each rule is deliberately slow to speak: it wants the same sign in several points, because losses of small batches jump.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from playbook.contracts import losses
from playbook.contracts.events import Preflight
from playbook.contracts.losses import STRETCH
from playbook.contracts.states import EndReason
from playbook.scoring.figures import counted
from playbook.web.common.templatetags.playbook import duration
from playbook.web.jobs.levels import Point

STALL_STEPS, STALL_SECONDS = 10, 60.0  # no metric for so many steps' time, and never sooner than this
SILENCE_SECONDS = 600.0  # no progress for so long in whatever stage, also where no step has been timed yet


_OVERFITTED = (
    "Clone the job with fewer steps, a smaller rank or more training rows. What is learned after that step does not "
    "carry over to new rows; load_best_model_at_end hands over the weights of that step."
)
_OVERFITTED_BUT_KEPT = (
    "The weights of that step are handed over, so what comes after it costs time alone. A smaller rank or more "
    "training rows may bring the lowest loss further down."
)


@dataclass(frozen=True)
class Sign:
    """One banner. `tone` is a class of the design system; `advice` says what to do."""

    kind: str
    tone: str
    title: str
    text: str
    advice: str


@dataclass(frozen=True)
class Pulse:
    """When the last metric came, and how long a step takes; None while it is not known."""

    last_at: datetime
    seconds_per_step: float | None


def overfitting(train: Sequence[Point], validation: Sequence[Point], *, keeps_best: bool = False) -> Sign | None:
    """Validation loss rises while training loss falls (Prechelt 1998, "Early stopping, but when?", section 2).
    `keeps_best`: the weights of the lowest validation loss are handed over (load_best_model_at_end)."""
    if len(validation) < 3:
        return None
    lowest = min(validation, key=lambda point: point[1])
    last_two = [value for step, value in validation[-2:] if step > lowest[0]]
    if len(last_two) < 2 or min(last_two) <= lowest[1] * (1 + losses.VALIDATION_RISE):
        return None
    then = [value for step, value in train if step <= lowest[0]][-STRETCH:]
    now = [value for step, value in train if step > lowest[0]][-STRETCH:]
    if not then or not now or median(now) >= median(then):
        return None
    return Sign(
        "overfitting",
        "warn",
        "Overfitting",
        f"Validation loss was lowest at step {lowest[0]:,} ({lowest[1]:.3g}) and is {validation[-1][1]:.3g} at step "
        f"{validation[-1][0]:,}, while training loss still falls.",
        _OVERFITTED_BUT_KEPT if keeps_best else _OVERFITTED,
    )


def divergence(train: Sequence[Point], *, not_finite_step: int | None, ended: EndReason | None = None) -> Sign | None:
    """Training loss is no number any more, or stands far above its best stretch or above where it began (the rule of
    `contracts.losses`, as in the trainer's log). None for a job that ended for that."""
    if ended is EndReason.DIVERGED:
        return None
    begin, title = ("Cancel and clone", "Diverging") if ended is None else ("Clone", "Diverged")
    advice = f"{begin} the job with a tenth of the learning rate, or more warm-up steps."
    if not_finite_step is not None:
        text = (
            f"A metric of step {not_finite_step:,} was not a finite number; the downloaded events have it, the curves "
            "leave it out."
        )
        return Sign("divergence", "bad", title, text, advice)
    values = [value for _, value in train]
    stretches = [median(values[start : start + STRETCH]) for start in range(len(values) - STRETCH + 1)]
    if not stretches:
        return None
    now, best = stretches[-1], min(stretches)
    above = losses.diverged(now, best=best, first=values[0])
    if above is None:
        return None
    if above is losses.Above.BEST:
        before = f"after {best:.3g} in its best stretch of {STRETCH} points"
    else:
        before = f"and began at {values[0]:.3g}"
    is_or_was = "is" if ended is None else "ended"
    text = f"Training loss {is_or_was} at {now:.3g}, {before}."
    return Sign("divergence", "bad", title, text, advice)


def stall(pulse: Pulse | None, now: datetime) -> Sign | None:
    """Nothing was measured for many times the time of a step. Ask only while the job trains."""
    if pulse is None or pulse.seconds_per_step is None:
        return None
    silent = (now - pulse.last_at).total_seconds()
    if silent < max(STALL_SECONDS, STALL_STEPS * pulse.seconds_per_step):
        return None
    return Sign(
        "stall",
        "warn",
        "No progress",
        f"The last metric came {duration(silent)} ago; a step takes {_step_time(pulse.seconds_per_step)}.",
        "Look at the end of the log and at the machine. A long validation can be the cause; if nothing comes, cancel "
        "the job and clone it: it starts anew.",
    )


def _step_time(seconds: float) -> str:
    """Metrics that came in one call seem to have taken no time: no more is said than what is known."""
    return f"about {seconds:.3g} s" if seconds >= 0.1 else "less than 0.1 s"


def silence(heard_at: datetime | None, now: datetime) -> Sign | None:
    """No progress came for ten minutes. `heard_at`: when it last did; None unless a worker has the job."""
    if heard_at is None or (silent := (now - heard_at).total_seconds()) < SILENCE_SECONDS:
        return None
    return Sign(
        "stall",
        "warn",
        "No progress",
        f"Nothing was measured, and no progress told, for {duration(silent)}.",
        "Look at the end of the log and at the machine. A large model that is loaded, or long answers, can be the "
        "cause; if nothing comes, cancel the job and clone it: it starts anew.",
    )


def truncation(preflight: Preflight | None) -> Sign | None:
    """Rows were dropped or cut because they are longer than max_length."""
    if preflight is None:
        return None
    lost = {split: tokens for split, tokens in preflight.splits.items() if tokens.dropped_rows or tokens.truncated_rows}
    if not lost:
        return None
    said = "; ".join(
        f"{split}: {tokens.dropped_rows:,} dropped and {tokens.truncated_rows:,} cut of "
        f"{counted(tokens.rows + tokens.dropped_rows, 'row')}, {counted(tokens.lost_tokens, 'token')} lost"
        for split, tokens in lost.items()
    )
    return Sign(
        "truncation",
        "warn",
        "Rows over the maximum length",
        f"{said}. The preflight names the lines.",
        "If these rows matter, clone the job with a larger max_length, or shorten them in a new dataset version.",
    )


def endless(preflight: Preflight | None) -> Sign | None:
    """The model does not learn to stop: a sample row's last learned token does not end the turn."""
    if preflight is None:
        return None
    rows = [f"{row.split} line {row.line:,}" for row in preflight.samples if not row.ends_turn]
    if not rows:
        return None
    return Sign(
        "endless",
        "bad",
        "The end of the turn is not learned",
        f"In {', '.join(rows)} the last learned token does not end the turn, so the model never learns to stop.",
        "Check the chat template of the base model; if rows are cut, raise max_length.",
    )


def signs(
    *,
    train: Sequence[Point],
    validation: Sequence[Point],
    not_finite_step: int | None,
    preflight: Preflight | None,
    pulse: Pulse | None,
    heard_at: datetime | None,
    now: datetime,
    ended: EndReason | None = None,
    keeps_best: bool = False,
) -> list[Sign]:
    """Return what needs a look, the gravest first. `pulse` None: the job does not train at this moment; `heard_at`
    None: no worker has it; `ended` None: it has not."""

    def found() -> Iterator[Sign | None]:
        yield divergence(train, not_finite_step=not_finite_step, ended=ended)
        yield endless(preflight)
        yield stall(pulse, now) or silence(heard_at, now)
        yield overfitting(train, validation, keeps_best=keeps_best)
        yield truncation(preflight)

    return [sign for sign in found() if sign is not None]
