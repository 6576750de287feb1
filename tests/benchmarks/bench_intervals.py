"""How often 95 % intervals hold the truth, at length: `python -m tests.benchmarks intervals`.

Not a matter of speed, but of the same kind: a figure that the reports promise, measured. The suite runs a short part.
"""

from tests.benchmarks.table import Row
from tests.scoring import coverage

SIMULATIONS = 4_000
SEED = 20_261_125


def measure() -> tuple[list[Row], dict[str, object]]:
    """Return the coverage of each interval in percent. The promise is where the rows are enough for a verdict."""
    found = {
        "Wilson, mean over true shares, n = 50": coverage.wilson_coverage(50),
        "Wilson, 50 groups of 5": _simulated(coverage.shares_in_groups(50, 5)),
        "mean of scores, n = 50": _simulated(coverage.skewed_scores(50)),
        "mean of scores, 50 groups of 4": _simulated(coverage.scores_in_groups(50, 4)),
        "paired difference, n = 50": _simulated(coverage.paired_differences(50, gained=0.3, lost=0.15)),
        "paired difference, n = 200": _simulated(coverage.paired_differences(200, gained=0.3, lost=0.15)),
    }
    rows = [Row(f"95 % interval: {name}", 100 * value, "%", at_least=93, at_most=97) for name, value in found.items()]
    few = _simulated(coverage.paired_differences(40, gained=0.05, lost=0.0))
    rows.append(Row("95 % interval: paired difference, n = 40, two rows differ", 100 * few, "%"))
    false = coverage.false_findings(50, simulations=SIMULATIONS, seed=SEED)
    rows.append(Row("permutation test: false findings at p < 0.05", 100 * false, "%", at_most=6))
    return rows, {"simulations": SIMULATIONS, "resamples": coverage.RESAMPLES, "seed": SEED}


def _simulated(simulation: coverage.Simulation) -> float:
    return coverage.coverage(simulation, simulations=SIMULATIONS, seed=SEED)
