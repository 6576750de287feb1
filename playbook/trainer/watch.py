"""What the curves of a run say while it runs: overfitting, divergence in sight, stall. Plain arithmetic, no torch."""

from playbook.trainer.checkpoint import TrainingState

#: A rise of the validation loss by less than this share is noise.
_RISE = 0.02
#: Steps whose mean loss is compared: single batches differ too much to mean anything.
RECENT_STEPS = 5
#: Divergence in sight: the recent mean is this many times its lowest, and by this many nats above it.
_TIMES_LOWEST, _NATS_ABOVE = 2.0, 0.5
#: Or it is so many nats above the first loss, and twice that: one batch, which may have been an easy one.
_NATS_ABOVE_FIRST = 1.0
#: Stall: so many checks in a row without train loss falling by this share; below the floor nothing is left to learn.
_STALL_CHECKS, _STALL_SHARE, _STALL_FLOOR = 3, 0.01, 0.05


def overfits(state: TrainingState) -> bool:
    """Tell whether validation loss is above its best while train loss fell since the check before."""
    validation, train = state.validation_losses, state.train_means
    return len(validation) > 1 and validation[-1] > min(validation[:-1]) * (1 + _RISE) and train[-1] < train[-2]


def with_loss(state: TrainingState, loss: float) -> TrainingState:
    """Return the state that remembers `loss` among the recent ones, the lowest mean they ever had, and the first."""
    recent = (*state.recent_losses, loss)[-RECENT_STEPS:]
    lowest = state.lowest_recent_mean
    if len(recent) == RECENT_STEPS:
        mean = sum(recent) / RECENT_STEPS
        lowest = mean if lowest is None else min(lowest, mean)
    first = loss if state.first_loss is None else state.first_loss
    return state.model_copy(update={"recent_losses": recent, "lowest_recent_mean": lowest, "first_loss": first})


def divergence(state: TrainingState) -> str | None:
    """Return a warning when train loss has risen far above its lowest, or was thrown up from the start, so that no mean
    was ever low; None otherwise, or when it was said before."""
    lowest, first = state.lowest_recent_mean, state.first_loss
    if lowest is None or first is None or "divergence" in state.warned:
        return None
    mean = sum(state.recent_losses) / len(state.recent_losses)
    if mean >= max(lowest * _TIMES_LOWEST, lowest + _NATS_ABOVE):
        before = f"its lowest, {lowest:.4f}"
    elif mean >= max(first * _TIMES_LOWEST, first + _NATS_ABOVE_FIRST):
        before = f"{first:.4f} at the first step"
    else:
        return None
    return (
        f"Step {state.step}: train loss rose to {mean:.4f} (mean of {RECENT_STEPS} steps) from {before}: the run is "
        "about to diverge. Stop it, and lower learning_rate (try a tenth) or raise warmup_steps."
    )


def stall(state: TrainingState) -> str | None:
    """Return a warning when train loss has stopped falling early; None otherwise, or when it was said before."""
    before, latest = state.train_means[:-_STALL_CHECKS], state.train_means[-_STALL_CHECKS:]
    if not before or "stall" in state.warned or min(latest) < _STALL_FLOOR:
        return None
    if min(latest) < min(before) * (1 - _STALL_SHARE):
        return None
    return (
        f"Step {state.step}: train loss stands still at {latest[-1]:.4f}; it has not fallen for {_STALL_CHECKS} "
        "checks. Raise learning_rate or r, or look whether the answers follow from the prompts at all."
    )
