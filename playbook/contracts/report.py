"""The report: per-item results and scores of all arms of a job (`RUN_DIR/report.json`)."""

import hashlib
from datetime import datetime
from typing import Literal, Self

from pydantic import ConfigDict, Field, model_validator

from playbook.contracts.dataset import Message
from playbook.contracts.metrics import Metric
from playbook.contracts.model import Frozen, Sha256
from playbook.contracts.run_spec import Arm, RunSpec


class ReportAltered(ValueError):
    """The bytes of a report are not those whose digest was recorded."""


class ItemResult(Frozen):
    """One test row answered by one arm.

    A failed row (`error`) stays in the report with score 0. Fields with a default were not written by reports of
    version 1; what follows from older fields is filled in from them.
    """

    index: int = Field(ge=0, description="0-based line of the test split")
    prompt: tuple[Message, ...]
    expected: str
    output: str
    correct: bool = Field(description="the score by the run's metric reaches its pass mark, and the row did not fail")
    json_valid: bool
    prompt_tokens: int
    output_tokens: int
    natural_stop: bool = Field(description="the model ended its turn itself, before max_new_tokens")
    error: str | None = Field(default=None, description="why the row failed; a failed row counts as wrong")
    score: float = Field(
        default_factory=lambda row: float(row["correct"]),
        ge=0,
        le=1,
        description="by the run's metric; by perplexity: 1 / perplexity of the row, the typical token's probability",
    )
    scores: dict[Metric, float] = Field(default_factory=dict, description="by each secondary metric")
    cut: bool = Field(
        default_factory=lambda row: not row["natural_stop"] and row["error"] is None,
        description="the answer reached max_new_tokens before the model ended its turn",
    )
    latency_seconds: float | None = Field(
        default=None,
        ge=0,
        description="amortised: wall time of the row's batch / rows of the batch, without what all prompts of the arm "
        "begin with, which is computed once. Alone, a row takes nearly as long as "
        "its batch",
    )
    group: str | None = Field(
        default=None, description="rows of one group (a conversation, a template) vary together; none: alone"
    )
    expected_nats: float | None = Field(
        default=None, ge=0, description="negative log-likelihood of the expected answer, summed over its tokens"
    )
    expected_tokens: int | None = Field(default=None, ge=1, description="tokens of the expected answer in that sum")

    @model_validator(mode="after")
    def _a_failed_row_is_wrong(self) -> Self:
        if self.error is not None and (self.correct or self.score):
            raise ValueError(f"row {self.index + 1} failed ({self.error[:80]}), so it is wrong, with score 0")
        return self


class Score(Frozen):
    """What an arm reached by one metric, with its 95 % interval.

    `interval` says which: Wilson (1927) for proportions, BCa bootstrap (Efron 1987) for means and perplexity.
    """

    model_config = ConfigDict(ser_json_inf_nan="strings")

    metric: Metric
    successes: int = Field(ge=0, description="rows that are right: that reach the pass mark and did not fail")
    n: int = Field(ge=1, description="rows measured, failed ones too")
    value: float = Field(ge=0, description="a share from 0 to 1; perplexity: 1 or more, lower is better")
    low: float = Field(ge=0)
    high: float = Field(ge=0, description="infinite when rows are too few to bound a perplexity")
    interval: Literal["wilson", "bca"] = "wilson"
    groups: int | None = Field(default=None, ge=1, description="groups that the interval treats as units; none: rows")

    @model_validator(mode="after")
    def _share_stays_below_one(self) -> Self:
        if self.metric.is_share and max(self.value, self.high) > 1:
            raise ValueError(f"{self.metric} is a share; {self.value} ({self.low} to {self.high}) is over 1")
        return self


class Repeat(Frozen):
    """An arm measured once more, on the same rows, to see what chance alone does. Scores in the order of its items."""

    seed: int = Field(ge=0, description="what was different: the seed of this measurement")
    scores: tuple[float, ...]
    seconds: float = Field(ge=0)


class Retrieval(Frozen):
    """Where the passages in an arm's prompts came from."""

    documents_sha256: Sha256
    documents: int = Field(ge=0)
    passages: int = Field(ge=0, description="pieces that the documents were cut into")
    retriever: str = Field(description="bm25, or the name of an embedding model")
    top_k: int = Field(ge=1, description="passages put into a prompt, at most")


class ArmReport(Frozen):
    """One arm's answers and scores. `partial`: it was cancelled on the way, `items` holds what was measured by then."""

    arm: Arm
    items: tuple[ItemResult, ...]
    scores: tuple[Score, ...]
    seconds: float = Field(ge=0, description="wall time of this arm's generation")
    partial: bool = False
    batch_size: int | None = Field(default=None, ge=1, description="rows generated at a time")
    prompt_version: str | None = Field(default=None, description="name of the versioned prompt; none: that of the rows")
    prompt_sha256: Sha256 | None = Field(default=None, description="of the versioned prompt")
    shots: int | None = Field(default=None, ge=0, description="solved examples in the prompt")
    shot_selection: str | None = Field(default=None, description="how they were chosen: seed or nearest")
    retrieval: Retrieval | None = None
    repeats: tuple[Repeat, ...] = ()

    @model_validator(mode="after")
    def _repeats_answer_the_same_rows(self) -> Self:
        if odd := [len(repeat.scores) for repeat in self.repeats if len(repeat.scores) != len(self.items)]:
            raise ValueError(f"a repeat of {self.arm} has {odd[0]} scores for {len(self.items)} rows")
        return self

    def score(self, metric: Metric) -> Score:
        """Return the score of `metric`. Raises StopIteration when it was not measured."""
        return next(score for score in self.scores if score.metric is metric)

    @property
    def mean_prompt_tokens(self) -> float:
        return sum(item.prompt_tokens for item in self.items) / len(self.items)

    @property
    def natural_stop_rate(self) -> float:
        return sum(item.natural_stop for item in self.items) / len(self.items)

    @property
    def failed(self) -> tuple[ItemResult, ...]:
        """The rows that failed; each counts as wrong."""
        return tuple(item for item in self.items if item.error is not None)


class Estimate(Frozen):
    """A value with its 95 % interval."""

    value: float
    low: float
    high: float


class Comparison(Frozen):
    """Two arms on the same rows.

    `test`: exact two-sided McNemar on the discordant rows, or, for metrics that give parts of a point and for rows in
    groups, a paired permutation test. `difference`: of the mean scores, arm - baseline, with a paired BCa bootstrap.
    """

    baseline: Arm
    arm: Arm
    gained: int = Field(ge=0, description="rows wrong in the baseline and right in the arm")
    lost: int = Field(ge=0, description="rows right in the baseline and wrong in the arm")
    p_value: float = Field(ge=0, le=1)
    test: Literal["mcnemar", "permutation"] = "mcnemar"
    difference: Estimate | None = Field(default=None, description="None in reports of version 1")


class RetentionItem(Frozen):
    """One row of the general set, before and after. Nats are summed over the tokens of the expected answer."""

    index: int = Field(ge=0)
    tokens: int = Field(ge=1)
    nats_before: float = Field(ge=0)
    nats_after: float = Field(ge=0)
    correct_before: bool
    correct_after: bool


class RetentionSummary(Frozen):
    """What tuning did to general abilities: a fixed set, before and after. Losses: nats per token of the answers.

    `warning`: what to tell people when a limit was passed; None otherwise.
    """

    set_sha256: Sha256
    items: tuple[RetentionItem, ...] = Field(min_length=1)
    loss_before: float = Field(ge=0)
    loss_after: float = Field(ge=0)
    loss_change: Estimate
    accuracy_before: float = Field(ge=0, le=1)
    accuracy_after: float = Field(ge=0, le=1)
    accuracy_change: Estimate
    loss_limit: float = Field(gt=0, description="the loss may rise by so much, in nats per token")
    accuracy_limit: float = Field(gt=0, le=1, description="the accuracy may fall by so much")
    warning: str | None = None


class Forecast(Frozen):
    """What was predicted, and what came. Seconds: from the start of the trainer to its report. Memory: the peak of
    training, of the GPU or of the process on a CPU. `estimated_peak_memory_bytes` is from before training, the
    predicted values from after `after_steps` steps."""

    after_steps: int = Field(ge=1)
    estimated_peak_memory_bytes: int = Field(ge=0)
    predicted_seconds: float = Field(ge=0)
    seconds: float = Field(ge=0)
    predicted_peak_memory_bytes: int = Field(ge=0)
    peak_memory_bytes: int = Field(ge=0)


class ExportCheck(Frozen):
    """The tuned model in memory against the artifact read back from its files, on a few test rows.

    Both read prompt and expected answer. `rows_differing` counts rows where the most likely next token is another one
    anywhere along the answer; `largest_logit_difference` is over those places and the whole vocabulary.
    """

    rows: int = Field(ge=1)
    rows_differing: int = Field(ge=0)
    largest_logit_difference: float = Field(ge=0)


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
    stopped_early: bool = Field(default=False, description="early_stopping_patience was used up before max_steps")
    best_step: int | None = Field(default=None, description="the step whose weights were handed over, if not the last")
    forecast: Forecast | None = Field(default=None, description="None when too few steps were left to predict from")
    export: ExportCheck | None = Field(default=None, description="None in reports from before it was measured")
    event_seconds: float | None = Field(default=None, description="spent on writing events, in the last process")
    save_seconds: float | None = Field(default=None, description="spent on saving checkpoints and the tuned weights")


class Overlap(Frozen):
    """What train and test share. Shared rows are refused at upload; shared templates are reported."""

    shared_rows: int
    shared_templates: int | None = Field(description="None when the rows name no template in their metadata")
    test_templates: int | None


class Report(Frozen):
    """`schema_version` 1 had only exact match and valid JSON; such reports are still read.

    `partial`: the job was cancelled during evaluation; arms that were not begun are missing.
    """

    model_config = ConfigDict(ser_json_inf_nan="strings")

    schema_version: Literal[1, 2] = 2
    spec: RunSpec
    arms: tuple[ArmReport, ...]
    comparisons: tuple[Comparison, ...]
    training: TrainingSummary | None
    overlap: Overlap
    device: str
    versions: dict[str, str]
    started_at: datetime
    finished_at: datetime
    partial: bool = False
    retention: RetentionSummary | None = Field(default=None, description="None when nothing was trained")

    @property
    def test_set_sha256(self) -> str:
        """The hash of the rows that were answered: reports with the same one may be compared.

        Of the locked test split, unless the run measured on the validation split to leave that alone.
        """
        return self.spec.measured_rows.sha256

    def arm(self, arm: Arm) -> ArmReport | None:
        return next((found for found in self.arms if found.arm is arm), None)


def read_report(content: bytes, *, sha256: str) -> Report:
    """Return the report in `content`, a `report.json` whose digest was recorded when it was handed over.

    Raises ReportAltered when the digest is another one, pydantic.ValidationError when it is no report.
    """
    check_digest(content, sha256=sha256)
    return Report.model_validate_json(content)


def check_digest(content: bytes, *, sha256: str) -> None:
    """Raise ReportAltered unless `content` has the digest that was recorded."""
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ReportAltered(
            f"The report was altered on disk: its digest is {found[:12]}…, the recorded one {sha256[:12]}…. "
            "Restore the file from a backup; its figures are not shown."
        )
