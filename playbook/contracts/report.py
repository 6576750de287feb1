"""The report: per-item results and scores of all arms of a job (`RUN_DIR/report.json`)."""

import hashlib
from datetime import datetime
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, ValidationError, model_validator

from playbook.contracts.dataset import Message
from playbook.contracts.metrics import Metric
from playbook.contracts.model import Frozen, Sha256
from playbook.contracts.run_spec import Arm, RunSpec

#: A number that pages can show and exports can write.
Finite = Annotated[float, Field(allow_inf_nan=False)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
#: A mean of thousands of rows, summed in another order.
_ROUNDING = 1e-6
#: Up to what a database column holds.
Count = Annotated[int, Field(ge=0, le=2**63 - 1)]


class ReportAltered(ValueError):
    """The bytes of a report are not those whose digest was recorded."""


class ItemResult(Frozen):
    """One test row answered by one arm.

    A failed row (`error`) stays in the report with score 0. Fields with a default were not written by reports of
    version 1; what follows from older fields is filled in from them.
    """

    index: Count = Field(description="0-based line of the test split")
    prompt: tuple[Message, ...]
    expected: str
    output: str
    correct: bool = Field(description="the score by the run's metric reaches its pass mark, and the row did not fail")
    json_valid: bool
    prompt_tokens: Count
    output_tokens: Count
    natural_stop: bool = Field(description="the model ended its turn itself, before max_new_tokens")
    error: str | None = Field(default=None, description="why the row failed; a failed row counts as wrong")
    score: float = Field(
        default_factory=lambda row: float(row["correct"]),
        ge=0,
        le=1,
        description="by the run's metric; by perplexity: 1 / perplexity of the row, the typical token's probability",
    )
    scores: dict[Metric, Share] = Field(default_factory=dict, description="by each secondary metric")
    cut: bool = Field(
        default_factory=lambda row: not row["natural_stop"] and row["error"] is None,
        description="the answer reached max_new_tokens before the model ended its turn",
    )
    latency_seconds: Amount | None = Field(
        default=None,
        description="amortised: wall time of the row's batch / rows of the batch, without what all prompts of the arm "
        "begin with, which is computed once. Alone, a row takes nearly as long as "
        "its batch",
    )
    group: str | None = Field(
        default=None, description="rows of one group (a conversation, a template) vary together; none: alone"
    )
    expected_nats: Amount | None = Field(
        default=None, description="negative log-likelihood of the expected answer, summed over its tokens"
    )
    expected_tokens: Count | None = Field(default=None, ge=1, description="tokens of the expected answer in that sum")

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
    successes: Count = Field(description="rows that are right: that reach the pass mark and did not fail")
    n: Count = Field(ge=1, description="rows measured, failed ones too")
    value: float = Field(ge=0, description="a share from 0 to 1; perplexity: 1 or more, lower is better")
    low: float = Field(ge=0)
    high: float = Field(ge=0, description="infinite when rows are too few to bound a perplexity")
    interval: Literal["wilson", "bca"] = "wilson"
    groups: Count | None = Field(default=None, ge=1, description="groups that the interval treats as units; none: rows")

    @model_validator(mode="after")
    def _is_an_interval(self) -> Self:
        if self.successes > self.n:
            raise ValueError(f"{self.metric}: {self.successes} rows of {self.n} cannot be right")
        if not self.low - _ROUNDING <= self.value <= self.high + _ROUNDING:
            raise ValueError(f"{self.metric}: {self.value} lies outside of its interval, {self.low} to {self.high}")
        return self

    @model_validator(mode="after")
    def _share_stays_below_one(self) -> Self:
        if self.metric.is_share and max(self.value, self.high) > 1:
            raise ValueError(f"{self.metric} is a share; {self.value} ({self.low} to {self.high}) is over 1")
        return self


class Repeat(Frozen):
    """An arm measured once more, on the same rows, to see what chance alone does. Scores in the order of its items."""

    seed: int = Field(ge=0, description="what was different: the seed of this measurement")
    scores: tuple[Share, ...]
    seconds: Amount


class Retrieval(Frozen):
    """Where the passages in an arm's prompts came from."""

    documents_sha256: Sha256
    documents: Count
    passages: Count = Field(description="pieces that the documents were cut into")
    retriever: str = Field(description="bm25, or the name of an embedding model")
    top_k: Count = Field(ge=1, description="passages put into a prompt, at most")


class ArmReport(Frozen):
    """One arm's answers and scores. `partial`: it ended early, `items` holds what was measured by then."""

    arm: Arm
    items: tuple[ItemResult, ...]
    scores: tuple[Score, ...]
    seconds: Amount = Field(description="wall time of this arm's generation")
    partial: bool = False
    batch_size: Count | None = Field(default=None, ge=1, description="rows generated at a time")
    prompt_version: str | None = Field(default=None, description="name of the versioned prompt; none: that of the rows")
    prompt_sha256: Sha256 | None = Field(default=None, description="of the versioned prompt")
    shots: Count | None = Field(default=None, description="solved examples in the prompt")
    shot_selection: str | None = Field(default=None, description="how they were chosen: seed or nearest")
    retrieval: Retrieval | None = None
    repeats: tuple[Repeat, ...] = ()

    @model_validator(mode="after")
    def _scores_are_of_its_rows(self) -> Self:
        if len({item.index for item in self.items}) < len(self.items):
            raise ValueError(f"{self.arm} answered a row twice")
        if len({score.metric for score in self.scores}) < len(self.scores):
            raise ValueError(f"{self.arm} has two scores by one metric")
        if odd := [score for score in self.scores if score.n != len(self.items)]:
            raise ValueError(
                f"{self.arm}: {odd[0].metric} is a score of {odd[0].n} rows, and {len(self.items)} answered"
            )
        return self

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

    value: Finite
    low: Finite
    high: Finite


class Comparison(Frozen):
    """Two arms on the same rows.

    `test`: exact two-sided McNemar on the discordant rows, or, for metrics that give parts of a point and for rows in
    groups, a paired permutation test. `difference`: of the mean scores, arm - baseline, with a paired BCa bootstrap.
    """

    baseline: Arm
    arm: Arm
    gained: Count = Field(description="rows wrong in the baseline and right in the arm")
    lost: Count = Field(description="rows right in the baseline and wrong in the arm")
    p_value: float = Field(ge=0, le=1)
    test: Literal["mcnemar", "permutation"] = "mcnemar"
    difference: Estimate | None = Field(default=None, description="None in reports of version 1")


class RetentionItem(Frozen):
    """One row of the general set, before and after. Nats are summed over the tokens of the expected answer."""

    index: Count
    tokens: Count = Field(ge=1)
    nats_before: Amount
    nats_after: Amount
    correct_before: bool
    correct_after: bool


class RetentionSummary(Frozen):
    """What tuning did to general abilities: a fixed set, before and after. Losses: nats per token of the answers.

    `warning`: what to tell people when a limit was passed; None otherwise.
    """

    set_sha256: Sha256
    items: tuple[RetentionItem, ...] = Field(min_length=1)
    loss_before: Amount
    loss_after: Amount
    loss_change: Estimate
    accuracy_before: Share
    accuracy_after: Share
    accuracy_change: Estimate
    loss_limit: Finite = Field(gt=0, description="the loss may rise by so much, in nats per token")
    accuracy_limit: float = Field(gt=0, le=1, description="the accuracy may fall by so much")
    warning: str | None = None


class Forecast(Frozen):
    """What was predicted, and what came. Seconds: from the start of the trainer to its report; None in a partial one.
    Memory: the peak of training, of the GPU or of the process on a CPU. `estimated_peak_memory_bytes` is from before
    training, the predicted values from after `after_steps` steps."""

    after_steps: Count = Field(ge=1)
    estimated_peak_memory_bytes: Count
    predicted_seconds: Amount
    seconds: Amount | None
    predicted_peak_memory_bytes: Count
    peak_memory_bytes: Count


class ExportCheck(Frozen):
    """The tuned model in memory against the artifact read back from its files, on a few test rows.

    Both read prompt and expected answer. `rows_differing` counts rows where the most likely next token is another one
    anywhere along the answer; `largest_logit_difference` is over those places and the whole vocabulary.
    """

    rows: Count = Field(ge=1)
    rows_differing: Count
    largest_logit_difference: Amount


class TrainingSummary(Frozen):
    steps: Count
    seconds: Amount
    seconds_to_first_step: Amount = Field(description="from the start of the trainer process")
    supervised_tokens: Count
    tokens: Count
    computed_tokens: Count | None = Field(
        default=None,
        description="what of them went through the model: what the rows of a batch begin with is computed once",
    )
    final_train_loss: Finite
    final_validation_loss: Finite | None
    trainable_parameters: Count
    total_parameters: Count
    peak_memory_bytes: Count = Field(description="up to the end of training: of the GPU, or of the process on a CPU")
    stopped_early: bool = Field(default=False, description="early_stopping_patience was used up before max_steps")
    best_step: Count | None = Field(
        default=None, description="the step whose weights were handed over, if not the last"
    )
    forecast: Forecast | None = Field(default=None, description="None when too few steps were left to predict from")
    export: ExportCheck | None = Field(default=None, description="None in reports from before it was measured")
    event_seconds: Amount | None = Field(default=None, description="spent on writing events, in the last process")
    save_seconds: Amount | None = Field(default=None, description="spent on saving checkpoints and the tuned weights")


class Overlap(Frozen):
    """What train and test share. Shared rows are refused at upload; shared templates are reported."""

    shared_rows: Count
    shared_templates: Count | None = Field(description="None when the rows name no template in their metadata")
    test_templates: Count | None


class Report(Frozen):
    """`schema_version` 1 had only exact match and valid JSON; such reports are still read.

    `partial`: the job was cancelled or failed during evaluation; arms that were not begun are missing.
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

    @model_validator(mode="after")
    def _no_row_is_dropped(self) -> Self:
        rows = self.spec.measured_rows.rows
        for arm in self.arms:
            if beyond := [item.index for item in arm.items if item.index >= rows]:
                raise ValueError(f"{arm.arm} answered row {beyond[0] + 1} of a split of {rows}")
            if len(arm.items) < rows and not arm.partial:
                raise ValueError(
                    f"{arm.arm} answered {len(arm.items)} of {rows} rows and is not marked as partial: a row that "
                    "fails counts as wrong, and none is left out"
                )
        return self

    @model_validator(mode="after")
    def _figures_follow_from_the_rows(self) -> Self:
        metric = self.spec.evaluation.metric
        if len({arm.arm for arm in self.arms}) < len(self.arms):
            raise ValueError("an arm is there twice")
        for arm in self.arms:
            if not arm.items:
                continue
            if not arm.scores or arm.scores[0].metric is not metric:
                raise ValueError(f"{arm.arm} has no score by {metric}, the metric of the run, before its others")
            found = arm.scores[0]
            right = sum(item.correct for item in arm.items)
            mean = sum(item.score for item in arm.items) / len(arm.items)
            if found.successes != right or (metric.is_share and abs(found.value - mean) > _ROUNDING):
                raise ValueError(
                    f"{arm.arm} is said to be right on {found.successes} rows, {found.value:.4g} by {metric}; its rows "
                    f"give {right} and {mean:.4g}"
                )
        return self

    @model_validator(mode="after")
    def _has_the_arms_that_were_asked_for(self) -> Self:
        asked, found = self.spec.evaluation.arms, [arm.arm for arm in self.arms]
        if foreign := [arm for arm in found if arm not in asked]:
            raise ValueError(f"{foreign[0]} is none of the arms that the spec asks for: {', '.join(asked)}")
        if self.partial:
            return self
        if missing := [arm for arm in asked if arm not in found]:
            raise ValueError(
                f"{missing[0]} is missing, and the report is not marked as partial: an arm that fails is shown as "
                "failed, and none is left out"
            )
        if early := [arm.arm for arm in self.arms if arm.partial]:
            raise ValueError(f"{early[0]} ended early, and the report is not marked as partial")
        return self

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


def first_problem(error: ValidationError) -> str:
    """Return where the first of what is wrong with a report stands, what it is, and how much is wrong."""
    first, many = error.errors(include_url=False, include_input=False)[0], error.error_count()
    where = ".".join(str(part) for part in first["loc"]) or "the file"
    return f"{where}: {first['msg']} ({many} problem{'' if many == 1 else 's'})"
