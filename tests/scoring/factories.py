"""Small values for tests of scores and reports."""

from collections.abc import Sequence
from datetime import UTC, datetime

from playbook.contracts.dataset import Message, Split
from playbook.contracts.metrics import MetricSettings
from playbook.contracts.report import ArmReport, ItemResult, Overlap, Report, TrainingSummary
from playbook.contracts.run_spec import Arm, RunSpec
from playbook.scoring.compare import compare_all, scores_of

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)


def item(index: int, score: float, **more: object) -> ItemResult:
    """A row with this score, right when it is 1."""
    values: dict[str, object] = {
        "index": index,
        "prompt": (Message(role="user", content=f"question {index}"),),
        "expected": "1",
        "output": "1" if score == 1 else "?",
        "correct": score == 1,
        "json_valid": score == 1,
        "prompt_tokens": 30,
        "output_tokens": 10,
        "natural_stop": True,
        "score": score,
    }
    return ItemResult.model_validate(values | more)


def arm_of(
    arm: Arm,
    scores: Sequence[float],
    *,
    settings: MetricSettings | None = None,
    groups: Sequence[str | None] | None = None,
    **more: object,
) -> ArmReport:
    """An arm whose rows have these scores, at a second a row."""
    items = tuple(
        item(index, float(score), group=None if groups is None else groups[index]) for index, score in enumerate(scores)
    )
    values: dict[str, object] = {
        "arm": arm,
        "items": items,
        "scores": scores_of(items, settings or MetricSettings()),
        "seconds": float(len(items)),
    }
    return ArmReport.model_validate(values | more)


def answered_by(arm: Arm, items: Sequence[ItemResult]) -> ArmReport:
    """An arm of these very rows, judged by exact match."""
    scores = scores_of(items, MetricSettings())
    return ArmReport(arm=arm, items=tuple(items), scores=scores, seconds=float(len(items)))


def report_of(
    *arms: ArmReport,
    settings: dict[str, object] | None = None,
    test_sha256: str = "c" * 64,
    hour_rate: float | None = None,
    training_seconds: float = 100.0,
    **more: object,
) -> Report:
    """A report of these arms, which its spec asked for, if `settings` name no others; trained when one is tuned."""
    asked = [arm.arm for arm in arms] or [Arm.ZERO_SHOT]
    rows = max((len(arm.items) for arm in arms), default=1)
    spec = RunSpec.model_validate(
        {
            "base_model": {"id": "tiny"},
            "evaluation": {"arms": asked, **(settings or {})},
            "documents": {"sha256": "d" * 64, "size_bytes": 5, "documents": 1},
            "cost": None if hour_rate is None else {"hour_rate": hour_rate, "currency": "EUR"},
            "inputs": [
                {"split": split, "sha256": sha256, "size_bytes": 5, "rows": rows}
                for split, sha256 in ((Split.TRAIN, "a" * 64), (Split.VALIDATION, "b" * 64), (Split.TEST, test_sha256))
            ],
        }
    )
    training = TrainingSummary(
        steps=10,
        seconds=training_seconds,
        seconds_to_first_step=1,
        supervised_tokens=100,
        tokens=1000,
        final_train_loss=0.1,
        final_validation_loss=0.2,
        trainable_parameters=10,
        total_parameters=1000,
        peak_memory_bytes=1000,
    )
    values: dict[str, object] = {
        "spec": spec,
        "arms": arms,
        "comparisons": compare_all(arms),
        "training": training if any(arm.arm.is_tuned for arm in arms) else None,
        "overlap": Overlap(shared_rows=0, shared_templates=None, test_templates=None),
        "device": "cpu",
        "versions": {},
        "started_at": AT,
        "finished_at": AT,
    }
    return Report.model_validate(values | more)
