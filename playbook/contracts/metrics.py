"""What makes an answer right: the metrics and their settings, chosen on the dataset and carried by the run spec.

`scoring.metrics` computes them; here are only the names, the settings and their limits.
"""

import json
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, JsonValue, StringConstraints, model_validator

from playbook.contracts.model import Frozen

MAX_SCHEMA_BYTES = 100_000
Words = Annotated[str, StringConstraints(min_length=1, max_length=300)]
#: A regular expression. Longer ones are programs; each is also stopped after a second (`scoring.patterns`).
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]


class Metric(StrEnum):
    """How a row is judged. Scores lie between 0 and 1, but for perplexity.

    - `exact_match`: the answer is the expected one: as JSON values if that is JSON, else as text with runs of white
      space folded.
    - `json_valid`: the answer is one JSON value.
    - `json_schema`: it is also valid by `json_schema`.
    - `field_f1`: precision and recall of the fields of a JSON object, as their harmonic mean.
    - `label_accuracy`: the label is the expected one.
    - `chrf`: character n-gram F-score (Popović 2015).
    - `rouge_l`: F-score of the longest common subsequence of words (Lin 2004).
    - `rubric`: the share of `rules` that the answer keeps, by weight.
    - `perplexity`: exp of the mean negative log-likelihood of the expected answer's tokens; lower is better.
    """

    EXACT_MATCH = "exact_match"
    JSON_VALID = "json_valid"
    JSON_SCHEMA = "json_schema"
    FIELD_F1 = "field_f1"
    LABEL_ACCURACY = "label_accuracy"
    CHRF = "chrf"
    ROUGE_L = "rouge_l"
    RUBRIC = "rubric"
    PERPLEXITY = "perplexity"

    @property
    def is_boolean(self) -> bool:
        """A row is right or wrong, nothing between: the score of an arm is a proportion."""
        return self in _BOOLEAN

    @property
    def is_share(self) -> bool:
        """The score of an arm lies between 0 and 1, and higher is better."""
        return self is not Metric.PERPLEXITY


_BOOLEAN = frozenset({Metric.EXACT_MATCH, Metric.JSON_VALID, Metric.JSON_SCHEMA, Metric.LABEL_ACCURACY})
#: What a success criterion may promise: a share with a threshold between 0 and 1.
CRITERION_METRICS = tuple(metric for metric in Metric if metric.is_share)


class RubricRule(Frozen):
    """One rule of a rubric: kept when all its conditions hold. Patterns are searched anywhere in the answer."""

    name: Words = Field(description="what the rule asks, in words for people")
    must_match: Pattern | None = Field(default=None, description="a regular expression that the answer must hold")
    must_not_match: Pattern | None = Field(default=None, description="one that it must not hold")
    min_characters: int | None = Field(default=None, ge=0, description="shortest allowed answer")
    max_characters: int | None = Field(default=None, ge=0, description="longest allowed answer")
    min_words: int | None = Field(default=None, ge=0, description="fewest words, split at white space")
    max_words: int | None = Field(default=None, ge=0, description="most words")
    weight: float = Field(default=1.0, gt=0, le=1000, description="share of the score, against the other rules")

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        conditions = self.model_dump(exclude={"name", "weight"}, exclude_none=True)
        if not conditions:
            raise ValueError(f"rule {self.name!r} asks nothing; give it a pattern or a length")
        for unit in ("characters", "words"):
            low, high = conditions.get(f"min_{unit}"), conditions.get(f"max_{unit}")
            if low is not None and high is not None and low > high:
                raise ValueError(f"rule {self.name!r}: min_{unit} {low} is more than max_{unit} {high}; no answer fits")
        return self


class MetricSettings(Frozen):
    """What makes a row right. A dataset keeps one; the evaluation settings of a run extend it.

    `scoring.settings.problems_of` tells what this model cannot: whether the schema is one, and the patterns compile.
    """

    metric: Metric = Field(default=Metric.EXACT_MATCH, description="what makes a row right")
    secondary_metrics: tuple[Metric, ...] = Field(
        default=(Metric.JSON_VALID,),
        description="measured beside it, on the same answers; the metric itself is left out",
    )
    ignore_case: bool = Field(default=False, description="exact_match, label_accuracy, field_f1: upper case is lower")
    ignore_punctuation: bool = Field(default=False, description="exact_match, label_accuracy: marks do not count")
    json_schema: dict[str, JsonValue] | None = Field(
        default=None, description="json_schema: the JSON Schema (draft 2020-12 unless $schema says another)"
    )
    fields: tuple[Words, ...] = Field(
        default=(),
        max_length=200,
        description="field_f1: the fields that count, as paths like order.id; none: all of the expected answer",
    )
    label_field: Words | None = Field(
        default=None, description="label_accuracy: the field that holds the label, when answers are JSON objects"
    )
    labels: tuple[Words, ...] = Field(
        default=(), max_length=1000, description="label_accuracy: the allowed labels; none: those of the test rows"
    )
    rules: tuple[RubricRule, ...] = Field(default=(), max_length=50, description="rubric: its rules")
    pass_mark: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="a row is right from this score on, by a metric that gives parts of a point",
    )

    @model_validator(mode="after")
    def _has_what_its_metrics_need(self) -> Self:
        if Metric.JSON_SCHEMA in self.metrics and self.json_schema is None:
            raise ValueError("the metric json_schema needs a json_schema to check answers against")
        if Metric.RUBRIC in self.metrics and not self.rules:
            raise ValueError("the metric rubric needs at least one rule")
        if self.json_schema is not None:
            _refuse_large_or_infinite(self.json_schema)
        for what, names in (("rule", [rule.name for rule in self.rules]), ("label", self.labels)):
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise ValueError(f"{what} {twice[0]!r} is there twice; rename or remove one")
        return self

    @model_validator(mode="after")
    def _is_text_that_databases_keep(self) -> Self:
        for text in _texts(self.model_dump(mode="json")):
            if "\x00" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
                raise ValueError(f"{text[:80]!r} holds NUL or half of a surrogate pair, which is no text; remove it")
        return self

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metric, then the secondary ones, each once."""
        return tuple(dict.fromkeys((self.metric, *self.secondary_metrics)))


def _refuse_large_or_infinite(schema: dict[str, JsonValue]) -> None:
    try:
        size = len(json.dumps(schema, allow_nan=False))
    except ValueError:
        raise ValueError("json_schema holds NaN or a number beyond all others, which JSON does not have") from None
    if size > MAX_SCHEMA_BYTES:
        raise ValueError(f"json_schema is over {MAX_SCHEMA_BYTES:,} bytes; shorten it")


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
