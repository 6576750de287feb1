"""The report: per-item results and scores of all arms of a job (`RUN_DIR/report.json`)."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from playbook.contracts.dataset import Message
from playbook.contracts.model import Frozen
from playbook.contracts.run_spec import Arm, Metric, RunSpec


class ItemResult(Frozen):
    """One test row answered by one arm. `correct` is the run's metric on this row."""

    index: int = Field(ge=0, description="0-based line of the test split")
    prompt: tuple[Message, ...]
    expected: str
    output: str
    correct: bool
    json_valid: bool
    prompt_tokens: int
    output_tokens: int
    natural_stop: bool = Field(description="the model ended its turn itself, before max_new_tokens")
    error: str | None = Field(default=None, description="why the row failed; a failed row counts as wrong")


class Score(Frozen):
    """A proportion with its 95 % Wilson interval (Wilson 1927)."""

    metric: Metric
    successes: int = Field(ge=0)
    n: int = Field(ge=1)
    value: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)


class ArmReport(Frozen):
    arm: Arm
    items: tuple[ItemResult, ...]
    scores: tuple[Score, ...]
    seconds: float = Field(ge=0, description="wall time of this arm's generation")

    def score(self, metric: Metric) -> Score:
        """Return the score of `metric`. Raises StopIteration when it was not measured."""
        return next(score for score in self.scores if score.metric is metric)

    @property
    def mean_prompt_tokens(self) -> float:
        return sum(item.prompt_tokens for item in self.items) / len(self.items)

    @property
    def natural_stop_rate(self) -> float:
        return sum(item.natural_stop for item in self.items) / len(self.items)


class Comparison(Frozen):
    """Two arms on the same rows. `p_value` is the exact two-sided McNemar test on the discordant rows."""

    baseline: Arm
    arm: Arm
    gained: int = Field(ge=0, description="rows wrong in the baseline and right in the arm")
    lost: int = Field(ge=0, description="rows right in the baseline and wrong in the arm")
    p_value: float = Field(ge=0, le=1)


class TrainingSummary(Frozen):
    steps: int
    seconds: float
    seconds_to_first_step: float = Field(description="from the start of the trainer process")
    supervised_tokens: int
    tokens: int
    final_train_loss: float
    final_validation_loss: float | None
    trainable_parameters: int
    total_parameters: int
    peak_memory_bytes: int = Field(description="up to the end of training: of the GPU, or of the process on a CPU")


class Overlap(Frozen):
    """What train and test share. Shared rows are refused at upload; shared templates are reported."""

    shared_rows: int
    shared_templates: int | None = Field(description="None when the rows name no template in their metadata")
    test_templates: int | None


class Report(Frozen):
    schema_version: Literal[1] = 1
    spec: RunSpec
    arms: tuple[ArmReport, ...]
    comparisons: tuple[Comparison, ...]
    training: TrainingSummary | None
    overlap: Overlap
    device: str
    versions: dict[str, str]
    started_at: datetime
    finished_at: datetime

    def arm(self, arm: Arm) -> ArmReport | None:
        return next((found for found in self.arms if found.arm is arm), None)
