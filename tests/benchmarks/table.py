"""One measurement of a benchmark, and the table and file that `make bench` leaves."""

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

RESULTS = Path(__file__).parent / "results"
README = Path(__file__).parents[2] / "README.md"
#: The table stands between these two lines of the README.
README_BEGIN, README_END = "<!-- measured: written by make bench -->\n", "<!-- end of measured -->\n"


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


def machine() -> dict[str, object]:
    """Return what tells one machine's results from another's: the processor, its cores, and the milliseconds that a
    loop of plain Python takes, the best of ten. Two virtual machines of one name may differ by two."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    return {
        "processor": names[0] if names else platform.processor(),
        "vectors": [name for name in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if name in flags],
        "cores": os.cpu_count(),
        "python_loop_ms": min(_loop_ms() for _ in range(10)),
    }


def _loop_ms() -> float:
    start = time.perf_counter()
    sum(number * number for number in range(100_000))
    return 1e3 * (time.perf_counter() - start)


def write_results(name: str, rows: Sequence[Row], details: dict[str, object]) -> Path:
    """Write `results/<date>-<name>.json` and return its path. Details may name a `kind` of machine whose results do not
    take the place of another's: it then ends the name."""
    kind = f"-{details['kind']}" if "kind" in details else ""
    path = RESULTS / f"{datetime.now(UTC).date()}-{name}{kind}.json"
    RESULTS.mkdir(exist_ok=True)
    content = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "machine": machine(),
        "rows": [asdict(row) | {"holds": row.holds} for row in rows],
        "details": details,
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def measured_table() -> str:
    """Return the newest result of each benchmark as one Markdown table: what was measured, and what we promise.

    A `note` among the details of a result file says what disturbed it, and stands below the table.
    """
    newest = {path.stem.split("-", 3)[3]: path for path in sorted(RESULTS.glob("*.json"))}
    notes = []
    lines = ["| measured | value | promise | on |", "|---|---|---|---|"]
    for path in newest.values():
        content = json.loads(path.read_text(encoding="utf-8"))
        day, kind = content["measured_at"][:10], content["details"].get("kind")
        on = f"{day}, {kind}" if kind else day
        if note := content["details"].get("note"):
            notes.append(f"\nOn {path.name}: {note}")
        for row in (Row(**{key: row[key] for key in Row.__dataclass_fields__}) for row in content["rows"]):
            limits = (("at most", row.at_most), ("at least", row.at_least))
            promise = ", ".join(f"{words} {limit:.3g}" for words, limit in limits if limit is not None)
            missed = "" if row.holds else " (missed)"
            value = f"{row.value:,.4g} {row.unit}".strip()
            lines.append(f"| {row.name} | {value} | {promise}{missed} | {on} |")
    return "\n".join(line.replace(" |  |", " | |") for line in lines + notes) + "\n"


def write_readme() -> None:
    """Put the table of the newest results into the README."""
    before, _, rest = README.read_text(encoding="utf-8").partition(README_BEGIN)
    after = rest.partition(README_END)[2]
    README.write_text(f"{before}{README_BEGIN}\n{measured_table()}\n{README_END}{after}", encoding="utf-8")
