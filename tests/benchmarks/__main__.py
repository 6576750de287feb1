"""Every benchmark: `make bench`, or `python -m tests.benchmarks [NAME ...]`. Exit code 1 when a promise is missed."""

import argparse
import sys

from tests.benchmarks import (
    bench_assessment,
    bench_check,
    bench_datasets,
    bench_decisions,
    bench_demo,
    bench_documents,
    bench_generation,
    bench_intervals,
    bench_jobs,
    bench_search,
    bench_share,
    bench_trainer,
    bench_wiki,
)
from tests.benchmarks.table import write_readme, write_results

BENCHMARKS = {
    "demo": bench_demo.measure,
    "trainer": bench_trainer.measure,
    "share": bench_share.measure,
    "generation": bench_generation.measure,
    "check": bench_check.measure,
    "search": bench_search.measure,
    "wiki": bench_wiki.measure,
    "jobs": bench_jobs.measure,
    "intervals": bench_intervals.measure,
    "datasets": bench_datasets.measure,
    "documents": bench_documents.measure,
    "decisions": bench_decisions.measure,
    "assessment": bench_assessment.measure,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"some of {', '.join(BENCHMARKS)}; all by default")
    names = parser.parse_args().names or list(BENCHMARKS)
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no benchmark is called {', '.join(unknown)}; choose from {', '.join(BENCHMARKS)}.")
    holds = True
    for name in names:
        rows, details = BENCHMARKS[name]()
        print("\n".join(map(str, rows)), flush=True)
        print(f"written to {write_results(name, rows, details)}\n", flush=True)
        holds = holds and all(row.holds for row in rows)
    write_readme()
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
