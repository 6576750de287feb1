"""What the validation curve of a run is marked with: its lowest point, and where early stopping ended training. Pure
functions, no queries.

Read off the curve by the trainer's own rules (`trainer.train`), so that they are there while the job runs, and for
jobs that left no report.
"""

from collections.abc import Iterator, Sequence

from playbook.contracts.run_spec import TrainingSettings
from playbook.contracts.states import ENDED_STATES, JobState
from playbook.web.common.plots import Landmark, Sign
from playbook.web.common.plots_axis import number_text
from playbook.web.jobs.levels import Point


def landmarks_of(validation: Sequence[Point], training: TrainingSettings, *, state: JobState) -> tuple[Landmark, ...]:
    """Return what is to be marked; nothing while there is but one check, which is the lowest of itself."""
    return tuple(_found(validation, training, state=state)) if len(validation) > 1 else ()


def _found(validation: Sequence[Point], training: TrainingSettings, *, state: JobState) -> Iterator[Landmark]:
    # The first of equal ones: the trainer keeps the best weights until a lower loss comes.
    best = min(range(len(validation)), key=lambda place: validation[place][1])
    step, loss = validation[best]
    last_step, last_loss = validation[-1]
    so_far = "" if state in ENDED_STATES else " so far"
    lowest = f"Lowest validation loss{so_far}, {number_text(loss)} at step {step:,}"
    if state is JobState.SUCCEEDED:
        handed_over = step if training.load_best_model_at_end else last_step
        which = "these weights were" if handed_over == step else f"the weights of step {handed_over:,} were"
        lowest += f": {which} handed over"
    yield Landmark(Sign.RING, step, loss, lowest)
    patience, without_gain = training.early_stopping_patience, len(validation) - 1 - best
    if patience is not None and without_gain >= patience and last_step < training.max_steps:
        ended = f"Early stopping ended training at step {last_step:,} of {training.max_steps:,}"
        yield Landmark(Sign.RULE, last_step, last_loss, ended)
