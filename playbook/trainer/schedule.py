"""The learning rate of each step, and how long the rest of the job will take. Plain arithmetic, no torch."""

import math
from collections import deque
from dataclasses import dataclass, field
from statistics import median

from playbook.contracts.run_spec import Method, RunSpec, TrainingSettings

#: Generating one token for each row of a batch costs about as much as this many token positions of a training step:
#: a token alone cannot share the reading of the weights. Measured with 20 rows on 2 CPU cores.
_POSITIONS_PER_GENERATED_TOKEN = 3.0
#: A forward pass without gradients against a whole training step.
_FORWARD_SHARE = 0.35
#: A step against one of plain LoRA, whose speed the two above are told by: weights of their own gradients, or adapters
#: in peft's own way. In turns on 2 CPU cores; answering takes the same whatever was trained.
_FULL_STEP, _PEFTS_STEP = 1.6, 1.7

#: Steps whose pace stands for that of the steps to come: so many that one slow step, or two, is none of its middle.
PACE_STEPS = 15

#: Assumptions about torch.compile, cautious both ways: a fifth of the time saved, two minutes to compile the layers.
_COMPILE_SAVES_SHARE, _COMPILE_START_SECONDS = 0.2, 120.0


def learning_rate_at(step: int, settings: TrainingSettings) -> float:
    """Return the learning rate of optimizer step `step` (0-based): linear warm-up, then the chosen decay.

    As in nanoGPT the warm-up starts at 1 / (warmup_steps + 1) rather than 0, so that no step is wasted.
    """
    warmup, peak = settings.warmup_steps, settings.learning_rate
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    if settings.lr_scheduler_type == "constant":
        return peak
    progress = (step - warmup) / max(1, settings.max_steps - warmup)
    if settings.lr_scheduler_type == "linear":
        return peak * (1 - progress)
    return peak * (1 + math.cos(math.pi * progress)) / 2


def worth_compiling(seconds_left: float) -> bool:
    """Tell whether torch.compile is expected to save more than its start-up takes, over the rest of the run."""
    return seconds_left * _COMPILE_SAVES_SHARE > _COMPILE_START_SECONDS


def step_cost(spec: RunSpec) -> float:
    """Return how many times as long as a step of plain LoRA a step of this run takes."""
    if spec.method is Method.FULL:
        return _FULL_STEP
    return _PEFTS_STEP if spec.lora.use_dora or spec.lora.lora_dropout else 1.0


@dataclass
class Pace:
    """How long a token of training takes at present: by the middle of the last steps of this process, so that neither
    the first step, which builds kernels, nor one during which the machine slept misleads for the rest of the run. Of a
    token, because steps differ: rows of similar length are trained together."""

    _recent: deque[float] = field(default_factory=lambda: deque(maxlen=PACE_STEPS))

    def step_done(self, *, tokens: int, seconds: float) -> None:
        self._recent.append(seconds / tokens)

    @property
    def seconds_per_token(self) -> float:
        """Raises statistics.StatisticsError before the first step."""
        return median(self._recent)


@dataclass(frozen=True)
class Workload:
    """How much there is to do, in token positions. `prompt_tokens`: what the arms read before they answer. `step_cost`:
    as the function of that name gives it."""

    training_step: float
    validation: float
    validations: int
    generated_tokens: int
    prompt_tokens: int = 0
    step_cost: float = 1.0

    def remaining_after(self, step: int, *, max_steps: int, seconds_per_step: float, eval_steps: int) -> float:
        """Return seconds until the report, as seen after `step` optimizer steps of this speed."""
        seconds_per_position = seconds_per_step / self.training_step
        validations_left = max(0, self.validations - step // eval_steps)
        return seconds_per_position * (
            (max_steps - step) * self.training_step
            + validations_left * self.validation * _FORWARD_SHARE
            + (self.prompt_tokens * _FORWARD_SHARE + self.generated_tokens * _POSITIONS_PER_GENERATED_TOKEN)
            / self.step_cost
        )
