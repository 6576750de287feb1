"""Metrics on one output and its reference; the trainer calls a `Judge` for each test row."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from playbook.contracts.metrics import Metric, MetricSettings, RubricRule
from playbook.scoring.patterns import BoundedPattern
from playbook.scoring.schema import CompiledSchema
from playbook.scoring.text import chrf, rouge_l
from playbook.scoring.values import (
    NOT_JSON,
    Leaf,
    NotJudged,
    f1,
    field_of,
    is_within,
    leaves,
    normalised,
    parse_json,
    probability,
    same_value,
)

#: A score of parts of a point may miss its mark by rounding alone.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Judged:
    """One row. `scores`: by each secondary metric. `problem`: why it could not be judged; it then counts as wrong."""

    correct: bool
    score: float
    json_valid: bool
    scores: dict[Metric, float] = field(default_factory=dict)
    problem: str | None = None


class Judge:
    """Judges answers by the settings of a dataset. Made once for a run: schema and patterns are compiled here.

    Raises ValueError (SchemaError, PatternError) when the settings cannot be used; `settings.problems_of` says all
    that is wrong with them.
    """

    def __init__(self, settings: MetricSettings) -> None:
        self._settings = settings
        self._schema = CompiledSchema(settings.json_schema) if settings.json_schema is not None else None
        self._rules = tuple(_CompiledRule(rule) for rule in settings.rules)

    def judge(
        self, *, output: str, expected: str, nats: float | None = None, tokens: int | None = None, failed: bool = False
    ) -> Judged:
        """Return what one answer is worth. `failed`: there is no answer, and nothing in `output` counts.

        `nats`, `tokens`: negative log-likelihood of the expected answer, summed, and its tokens; for perplexity alone.

        >>> judge = Judge(MetricSettings())
        >>> judge.judge(output='{"b": 2, "a": 1}', expected='{"a": 1.0, "b": 2}').correct
        True
        """
        if failed:
            return Judged(False, 0.0, False, dict.fromkeys(self._settings.metrics[1:], 0.0))
        problems: list[str] = []
        found: dict[Metric, float] = {}
        for metric in self._settings.metrics:
            try:
                found[metric] = self._score(metric, output, expected, nats, tokens)
            except NotJudged as error:
                found[metric] = 0.0
                problems.append(f"{metric.value}: {error}")
        score = found.pop(self._settings.metric)
        return Judged(
            correct=not problems and score >= self._settings.pass_mark - _ROUNDING,
            score=0.0 if problems else score,
            json_valid=json_valid(output),
            scores=found,
            problem="; ".join(problems) or None,
        )

    def _score(self, metric: Metric, output: str, expected: str, nats: float | None, tokens: int | None) -> float:
        settings = self._settings
        match metric:
            case Metric.EXACT_MATCH:
                return float(exact_match(output=output, reference=expected, settings=settings))
            case Metric.JSON_VALID:
                return float(json_valid(output))
            case Metric.JSON_SCHEMA:
                value = parse_json(output)
                return float(value is not NOT_JSON and self._schema is not None and self._schema.is_valid(value))
            case Metric.FIELD_F1:
                return field_f1(output=output, reference=expected, settings=settings)
            case Metric.LABEL_ACCURACY:
                wanted = label_of(expected, settings)
                return float(wanted is not None and label_of(output, settings) == wanted)
            case Metric.CHRF:
                return chrf(output=output, reference=expected)
            case Metric.ROUGE_L:
                return rouge_l(output=output, reference=expected)
            case Metric.RUBRIC:
                return rubric_score(output, self._rules)
            case Metric.PERPLEXITY:
                if nats is None or tokens is None:
                    raise NotJudged("the likelihood of the expected answer was not measured")
                return probability(nats, tokens)


def exact_match(*, output: str, reference: str, settings: MetricSettings | None = None) -> bool:
    """Tell whether `output` equals `reference`: as JSON values if the reference is JSON, else as text.

    Text is compared after trimming and folding runs of white space; letter case and marks count unless the settings
    say otherwise. In JSON the order of keys does not count, the order of list elements does, and true is not 1.
    """
    settings = settings or MetricSettings()
    ignore_case, ignore_punctuation = settings.ignore_case, settings.ignore_punctuation
    wanted = parse_json(reference)
    if wanted is NOT_JSON:
        got, right = (
            normalised(text, ignore_case=ignore_case, ignore_punctuation=ignore_punctuation)
            for text in (output, reference)
        )
        return got == right
    value = parse_json(output)
    return value is not NOT_JSON and same_value(
        value, wanted, ignore_case=ignore_case, ignore_punctuation=ignore_punctuation
    )


def json_valid(output: str) -> bool:
    """Tell whether the whole output is one JSON value (RFC 8259: no NaN, no Infinity)."""
    return parse_json(output) is not NOT_JSON


def field_f1(*, output: str, reference: str, settings: MetricSettings) -> float:
    """Return the F1 of the fields: (path, value) pairs that output and reference share, against those of each.

    The elements of a list count in any order; objects in it are held against those that they share the most with. No
    JSON scores 0.

    >>> field_f1(output='{"a": 1, "b": 2}', reference='{"a": 1, "b": 3}', settings=MetricSettings())
    0.5
    """
    given, wanted = field_leaves(output, settings, beside=reference), field_leaves(reference, settings)
    if given is None or wanted is None:
        return 0.0
    return f1((given & wanted).total(), given.total(), wanted.total())


def field_leaves(text: str, settings: MetricSettings, *, beside: str | None = None) -> Counter[Leaf] | None:
    """Return the fields of an answer that count, with their values; None when it is no JSON.

    `beside`: the expected answer, by which objects in lists find their partners.
    """
    value = parse_json(text)
    if value is NOT_JSON:
        return None
    wanted = NOT_JSON if beside is None else parse_json(beside)
    found = leaves(value, ignore_case=settings.ignore_case, beside=wanted)
    return Counter({leaf: count for leaf, count in found.items() if is_within(leaf[0], settings.fields)})


def label_of(text: str, settings: MetricSettings) -> str | None:
    """Return the label that an answer says, normalised; None when it says none."""
    if settings.label_field is not None:
        value = field_of(parse_json(text), settings.label_field)
        if value is NOT_JSON or isinstance(value, dict | list):
            return None
        text = value if isinstance(value, str) else str(value)
    return plain_label(text, settings) or None


def plain_label(label: str, settings: MetricSettings) -> str:
    """Return a label as it is compared: normalised as the settings say."""
    return normalised(label, ignore_case=settings.ignore_case, ignore_punctuation=settings.ignore_punctuation)


class _CompiledRule:
    def __init__(self, rule: RubricRule) -> None:
        self.rule = rule
        self._must = BoundedPattern(rule.must_match) if rule.must_match else None
        self._must_not = BoundedPattern(rule.must_not_match) if rule.must_not_match else None

    def is_kept(self, text: str) -> bool:
        rule, words = self.rule, len(text.split())
        return (
            _between(rule.min_characters, len(text), rule.max_characters)
            and _between(rule.min_words, words, rule.max_words)
            and (self._must is None or self._must.search(text))
            and (self._must_not is None or not self._must_not.search(text))
        )


def rubric_score(output: str, rules: Sequence[_CompiledRule]) -> float:
    """Return the share of the rules that an answer keeps, by weight. Raises NotJudged when one takes too long."""
    total = sum(one.rule.weight for one in rules)
    return sum(one.rule.weight for one in rules if one.is_kept(output)) / total


def _between(low: int | None, value: int, high: int | None) -> bool:
    return (low is None or value >= low) and (high is None or value <= high)
