"""Events: the lines that a trainer appends to `RUN_DIR/events.jsonl`, in order, each ended by a newline.

The worker forwards the bytes as they stand, at their offset; the site keeps them and reads them with `EVENT`.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter

from playbook.contracts.model import Frozen
from playbook.contracts.states import EndReason, Stage

#: A whole number that every database column and every JSON reader keeps exactly.
Count = Annotated[int, Field(ge=0, lt=2**53)]
CHECKPOINT_NAME = r"^step-[0-9]{6,}$"
MetricName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]


class _Event(Frozen):
    at: datetime


class StageStarted(_Event):
    """One of the three stages begins."""

    kind: Literal["stage_started"] = "stage_started"
    stage: Stage


class StageFinished(_Event):
    """It is over; `seconds` is wall time."""

    kind: Literal["stage_finished"] = "stage_finished"
    stage: Stage
    seconds: float = Field(ge=0)


class Configured(_Event):
    """The configuration that the trainer really uses, after every default, probe and clip."""

    kind: Literal["configured"] = "configured"
    effective: dict[str, str | int | float | bool | None]
    trainable_parameters: int
    total_parameters: int


class Progress(_Event):
    """`remaining_seconds` covers the whole job, not the stage; None while there is nothing to estimate from."""

    kind: Literal["progress"] = "progress"
    stage: Stage
    done: Count
    total: int = Field(ge=1, lt=2**53)
    unit: str = Field(pattern=r"^[a-z][a-z ]{0,29}$", description="plural: rows, steps")
    remaining_seconds: float | None = Field(default=None, ge=0, allow_inf_nan=False)


class MetricPoint(_Event):
    """Values at one optimizer step. Names: train_loss and validation_loss (nats per supervised token),
    learning_rate, grad_norm (before clipping), tokens_per_second, peak_memory_bytes. A value may be NaN or infinite
    (a run that diverges): it is kept in the log, as the text "NaN", and left out of the curves."""

    model_config = ConfigDict(ser_json_inf_nan="strings")

    kind: Literal["metric"] = "metric"
    step: Count
    values: dict[MetricName, float]


class LogLevel(StrEnum):
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Log(_Event):
    """A line for people. A warning is something they should act on (rows dropped, overfitting)."""

    kind: Literal["log"] = "log"
    level: LogLevel = LogLevel.INFO
    message: str


class CheckpointSaved(_Event):
    """`RUN_DIR/checkpoints/<name>` is complete on disk."""

    kind: Literal["checkpoint_saved"] = "checkpoint_saved"
    step: Count
    name: str = Field(pattern=CHECKPOINT_NAME)


class Ended(_Event):
    """The last line. A trainer that ended without it was killed."""

    kind: Literal["ended"] = "ended"
    reason: EndReason
    message: str


Event = Annotated[
    StageStarted | StageFinished | Configured | Progress | MetricPoint | Log | CheckpointSaved | Ended,
    Field(discriminator="kind"),
]
#: `EVENT.validate_json(line)` parses one line; raises pydantic.ValidationError.
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
