"""What the first steps foretell: when the report will be there, and how much memory training will hold at most."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from playbook.contracts.report import Forecast
from playbook.contracts.run_spec import TrainingSettings
from playbook.trainer.data import Row
from playbook.trainer.emit import Emitter
from playbook.trainer.layout import Layout, computed_tokens
from playbook.trainer.memory import Pass, pass_of
from playbook.trainer.schedule import Workload

#: Steps to look at. The first one is left out of the mean: it builds kernels and touches memory for the first time.
PROBE_STEPS = 3
#: What a process on a CPU takes beyond its first steps: kernels, of which bfloat16 has its own for each length still to
#: come, and gaps in its heap. On the sample job it was 0.4 GB in bfloat16 and 0.05 GB in float32.
CPU_GROWTH_BYTES = {"bfloat16": 400_000_000, "float32": 100_000_000}


@dataclass
class Foresight:
    """Listens to the first steps of this process and then predicts, once.

    `bytes_of` gives the estimate for a micro-batch, `largest` is the largest one of the run. `process_start`:
    time.monotonic(). `growth_bytes`: what comes on top of the first steps' memory.
    """

    workload: Workload
    settings: TrainingSettings
    emitter: Emitter
    process_start: float
    bytes_of: Callable[[Pass], int]
    largest: Pass
    layout: Layout = Layout.PADDED
    growth_bytes: int = 0
    seconds_left: float | None = None
    _steps: list[tuple[int, float]] = field(default_factory=list)
    _largest_seen: int = 0
    _predicted: tuple[float, int] | None = None

    @property
    def is_done(self) -> bool:
        return self._predicted is not None

    def step_done(self, step: int, *, rows: Sequence[Row], seconds: float, peak_bytes: int) -> None:
        """Note a step; after the third one predict."""
        size = self.settings.per_device_train_batch_size
        tokens = computed_tokens(rows, self.layout, batch_size=size)
        for at in range(0, len(rows), size):
            self._largest_seen = max(self._largest_seen, self.bytes_of(pass_of(rows[at : at + size], self.layout)))
        self._steps.append((tokens, seconds))
        if len(self._steps) < PROBE_STEPS:
            return
        timed = self._steps[1:]
        per_token = sum(seconds for _, seconds in timed) / sum(tokens for tokens, _ in timed)
        per_step = per_token * self.workload.training_step
        self.seconds_left = self.workload.remaining_after(
            step, max_steps=self.settings.max_steps, eval_steps=self.settings.eval_steps, seconds_per_step=per_step
        )
        seconds = time.monotonic() - self.process_start + self.seconds_left
        # What is measured so far, and by how much the largest micro-batch still to come exceeds those seen.
        peak = peak_bytes + max(0, self.bytes_of(self.largest) - self._largest_seen) + self.growth_bytes
        self._predicted = (seconds, peak)
        self.emitter.predicted(
            after_steps=PROBE_STEPS, seconds=seconds, seconds_per_step=per_step, peak_memory_bytes=peak
        )

    def forecast(self, *, peak_memory_bytes: int, seconds: float | None) -> Forecast | None:
        """Return prediction and actual side by side; None when too few steps were made to predict. `seconds`: what the
        run took, None when it did not come to its end."""
        if self._predicted is None:
            return None
        return Forecast(
            after_steps=PROBE_STEPS,
            estimated_peak_memory_bytes=self.bytes_of(self.largest),
            predicted_seconds=self._predicted[0],
            seconds=seconds,
            predicted_peak_memory_bytes=self._predicted[1],
            peak_memory_bytes=peak_memory_bytes,
        )
