import pytest

from playbook.contracts.run_spec import Metric
from playbook.scoring.metrics import exact_match, is_correct, json_valid

REFERENCE = '{"order_id": "41", "tags": ["a", "b"], "n": 1}'


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (REFERENCE, True),
        ('{"n": 1.0, "tags": ["a", "b"], "order_id": "41"}', True),
        (f"\n  {REFERENCE}\n", True),
        ('{"order_id": "41", "tags": ["b", "a"], "n": 1}', False),
        ('{"order_id": 41, "tags": ["a", "b"], "n": 1}', False),
        ('{"order_id": "41", "tags": ["a", "b"], "n": true}', False),
        ('{"order_id": "41", "tags": ["a", "b"]}', False),
        (f"{REFERENCE} Anything else?", False),
        (f"```json\n{REFERENCE}\n```", False),
        ("", False),
    ],
)
def test_exact_match_compares_json_values(output: str, expected: bool) -> None:
    assert exact_match(output=output, reference=REFERENCE) is expected


@pytest.mark.parametrize(
    ("output", "expected"), [("Dear  Bob,\nthanks", True), (" Dear Bob, thanks ", True), ("dear bob, thanks", False)]
)
def test_exact_match_folds_white_space_of_text(output: str, expected: bool) -> None:
    assert exact_match(output=output, reference="Dear Bob, thanks") is expected


def test_exact_match_tells_null_from_text_that_is_not_json() -> None:
    assert (exact_match(output="null", reference="null"), exact_match(output="none", reference="null")) == (True, False)


@pytest.mark.parametrize(
    ("output", "expected"), [("{}", True), ("3", True), ("{'a': 1}", False), ("NaN", False), ("[" * 100_000, False)]
)
def test_json_valid_is_the_whole_output_and_strict(output: str, expected: bool) -> None:
    assert json_valid(output) is expected


def test_is_correct_follows_the_metric_of_the_run() -> None:
    assert is_correct(Metric.JSON_VALID, output="{}", reference=REFERENCE)
    assert not is_correct(Metric.EXACT_MATCH, output="{}", reference=REFERENCE)
