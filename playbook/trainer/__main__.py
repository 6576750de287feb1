"""Run one training job by hand or under a worker: `python -m playbook.trainer RUN_DIR`."""

import time

PROCESS_START = time.monotonic()

import argparse  # noqa: E402 - the clock above must start before anything is imported
import contextlib  # noqa: E402
import sys  # noqa: E402
import traceback  # noqa: E402
from datetime import UTC, datetime  # noqa: E402
from pathlib import Path  # noqa: E402

from playbook.contracts.events import LogLevel  # noqa: E402
from playbook.contracts.states import EndReason, Stage  # noqa: E402
from playbook.trainer.allocator import keep_freed_memory  # noqa: E402
from playbook.trainer.emit import Emitter, FolderInUseError  # noqa: E402
from playbook.trainer.errors import (  # noqa: E402
    IN_ANSWERING,
    IN_DATA,
    IN_MEASUREMENT,
    IN_MERGE,
    IN_TRAINING,
    ending_of,
)
from playbook.trainer.folder import RunFolder, default_models_dir  # noqa: E402
from playbook.trainer.preflight import check  # noqa: E402
from playbook.trainer.prepare import Run, prepare, read_spec, require_trainable  # noqa: E402
from playbook.trainer.stop import Stop  # noqa: E402
from playbook.trainer.terminal import ProgressBar  # noqa: E402
from playbook.trainer.threads import choose_waiting  # noqa: E402

HELP = """\
Tune a base model on the train split of a dataset and measure it on the locked test split. Works without the site.

RUN_DIR holds what is read:
  spec.json                 what to do: base model, method, settings, and the three splits with their SHA-256
                            (playbook/contracts/run_spec.py describes every field, its range and its default)
  inputs/train.jsonl        one {"messages": [...]} object a line; validation.jsonl and test.jsonl likewise
  lease                     optional; see --max-lease-age
and gets what is written:
  events.jsonl              one event a line, appended while it runs; the last one is "ended" with a reason
  checkpoints/step-NNNNNN/  the newest one, in safetensors and JSON; the same command continues from it
  artifacts/adapter/        the adapter in PEFT's format, with tokenizer, chat template, model card and manifest.json
  artifacts/model/          the whole model instead, with method: full
  report.json               every answer of every arm, scores with intervals, comparisons

Three stages follow each other: data (rows checked and tokenised, memory estimated), training, evaluation. After three
steps the time and memory of the whole run are foretold. On a terminal a bar shows stage, loss and remaining time.

Examples:
  python -m playbook.trainer runs/first
  python -m playbook.trainer runs/first --models-dir /srv/models
  python -m playbook.trainer.merge runs/first      afterwards: adapter and base as one model

Exit code: 0 when the run completed, 1 when it ended for another reason (printed, and in the last event), 2 for a wrong
command. SIGTERM and Ctrl-C end the run after the current step. However it ends, even killed, it loses at most
save_steps steps. No network is used unless the base model has to come from the Hub.
"""


def main(arguments: list[str] | None = None) -> int:
    options = _parse(arguments)
    folder = RunFolder(options.run_dir)
    bar = ProgressBar(sys.stderr) if sys.stderr.isatty() else None
    try:
        emitter = Emitter(folder.events, on_event=bar)
    except FolderInUseError as error:
        # The events belong to the other one.
        print(error, file=sys.stderr)
        return 1
    except OSError as error:
        # No event can tell of it: the command line and the exit code do.
        print(f"{ending_of(error).message}", file=sys.stderr)
        return 1
    with contextlib.closing(emitter):
        return _run_to_its_end(folder, emitter, options)


def _run_to_its_end(folder: RunFolder, emitter: Emitter, options: argparse.Namespace) -> int:
    """Execute the run, write its last event whatever happens, and return the exit code."""
    stop = Stop(lease=folder.lease, max_lease_age_seconds=options.max_lease_age)
    stop.listen()
    try:
        # Before torch is imported, which reads it once.
        emitter.log(f"Waiting threads: {choose_waiting()} (OpenMP; chosen by how busy the machine is).")
        message = _execute(folder, emitter, stop, models_dir=options.models_dir)
    except BaseException as error:
        ending = ending_of(error, less_memory=_less_memory(folder.kind, emitter.begun))
        # A full disk may take what is printed, the last event or both; the exit code still tells.
        with contextlib.suppress(OSError):
            print(f"{ending.reason}: {ending.message}", file=sys.stderr, flush=True)
        with contextlib.suppress(OSError):
            if ending.reason is EndReason.TRAINER_CRASHED:
                emitter.log(traceback.format_exc(), level=LogLevel.ERROR)
            emitter.ended(ending.reason, ending.message)
        return 1
    print(message)
    return 0


def _less_memory(kind: str, begun: Stage | None) -> str:
    """Return what to change when memory runs out in a run of this kind, in this stage."""
    if kind != "run":
        return IN_MERGE if kind == "merge" else IN_ANSWERING
    of_stage: dict[Stage | None, str] = {Stage.TRAINING: IN_TRAINING, Stage.EVALUATION: IN_MEASUREMENT}
    return of_stage.get(begun, IN_DATA)


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m playbook.trainer", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run_dir", type=Path, metavar="RUN_DIR", help="a folder with spec.json and inputs/")
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
    if folder.kind == "merge":
        # Brings torch and peft, as below.
        from playbook.trainer.merge import merge_for_worker

        message = merge_for_worker(folder, emitter, stop, models_dir=models_dir, process_start=PROCESS_START)
        emitter.ended(EndReason.COMPLETED, message)
        return message
    if folder.kind == "playground":
        # Brings torch and peft; a run must not wait for them before its data are checked.
        from playbook.trainer.playground import serve

        message = serve(folder, emitter, stop, models_dir=models_dir, process_start=PROCESS_START)
        emitter.ended(EndReason.COMPLETED, message)
        return message
    started_at = datetime.now(UTC)
    run = Run(
        folder=folder,
        spec=read_spec(folder),
        models_dir=models_dir,
        emitter=emitter,
        stop=stop,
        process_start=PROCESS_START,
    )
    require_trainable(run.spec)
    keep_freed_memory()
    with emitter.stage(Stage.DATA):
        prepared = prepare(run)
        checked = check(run, prepared)
    # Brings peft, which takes seconds: bad data has been refused by now.
    from playbook.trainer.run import train_and_measure

    report = train_and_measure(run, prepared, checked, started_at=started_at)
    scores = "; ".join(f"{arm.arm} {arm.scores[0].successes} of {arm.scores[0].n}" for arm in report.arms)
    message = f"The run is complete. {run.spec.evaluation.metric}: {scores}."
    emitter.ended(EndReason.COMPLETED, message)
    return message


if __name__ == "__main__":
    sys.exit(main())
