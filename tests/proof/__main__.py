"""Run the shipped experiments again and write their reports: `make proof`, or `python -m tests.proof [SLUG ...]`.

Each runs as a worker would run it, on the sample model. Prints what came out beside what was shipped, and writes
`content/reports/<slug>/`: the report, as the trainer wrote it, and a manifest. Exit code 1 when a score lies outside
the shipped interval, or another arm is enough than the experiment expects.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path

from playbook.contracts.experiment import Experiment
from playbook.contracts.report import Report
from playbook.trainer.artifacts import hardware
from playbook.trainer.model import choose_device
from tests.proof.outcome import enough, lines
from tests.shipped import REPORTS, experiments, run_python, shipped_report, write_run_folder


def main() -> int:
    known = experiments()
    parser = argparse.ArgumentParser(prog="python -m tests.proof", description=__doc__)
    parser.add_argument("slugs", nargs="*", metavar="SLUG", help=f"some of {', '.join(known)}; all by default")
    slugs = parser.parse_args().slugs or list(known)
    if unknown := sorted(set(slugs) - set(known)):
        parser.error(f"no experiment is called {', '.join(unknown)}; choose from {', '.join(known)}.")
    run_python("-m", "playbook.trainer.sample_model")
    held = [prove(known[slug]) for slug in slugs]
    return 0 if all(held) else 1


def prove(experiment: Experiment) -> bool:
    """Run one experiment, print and write what came out; return whether it came out as shipped and expected."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "run"
        write_run_folder(folder, dataset=experiment.dataset, recipe=experiment.recipe)
        run_python("-m", "playbook.trainer", str(folder))
        content = (folder / "report.json").read_bytes()
    now, shipped = Report.model_validate_json(content), shipped_report(experiment.slug)
    seconds = (now.finished_at - now.started_at).total_seconds()
    found, compared = enough(now), lines(shipped, now)
    holds = found is experiment.enough and all(line.holds for line in compared)
    print(f"\n{experiment.title} ({experiment.slug}), {seconds:.0f} s on {now.device}")
    print("\n".join(f"  {line}" for line in compared))
    print(f"  enough: {found} ({'as expected' if found is experiment.enough else f'EXPECTED {experiment.enough}'})\n")
    write(experiment, content, now)
    return holds


def write(experiment: Experiment, content: bytes, report: Report) -> None:
    """Write the report and its manifest, which names everything that it rests on."""
    folder = REPORTS / experiment.slug
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_bytes(content)
    spec = report.spec
    manifest = {
        "experiment": experiment.slug,
        "claim": experiment.claim,
        "dataset": experiment.dataset,
        "recipe": experiment.recipe,
        "report_sha256": hashlib.sha256(content).hexdigest(),
        "inputs": {str(file.split): file.sha256 for file in spec.inputs},
        "documents": None if spec.documents is None else spec.documents.sha256,
        "base_model": spec.base_model.id,
        "enough": str(enough(report)),
        "scores": {
            str(arm.arm): arm.scores[0].model_dump(mode="json", include={"metric", "successes", "n", "low", "high"})
            for arm in report.arms
        },
        "seconds": round((report.finished_at - report.started_at).total_seconds(), 1),
        "finished_at": report.finished_at.isoformat(),
        "versions": report.versions,
        "hardware": hardware(choose_device()),
        "load_average_at_end": os.getloadavg()[0],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
