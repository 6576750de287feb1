"""`python -m playbook.worker`: options, signals, exit codes."""

import logging
import os
import shlex
import signal
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

from playbook.worker.client import Client, Refusal
from playbook.worker.job_runner import Runner
from playbook.worker.loop import WorkDirInUse, hold, work
from playbook.worker.told import Told

DESCRIPTION = """\
Attach this machine to a Playbook site as a worker: it asks the site for jobs whose base model it has,
trains, and sends events and results back. It only calls out; no port is opened here.

On the site's machine, make a token:
  python manage.py create_worker gpu-1 --token-file gpu-1.token
On this machine:
  python -m playbook.worker --site https://playbook.example.org --token-file gpu-1.token \\
      --work-dir runs --models-dir models

One worker runs one job at a time. For a machine with several GPUs start one worker for each, with
CUDA_VISIBLE_DEVICES and a --work-dir of its own.
"""
EPILOG = """\
base models   MODELS_DIR/<folder> or MODELS_DIR/<owner>/<folder>, each with config.json and *.safetensors; looked up
              before each claim, so a new one needs no restart.
signals       TERM, INT (Ctrl-C): end the trainer, give the job back, exit; its next attempt goes on from the last
              checkpoint. USR1: finish the running job, then exit. KILL, a crash, a reboot: start the worker again
              with the same --work-dir and it takes the running job up where it stands.
site away     the trainer goes on; what it writes is sent when the site answers again.
exit code     0 stopped as told; 2 wrong options, a refused token, or a folder in use.
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the worker and return its exit code."""
    options = _parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    stopping, draining = Told(), Told()
    _listen(stopping, draining)
    try:
        with hold(options.work_dir), Client(options.site, options.token) as client:
            runner = Runner(
                client=client,
                work_dir=options.work_dir.resolve(),
                models_dir=options.models_dir.resolve(),
                trainer_command=options.trainer,
                grace_seconds=options.grace_seconds,
                stopping=stopping,
            )
            logging.info("Worker for %s, models in %s.", options.site, options.models_dir)
            work(runner, once=options.once, draining=draining, poll_seconds=options.poll_seconds)
    except (Refusal, WorkDirInUse) as error:
        print(f"playbook.worker: {error}", file=sys.stderr)
        return 2
    logging.info("Worker stopped.")
    return 0


def _parse(arguments: list[str] | None) -> Namespace:
    parser = ArgumentParser(
        prog="python -m playbook.worker",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--site",
        default=os.environ.get("PLAYBOOK_SITE"),
        metavar="URL",
        help="address of the site; default: PLAYBOOK_SITE",
    )
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="FILE",
        help="file with the worker token; default: the token itself in PLAYBOOK_WORKER_TOKEN",
    )
    parser.add_argument(
        "--work-dir", type=Path, required=True, metavar="DIR", help="where runs are kept; made if absent"
    )
    parser.add_argument("--models-dir", type=Path, required=True, metavar="DIR", help="where base models lie")
    parser.add_argument("--once", action="store_true", help="run at most one job, or none if none waits, then exit")
    parser.add_argument(
        "--poll-seconds", type=float, default=1.0, metavar="S", help="pause between two claims (default: %(default)s)"
    )
    parser.add_argument(
        "--grace-seconds",
        type=float,
        default=10.0,
        metavar="S",
        help="time for a trainer to end itself before it is killed (default: %(default)s)",
    )
    parser.add_argument(
        "--trainer",
        type=shlex.split,
        default=[sys.executable, "-m", "playbook.trainer"],
        metavar="COMMAND",
        help="the trainer to start, such as another environment's Python (default: this Python -m playbook.trainer)",
    )
    options = parser.parse_args(arguments)
    options.token = _token(parser, options)
    _check(parser, options)
    return options


def _token(parser: ArgumentParser, options: Namespace) -> str:
    file: Path | None = options.token_file
    if file is None:
        token = os.environ.get("PLAYBOOK_WORKER_TOKEN", "").strip()
        if not token:
            parser.error("no token: give --token-file FILE or set PLAYBOOK_WORKER_TOKEN")
        return token
    try:
        token = file.read_text().strip()
    except OSError as error:
        parser.error(f"--token-file {file}: {error.strerror}; make one with create_worker")
    if not token.isascii() or not token.isprintable() or not token:
        parser.error(f"--token-file {file} holds no token; make one with create_worker")
    return token


def _check(parser: ArgumentParser, options: Namespace) -> None:
    parts = urlsplit(options.site or "")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        parser.error(f"--site {options.site!r} is not an address; write it as https://playbook.example.org")
    if not options.models_dir.is_dir():
        parser.error(f"--models-dir {options.models_dir} is not a folder; make it and put base models in")
    for option in ("poll_seconds", "grace_seconds"):
        # Written this way round, "not a number" is refused too.
        if not getattr(options, option) > 0:
            parser.error(f"--{option.replace('_', '-')} {getattr(options, option)} must be above 0")


def _listen(stopping: Told, draining: Told) -> None:
    def stop(number: int, frame: FrameType | None) -> None:
        stopping.set()

    def drain(number: int, frame: FrameType | None) -> None:
        draining.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGUSR1, drain)


if __name__ == "__main__":
    sys.exit(main())
