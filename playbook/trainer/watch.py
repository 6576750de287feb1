"""What the curves of a run say while it runs: overfitting, divergence in sight, stall. Plain arithmetic, no torch."""

from playbook.contracts import losses
from playbook.trainer.checkpoint import TrainingState

#: Stall: so many checks in a row without train loss falling by this share; below the floor nothing is left to learn.
_STALL_CHECKS, _STALL_SHARE, _STALL_FLOOR = 3, 0.01, 0.05


def overfits(state: TrainingState) -> bool:
    """Tell whether validation loss is above its best while train loss fell since the check before."""
    validation, train = state.validation_losses, state.train_means
    if len(validation) < 2:
        return False
    return validation[-1] > min(validation[:-1]) * (1 + losses.VALIDATION_RISE) and train[-1] < train[-2]


def with_loss(state: TrainingState, loss: float) -> TrainingState:
    """Return the state that remembers `loss` among the recent ones, their lowest median so far, and the first."""
    recent = (*state.recent_losses, loss)[-losses.STRETCH :]
    lowest, now = state.lowest_stretch, losses.stretch(recent)
    if now is not None:
        lowest = now if lowest is None else min(lowest, now)
    first = loss if state.first_loss is None else state.first_loss
    return state.model_copy(update={"recent_losses": recent, "lowest_stretch": lowest, "first_loss": first})


def divergence(state: TrainingState) -> str | None:
    """Return a warning when train loss has risen far above its best stretch, or was thrown up from the start; None
    otherwise, or when it was said before."""
    lowest, first, now = state.lowest_stretch, state.first_loss, losses.stretch(state.recent_losses)
    if lowest is None or first is None or now is None or "divergence" in state.warned:
        return None
    above = losses.diverged(now, best=lowest, first=first)
    if above is None:
        return None
    before = f"its lowest, {lowest:.4f}" if above is losses.Above.BEST else f"{first:.4f} at the first step"
    return (
        f"Step {state.step}: train loss rose to {now:.4f} (median of {losses.STRETCH} steps) from {before}: the run is "
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
