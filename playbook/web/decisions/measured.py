"""What reports measured of the arms, as a decision keeps it: figures as text, so that a signature's digest over them is
the same on every machine, with the hashes of report and test set.
"""

from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any, Self

from playbook.contracts.run_spec import Arm, Metric
from playbook.web.common.measurements import Measurement, measurements_of
from playbook.web.decisions.criterion import ARM_NAMES, METRIC_NAMES
from playbook.web.usecases.models import UseCase


@dataclass(frozen=True)
class Measured:
    """One arm's score in one job. `value`, `low` and `high` are shares with four decimals: "0.9250"."""

    arm: str
    metric: str
    value: str
    low: str
    high: str
    rows: int
    test_set: str
    job: int
    report_sha256: str

    @classmethod
    def of(cls, row: dict[str, Any]) -> Self:
        """Read back what a decision keeps."""
        return cls(**row)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def arm_name(self) -> str:
        return ARM_NAMES[Arm(self.arm)]

    @property
    def text(self) -> str:
        """`exact match 92.5 % (80.1–97.4, 40 rows)`."""
        low, high = (f"{100 * Decimal(bound):.1f}" for bound in (self.low, self.high))
        name = METRIC_NAMES[Metric(self.metric)]
        return f"{name} {100 * Decimal(self.value):.1f} % ({low}–{high}, {self.rows} rows)"


def measured_in(use_case: UseCase) -> tuple[list[Measured], list[str]]:
    """Return the newest score of each arm, metric and test set in a use case, and which reports cannot be read."""
    measurements, problems = measurements_of(use_case.pk)
    found: dict[tuple[str, str, str], Measured] = {}
    for one in measurements:
        found.setdefault((one.arm, one.metric, one.test_set_sha256), _measured(one))
    return list(found.values()), problems


def _measured(one: Measurement) -> Measured:
    return Measured(
        arm=one.arm,
        metric=one.metric,
        value=f"{one.value:.4f}",
        low=f"{one.low:.4f}",
        high=f"{one.high:.4f}",
        rows=one.rows,
        test_set=one.test_set_sha256,
        job=one.job,
        report_sha256=one.report_sha256,
    )
