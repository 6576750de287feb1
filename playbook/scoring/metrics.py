"""Metrics on one output and its reference; the trainer calls them for each test row."""

import json

from playbook.contracts.run_spec import Metric

_NOT_JSON = object()


def is_correct(metric: Metric, *, output: str, reference: str) -> bool:
    """Tell whether `output` is right by `metric`.

    >>> is_correct(Metric.EXACT_MATCH, output='{"b": 2, "a": 1}', reference='{"a": 1.0, "b": 2}')
    True
    """
    if metric is Metric.JSON_VALID:
        return json_valid(output)
    return exact_match(output=output, reference=reference)


def exact_match(*, output: str, reference: str) -> bool:
    """Tell whether `output` equals `reference`: as JSON values if the reference is JSON, else as text.

    Text is compared after trimming and folding runs of white space; letter case counts. In JSON the order of keys
    does not count, the order of list elements does, and true is not 1.
    """
    wanted = _parse(reference)
    if wanted is _NOT_JSON:
        return output.split() == reference.split()
    got = _parse(output)
    return got is not _NOT_JSON and _same(got, wanted)


def json_valid(output: str) -> bool:
    """Tell whether the whole output is one JSON value (RFC 8259: no NaN, no Infinity)."""
    return _parse(output) is not _NOT_JSON


def _parse(text: str) -> object:
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _NOT_JSON


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _same(left: object, right: object) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(_same(a, b) for a, b in zip(left, right, strict=True))
    return left == right
