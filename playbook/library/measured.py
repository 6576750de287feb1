"""What was measured here and is shipped: `reports/<slug>/report.json`, as a job wrote it → the part that readers see.

The rows with their prompts and answers are left out: a report of several arms holds megabytes of them.
"""

import hashlib
from datetime import datetime

from pydantic import ValidationError

from playbook.contracts.dataset import Split
from playbook.contracts.model import Frozen
from playbook.contracts.report import Report
from playbook.contracts.run_spec import Arm, Metric
from playbook.library.problems import ContentError

MAX_REPORT_BYTES = 8 * 1024 * 1024
SHOWN_PROBLEMS = 5


class MeasuredArm(Frozen):
    """One arm's score by the metric of the run, with its 95 % interval over `n` test rows."""

    arm: Arm
    value: float
    low: float
    high: float
    successes: int
    n: int
    prompt_tokens: float


class Measured(Frozen):
    """A shipped report. `sha256` is of the file; `test_sha256` of the test split, which names the data."""

    slug: str
    path: str
    sha256: str
    test_sha256: str
    test_rows: int
    train_rows: int
    base_model: str
    metric: Metric
    device: str
    finished_at: datetime
    arms: tuple[MeasuredArm, ...]


def is_report_path(path: str) -> bool:
    return path.startswith("reports/") and path.endswith("/report.json") and path.count("/") == 2


def read_measured(path: str, text: str) -> Measured:
    """Return what `text`, the file at `reports/<slug>/report.json`, says. Raises ContentError when it is no report, or
    when an arm answered nothing."""
    try:
        report = Report.model_validate_json(text)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)[:SHOWN_PROBLEMS]
        message = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}" for one in found)
        raise ContentError((1, f"no report: {message}")) from error
    metric = report.spec.evaluation.metric
    if empty := [arm.arm for arm in report.arms if not arm.items]:
        raise ContentError((1, f"arm {empty[0]} answered no row; ship the report of a finished job"))
    test = report.spec.input(Split.TEST)
    return Measured(
        slug=path.split("/")[1],
        path=path,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        test_sha256=test.sha256,
        test_rows=test.rows,
        train_rows=report.spec.input(Split.TRAIN).rows,
        base_model=report.spec.base_model.id,
        metric=metric,
        device=report.device,
        finished_at=report.finished_at,
        arms=tuple(
            MeasuredArm(
                arm=arm.arm,
                value=(score := arm.score(metric)).value,
                low=score.low,
                high=score.high,
                successes=score.successes,
                n=score.n,
                prompt_tokens=arm.mean_prompt_tokens,
            )
            for arm in report.arms
            if arm.items
        ),
    )
