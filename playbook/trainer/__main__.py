"""Run one training job by hand or under a worker: `python -m playbook.trainer RUN_DIR`."""

import time

PROCESS_START = time.monotonic()

import argparse  # noqa: E402 - the clock above must start before anything is imported
import contextlib  # noqa: E402
import os  # noqa: E402
import sys  # noqa: E402
import traceback  # noqa: E402
from datetime import UTC, datetime  # noqa: E402
from pathlib import Path  # noqa: E402

from playbook.contracts.events import LogLevel  # noqa: E402
from playbook.contracts.states import EndReason, Stage  # noqa: E402
from playbook.trainer.emit import Emitter  # noqa: E402
from playbook.trainer.errors import ending_of  # noqa: E402
from playbook.trainer.folder import RunFolder, default_models_dir  # noqa: E402
from playbook.trainer.prepare import Run, prepare, read_spec  # noqa: E402
from playbook.trainer.stop import Stop  # noqa: E402

HELP = """\
Train LoRA adapters on a base model and measure them on a test split.

RUN_DIR holds what is read:
  spec.json                 the run spec (playbook/contracts/run_spec.py)
  inputs/train.jsonl        one {"messages": [...]} object a line; validation.jsonl and test.jsonl likewise
  lease                     optional; see --max-lease-age
and gets what is written:
  events.jsonl              one event a line, appended while it runs; the last one is "ended" with a reason
  checkpoints/step-NNNNNN/  the newest one; the same command continues from it
  artifacts/adapter/        the adapter in PEFT's format, with tokenizer and model card
  report.json               every answer of every arm, scores with intervals, comparisons

Exit code: 0 when the run completed, 1 when it ended for another reason (see the last event), 2 for a wrong command.
SIGTERM ends the run after the current step. No network is used unless the base model has to come from the Hub.
"""


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    # Read when torch is imported. Threads that spin while they wait lose a busy machine most of its time: with the
    # site and a browser beside it on 2 cores, steps took over 15 s instead of 7.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    folder = RunFolder(options.run_dir)
    with contextlib.closing(Emitter(folder.events)) as emitter:
        return _run_to_its_end(folder, emitter, options)


def _run_to_its_end(folder: RunFolder, emitter: Emitter, options: argparse.Namespace) -> int:
    """Execute the run, write its last event whatever happens, and return the exit code."""
    stop = Stop(lease=folder.lease, max_lease_age_seconds=options.max_lease_age)
    stop.listen()
    try:
        message = _execute(folder, emitter, stop, models_dir=options.models_dir)
    except BaseException as error:
        ending = ending_of(error)
        print(f"{ending.reason}: {ending.message}", file=sys.stderr)
        # A full disk takes the last event too; the exit code and the line above still tell.
        with contextlib.suppress(OSError):
            if ending.reason is EndReason.TRAINER_CRASHED:
                emitter.log(traceback.format_exc(), level=LogLevel.ERROR)
            emitter.ended(ending.reason, ending.message)
        return 1
    print(message)
    return 0


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m playbook.trainer", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR")
    parser.add_argument(
        "--models-dir",
        type=Path,
        default=default_models_dir(),
        help="folder of base models (default: PLAYBOOK_MODELS_DIR, else .data/models of the project)",
    )
    parser.add_argument(
        "--max-lease-age",
        type=float,
        metavar="SECONDS",
        help="end the run when RUN_DIR/lease was last touched longer ago: its worker is gone",
    )
    options = parser.parse_args(arguments)
    if not options.run_dir.is_dir():
        parser.error(f"RUN_DIR {options.run_dir} is not a folder; create it with a spec.json and inputs/.")
    return options


def _execute(folder: RunFolder, emitter: Emitter, stop: Stop, *, models_dir: Path) -> str:
    """Run the three stages and return one sentence about the result."""
    started_at = datetime.now(UTC)
    run = Run(
        folder=folder,
        spec=read_spec(folder),
        models_dir=models_dir,
        emitter=emitter,
        stop=stop,
        process_start=PROCESS_START,
    )
    with emitter.stage(Stage.DATA):
        prepared = prepare(run)
    # Brings torch and peft, which take seconds: bad data has been refused by now.
    from playbook.trainer.run import build_report, evaluation_stage, train_or_load

    loaded, state = train_or_load(run, prepared)
    with emitter.stage(Stage.EVALUATION):
        arms = evaluation_stage(run, prepared, loaded)
        build_report(run, prepared, loaded, state, arms, started_at=started_at)
    scores = "; ".join(f"{arm.arm} {arm.scores[0].successes} of {arm.scores[0].n}" for arm in arms)
    message = f"The run is complete. {run.spec.evaluation.metric}: {scores}."
    emitter.ended(EndReason.COMPLETED, message)
    return message


if __name__ == "__main__":
    sys.exit(main())
