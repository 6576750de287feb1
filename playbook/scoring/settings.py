"""Whether the settings of a metric can be used: asked when they are chosen, and again before a run."""

from collections.abc import Callable, Iterator, Sequence

from playbook.contracts.metrics import Metric, MetricSettings
from playbook.scoring.metrics import label_of, plain_label
from playbook.scoring.patterns import BoundedPattern, PatternError
from playbook.scoring.schema import CompiledSchema, SchemaError
from playbook.scoring.values import NOT_JSON, is_within, leaves, parse_json

#: Rows named one by one for each kind of misfit; beyond, their number says enough.
_NAMED = 5


def problems_of(settings: MetricSettings) -> tuple[str, ...]:
    """Return why the settings cannot be used, as sentences that say what to do; empty when they can.

    Fetches nothing and takes bounded time, whatever the schema and the patterns are.
    """
    problems: list[str] = []
    if settings.json_schema is not None:
        try:
            CompiledSchema(settings.json_schema)
        except SchemaError as error:
            problems.append(f"{error}.")
    for rule in settings.rules:
        for pattern in filter(None, (rule.must_match, rule.must_not_match)):
            try:
                BoundedPattern(pattern)
            except PatternError as error:
                problems.append(f"Rule {rule.name!r}: {error}.")
    return (*problems, *_label_problems(settings))


def _label_problems(settings: MetricSettings) -> Iterator[str]:
    """Yield the labels that no answer can say: those left empty by the settings, and those that become another one."""
    seen: dict[str, str] = {}
    for label in settings.labels:
        plain = plain_label(label, settings)
        if not plain:
            yield f"Label {label!r} is empty once it is compared; remove it, or count its marks."
        elif plain in seen:
            yield f"Labels {seen[plain]!r} and {label!r} are both compared as {plain!r}; remove one, or rename it."
        seen.setdefault(plain, label)


def misfits_of(settings: MetricSettings, answers: Sequence[str]) -> tuple[str, ...]:
    """Return where expected answers do not fit usable settings: rows that no model could get right.

    `answers`: of the test split, in order; rows are counted from 1. A schema or a pattern that takes too long on one of
    them is named too.
    """
    found: list[str] = []
    for metric in settings.metrics:
        for what, is_misfit in _checks(metric, settings):
            try:
                rows = [at for at, answer in enumerate(answers, start=1) if is_misfit(answer)]
            except PatternError as error:
                found.append(f"{metric.value}: {error}.")
                break
            if rows:
                found.append(f"{metric.value}: the expected answer of {_listed(rows)} {what}.")
                break
    return tuple(found)


_Check = tuple[str, Callable[[str], bool]]


def _checks(metric: Metric, settings: MetricSettings) -> list[_Check]:
    if metric is Metric.JSON_VALID and metric is settings.metric:
        return [("is not JSON itself", _is_not_json)]
    if metric is Metric.JSON_SCHEMA and settings.json_schema is not None:
        schema = CompiledSchema(settings.json_schema)
        return [
            ("is not JSON", _is_not_json),
            ("is not valid by json_schema; correct one of the two", lambda text: not schema.is_valid(parse_json(text))),
        ]
    if metric is Metric.FIELD_F1:
        fields = ", ".join(settings.fields)
        return [
            ("is not JSON, so it has no fields", _is_not_json),
            (f"has none of the fields {fields}; correct their paths", lambda text: not _has_field(text, settings)),
        ]
    if metric is Metric.LABEL_ACCURACY:
        allowed = {plain_label(label, settings) for label in settings.labels}
        at = f"at {settings.label_field!r}; correct label_field" if settings.label_field else ""
        return [
            (f"has no label {at}".rstrip(), lambda text: label_of(text, settings) is None),
            (
                "has a label that is not in labels",
                lambda text: bool(allowed) and label_of(text, settings) not in allowed,
            ),
        ]
    if metric is Metric.RUBRIC:
        patterns = [
            BoundedPattern(pattern)
            for rule in settings.rules
            for pattern in filter(None, (rule.must_match, rule.must_not_match))
        ]

        def searched(text: str) -> bool:
            for pattern in patterns:
                pattern.search(text)
            return False  # never a misfit: the search is made to see whether it ends

        return [("", searched)]
    return []


def _is_not_json(text: str) -> bool:
    return parse_json(text) is NOT_JSON


def _has_field(text: str, settings: MetricSettings) -> bool:
    return any(is_within(path, settings.fields) for path, *_ in leaves(parse_json(text)))


def _listed(rows: Sequence[int]) -> str:
    more = len(rows) - _NAMED
    named = ", ".join(map(str, rows[:_NAMED])) + (f" and {more} more" if more > 0 else "")
    return f"row {named}" if len(rows) == 1 else f"rows {named}"
