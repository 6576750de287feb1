"""The policy file: what it may say, where its errors are, and which rules a job meets."""

import doctest
import shutil
from datetime import date
from pathlib import Path

import pytest

from playbook.library import policy
from playbook.library.check import check_library
from playbook.library.content import load_library
from playbook.library.policy import JobFacts, Policy, rules_met

CONTENT = Path(__file__).parents[2] / "content"


def test_the_example_in_the_module_holds() -> None:
    assert doctest.testmod(policy).failed == 0


def test_the_shipped_policy_asks_for_all_three_kinds() -> None:
    shipped = load_library(CONTENT).policy
    assert shipped is not None
    large = JobFacts(gpu_minutes=61, parameters=3_000_000_001, own_data=True)
    small = JobFacts(gpu_minutes=60, parameters=3_000_000_000, own_data=False)
    assert [met.rule.id for met in rules_met(shipped, large)] == ["long-runs", "own-data", "large-models"]
    assert rules_met(shipped, small) == ()


@pytest.mark.parametrize(
    ("rule", "line", "said"),
    [
        ("{id: a, title: A, why: B}", 2, "sets no limit; set exactly one of"),
        ("{id: a, title: A, why: B, over_gpu_minutes: 1, over_parameters: 2}", 2, "set exactly one of"),
        ("{id: a, title: A, why: B, over_gpu_minutes: -1}", 2, "greater than or equal to 0"),
        ("{id: a, title: A, why: B, datasets: all}", 2, "not_samples"),
        ("{id: a, title: A, why: B, over_hours: 1}", 2, "over_hours"),
        ("{id: a, title: A, why: '', datasets: not_samples}", 2, "why"),
    ],
)
def test_check_content_names_what_is_wrong_and_where(tmp_path: Path, rule: str, line: int, said: str) -> None:
    shutil.copytree(CONTENT, tmp_path / "content", ignore=shutil.ignore_patterns("*.jsonl"))
    (tmp_path / "content/policy.yaml").write_text(f"rules:\n  - {rule}\n")
    library = load_library(tmp_path / "content")
    assert library.policy is None
    found = [p for p in check_library(library, today=date(2026, 11, 25)) if p.path == "policy.yaml"]
    assert [(problem.line, problem.severity) for problem in found] == [(line, "error")]
    assert said in found[0].message


def test_an_id_is_used_once() -> None:
    rule = {"id": "a", "title": "A", "why": "B", "datasets": "not_samples"}
    with pytest.raises(ValueError, match="rule 'a' is defined twice"):
        Policy.model_validate({"rules": [rule, rule]})
