"""One measurement of a benchmark, and the table and file that `make bench` leaves."""

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """A value and what the project promises about it, in the same unit; None where it promises nothing."""

    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def holds(self) -> bool:
        above = self.at_least is not None and self.value < self.at_least
        return not above and (self.at_most is None or self.value <= self.at_most)

    def __str__(self) -> str:
        limits = (("at most", self.at_most), ("at least", self.at_least))
        promises = "".join(f"  ({words} {limit:g}: {self._verdict})" for words, limit in limits if limit is not None)
        return f"{self.name:<60} {self.value:>10.2f} {self.unit}{promises}"

    @property
    def _verdict(self) -> str:
        return "holds" if self.holds else "MISSED"


def write_results(name: str, rows: Sequence[Row], details: dict[str, object]) -> Path:
    """Write `results/<date>-<name>.json` and return its path."""
    path = RESULTS / f"{datetime.now(UTC).date()}-{name}.json"
    RESULTS.mkdir(exist_ok=True)
    content = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "rows": [asdict(row) | {"holds": row.holds} for row in rows],
        "details": details,
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path
