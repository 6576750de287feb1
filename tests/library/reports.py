"""A small report as a job writes it: two arms on the same four rows."""

from datetime import UTC, datetime

from playbook.contracts.dataset import Message, Split
from playbook.contracts.report import ArmReport, ItemResult, Overlap, Report
from playbook.contracts.run_spec import Arm, BaseModelRef, EvaluationSettings, InputFile, Metric, RunSpec
from playbook.scoring.compare import score_of

TEST_SHA256 = "7" * 64
AT = datetime(2026, 11, 25, 9, tzinfo=UTC)


def make_report(right: dict[Arm, int], *, rows: int = 4) -> Report:
    """`right`: arm → how many of the rows it got right."""
    spec = RunSpec(
        base_model=BaseModelRef(id="tiny <model>"),
        evaluation=EvaluationSettings(arms=tuple(right)),
        inputs=tuple(
            InputFile(split=split, sha256=TEST_SHA256 if split is Split.TEST else "0" * 64, size_bytes=9, rows=rows)
            for split in Split
        ),
    )
    return Report(
        spec=spec,
        arms=tuple(
            ArmReport(
                arm=arm, items=_items(count, rows), scores=(score_of(Metric.EXACT_MATCH, count, rows),), seconds=1.0
            )
            for arm, count in right.items()
        ),
        comparisons=(),
        training=None,
        overlap=Overlap(shared_rows=0, shared_templates=None, test_templates=None),
        device="8 <cores>",
        versions={},
        started_at=AT,
        finished_at=AT,
    )


def _items(right: int, rows: int) -> tuple[ItemResult, ...]:
    return tuple(
        ItemResult(
            index=index,
            prompt=(Message(role="user", content="secret ticket"),),
            expected="yes",
            output="yes" if index < right else "no",
            correct=index < right,
            json_valid=False,
            prompt_tokens=50 + index,
            output_tokens=1,
            natural_stop=True,
        )
        for index in range(rows)
    )
