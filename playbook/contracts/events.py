"""Events: the lines that a trainer appends to `RUN_DIR/events.jsonl`, in order, each ended by a newline.

The worker forwards the bytes as they stand, at their offset; the site keeps them and reads them with `EVENT`.
"""

import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter

from playbook.contracts.dataset import Split
from playbook.contracts.model import Frozen
from playbook.contracts.playground import MAX_TURNS, Side
from playbook.contracts.states import EndReason, Stage

#: A whole number that every database column and every JSON reader keeps exactly.
Count = Annotated[int, Field(ge=0, lt=2**53)]
CHECKPOINT_NAME = r"^step-[0-9]{6,}$"
MetricName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,59}$")]


def _is_none(value: object) -> bool:
    return value is None


def _is_false(value: bool) -> bool:
    return not value


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


Plain = str | int | float | bool | None


def plain_value(value: Any) -> Plain:
    """Return a dumped setting as one value of `Configured.effective`: names with commas, anything deeper as JSON."""
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return ", ".join(value)
    plain: Plain = json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value
    return plain


class Configured(_Event):
    """The configuration that the trainer really uses, after every default, probe and clip."""

    kind: Literal["configured"] = "configured"
    effective: dict[str, Plain]
    trainable_parameters: int
    total_parameters: int


class SplitTokens(Frozen):
    """One split in tokens of the real tokenizer, after the over-length rule; `median` and `p95` are of a row."""

    rows: Count
    tokens: Count
    supervised_tokens: Count
    shortest: Count
    median: Count
    p95: Count
    longest: Count
    dropped_rows: Count = 0
    truncated_rows: Count = 0
    lost_tokens: Count = 0
    lost_lines: tuple[int, ...] = Field(default=(), max_length=100, description="the first lines dropped or cut")


class SampleToken(Frozen):
    text: str
    learned: bool


class SampleRow(Frozen):
    """A row as the model reads it: the rendered template, token by token, with what the loss sees."""

    split: Split
    line: int
    tokens: tuple[SampleToken, ...] = Field(max_length=2000)
    ends_turn: bool = Field(description="the last learned token ends the turn, so the model learns to stop")


class Preflight(_Event):
    """What the data stage found out, before anything is trained.

    `memory_bytes`: estimate by component (base_weights, prepacked_weights, adapter, gradients, optimizer,
    activations, logits, runtime).
    """

    kind: Literal["preflight"] = "preflight"
    splits: dict[Split, SplitTokens]
    samples: tuple[SampleRow, ...] = Field(max_length=10)
    memory_bytes: dict[MetricName, Count]


class Predicted(_Event):
    """What the first optimizer steps foretell: seconds from the start of the trainer to its report, and the peak memory
    of training. The report says what they were."""

    kind: Literal["predicted"] = "predicted"
    after_steps: Count
    seconds: float = Field(ge=0, allow_inf_nan=False)
    seconds_per_step: float = Field(ge=0, allow_inf_nan=False)
    peak_memory_bytes: Count


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


class Ready(_Event):
    """The model of a playground session is loaded and waits for turns; `seconds` from the start of the trainer."""

    kind: Literal["ready"] = "ready"
    seconds: float = Field(ge=0, allow_inf_nan=False)


class Said(_Event):
    """A piece of an answer in a playground session, from character `at` on. `done` comes with the last one.

    `tokens`: generated so far. `natural_stop`: the model ended its turn; False: it was cut. `error`: why there is no
    answer. With the last piece `seconds`: how long the model computed for this side; `stopped`: a person ended it.
    """

    kind: Literal["said"] = "said"
    turn: int = Field(ge=1, le=MAX_TURNS)
    side: Side
    at_character: Count
    text: str = Field(max_length=100_000)
    tokens: Count
    done: bool = False
    natural_stop: bool = True
    error: str | None = Field(default=None, max_length=2000)
    seconds: float | None = Field(default=None, ge=0, exclude_if=_is_none)
    stopped: bool = Field(default=False, exclude_if=_is_false)


class Ended(_Event):
    """The last line. A trainer that ended without it was killed."""

    kind: Literal["ended"] = "ended"
    reason: EndReason
    message: str


Event = Annotated[
    StageStarted
    | StageFinished
    | Configured
    | Preflight
    | Predicted
    | Progress
    | MetricPoint
    | Log
    | CheckpointSaved
    | Ready
    | Said
    | Ended,
    Field(discriminator="kind"),
]
#: `EVENT.validate_json(line)` parses one line; raises pydantic.ValidationError.
EVENT: TypeAdapter[Event] = TypeAdapter(Event)
