"""The claim loop: take up what an earlier process left, then claim, run, and claim again until told to stop."""

import fcntl
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playbook.contracts.protocol import PROTOCOL_VERSION, ClaimRequest, ClaimResponse
from playbook.worker import gpu
from playbook.worker.client import SiteFailure
from playbook.worker.job_runner import Runner
from playbook.worker.retry import GaveUp, retry
from playbook.worker.run_folder import remove_old_runs, unfinished_runs
from playbook.worker.told import Told

log = logging.getLogger(__name__)


class WorkDirInUse(Exception):
    """Another worker process holds the work folder."""


@contextmanager
def hold(work_dir: Path) -> Iterator[None]:
    """Hold the work folder alone: two workers in one would both take up the same runs. Raises WorkDirInUse."""
    work_dir.mkdir(parents=True, exist_ok=True)
    with (work_dir / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise WorkDirInUse(
                f"another worker runs in {work_dir}; stop it, or give this one another --work-dir"
            ) from None
        yield


def work(runner: Runner, *, once: bool, draining: Told, poll_seconds: float) -> None:
    """Run jobs until `runner.stopping` or `draining` is set; with `once`, at most one, and none if none waits.

    Raises Refusal when the site does not accept this worker at all.
    """
    for folder, note in unfinished_runs(runner.work_dir):
        runner.resume(folder, note)
    gpus = gpu.list_gpus()
    while not (runner.stopping.is_set() or draining.is_set()):
        offer = gpu.capabilities(gpus, runner.models_dir)
        request = ClaimRequest(protocol_version=PROTOCOL_VERSION, capabilities=offer)
        claim = _claim(runner, request, give_up=lambda: runner.stopping.is_set() or draining.is_set())
        if claim is not None:
            runner.run(claim)
            remove_old_runs(runner.work_dir)
        if once:
            return
        if claim is None:
            runner.stopping.wait(poll_seconds)


def _claim(runner: Runner, request: ClaimRequest, *, give_up: Callable[[], bool]) -> ClaimResponse | None:
    try:
        return retry(lambda: runner.client.claim(request), give_up=give_up)
    except GaveUp:
        return None
    except SiteFailure as failure:
        log.error("The site fails to give out jobs: %s", failure)
        return None
