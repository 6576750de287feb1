"""One job from its claim to its end: inputs, trainer, events, checkpoints, results.

Three things may interrupt it: the job is cancelled (end it, report), the attempt is lost (end it, forget it), the
worker is told to stop (end it, give the job back). The site being away interrupts nothing: the trainer goes on and what
it writes is sent later.
"""

import contextlib
import errno
import logging
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from playbook.contracts.events import CheckpointSaved
from playbook.contracts.protocol import ClaimResponse, FinishRequest
from playbook.contracts.states import EndReason
from playbook.worker import artifacts
from playbook.worker.checkpoints import CheckpointUploader
from playbook.worker.client import Client, JobKey, Refusal, SiteFailure
from playbook.worker.ending import MAX_MESSAGE_CHARACTERS, Ending, judge
from playbook.worker.event_stream import EventStream, EventsUnusable, find_ended
from playbook.worker.executors.local import LocalTrainer, StillAlive
from playbook.worker.heartbeat import Heartbeat
from playbook.worker.retry import FAULT_TRIES, GaveUp, retry
from playbook.worker.run_folder import RunFolder, RunNote
from playbook.worker.told import Told
from playbook.worker.turn_feed import TurnFeed

POLL_SECONDS = 0.2
#: The trainer outlives this many leases without a heartbeat, so that a site that is away for minutes costs no run;
#: without a worker it then ends by itself and frees the machine.
LEASES_WITHOUT_WORKER = 10

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Runner:
    """What every run of this worker shares. `stopping` is set when the worker is told to stop; a trainer that has to
    end is given `grace_seconds` between TERM and KILL."""

    client: Client
    work_dir: Path
    models_dir: Path
    trainer_command: Sequence[str]
    grace_seconds: float
    stopping: Told

    def run(self, claim: ClaimResponse) -> None:
        """Run a claimed job to its end."""
        folder = RunFolder.of_attempt(self.work_dir, job_id=claim.job_id, attempt=claim.attempt)
        key = JobKey(job_id=claim.job_id, attempt=claim.attempt, token=claim.job_token)
        with Heartbeat(self.client, key, folder, lease_seconds=claim.lease_seconds) as heartbeat:
            run = _Run(self, key, folder, heartbeat)
            run.to_its_end(lambda: self._start(run, claim))

    def resume(self, folder: RunFolder, note: RunNote) -> None:
        """Take up a run that an earlier worker process started, whether its trainer still runs or has ended."""
        trainer = LocalTrainer.attach(note.trainer_pid, note.trainer_started)
        if trainer is None and find_ended(folder.events) is None:
            log.warning(
                "Job %s: its trainer is gone; once its lease runs out the site gives it out again.", note.job_id
            )
            folder.forget()
            return
        log.info("Job %s: taking up attempt %s again.", note.job_id, note.attempt)
        with Heartbeat(self.client, note.key, folder, lease_seconds=note.lease_seconds) as heartbeat:
            _Run(self, note.key, folder, heartbeat).to_its_end(lambda: trainer)

    def _start(self, run: "_Run", claim: ClaimResponse) -> LocalTrainer:
        folder = run.folder
        folder.make()
        folder.lease.touch()
        for location in claim.inputs:
            path = artifacts.fetch_input(self.client, run.key, location, folder.path, give_up=run.is_interrupted)
            if location.name == artifacts.CHECKPOINT:
                artifacts.unpack(path, folder.checkpoints)
            elif location.name == artifacts.INPUT_ADAPTER:
                artifacts.unpack(path, path.with_suffix(""))
        folder.spec.write_text(claim.spec.model_dump_json(indent=2))
        max_lease_age = str(LEASES_WITHOUT_WORKER * claim.lease_seconds)
        options = ["--models-dir", str(self.models_dir), "--max-lease-age", max_lease_age]
        trainer = LocalTrainer.start([*self.trainer_command, str(folder.path), *options], log=folder.log)
        note = RunNote(
            job_id=claim.job_id,
            attempt=claim.attempt,
            job_token=claim.job_token,
            lease_seconds=claim.lease_seconds,
            trainer_pid=trainer.pid,
            trainer_started=trainer.started,
        )
        try:
            folder.remember(note)
        except OSError:
            trainer.stop(grace_seconds=self.grace_seconds)  # nobody else knows of it yet
            raise
        log.info("Job %s: attempt %s runs as process %s.", claim.job_id, claim.attempt, trainer.pid)
        return trainer


class _Run:
    """One attempt in progress."""

    def __init__(self, runner: Runner, key: JobKey, folder: RunFolder, heartbeat: Heartbeat) -> None:
        self.client = runner.client
        self.key = key
        self.folder = folder
        self._heartbeat = heartbeat
        self._stopping = runner.stopping
        self._grace_seconds = runner.grace_seconds
        self._events = EventStream(folder.events)
        self._turns = TurnFeed(folder.turns)

    def is_interrupted(self) -> bool:
        """True when the trainer has to end: cancelled, lost, or the worker stops."""
        return self._heartbeat.is_cancelled or self._must_leave()

    def _must_leave(self) -> bool:
        """True when a report is not worth waiting for: the attempt is lost, or the worker stops."""
        return self._heartbeat.lost is not None or self._stopping.is_set()

    def to_its_end(self, start: Callable[[], LocalTrainer | None]) -> None:
        """Start or take up the trainer, see it through, report. However this ends, no process of it is left."""
        try:
            ending = self._see_through(start)
            if ending is None:
                self._give_back()
            elif ending.reason is EndReason.LEASE_LOST:
                # Not given back but left to run out, so that it counts: a job that always ends this way must fail.
                log.warning("Job %s: %s", self.key.job_id, ending.message)
            else:
                self._report(ending)
        except (GaveUp, SiteFailure) as error:
            # The note stays: the next start of this worker reports again, if the lease is still held by then.
            log.warning("Job %s: its end could not be reported (%s).", self.key.job_id, error or "stopping")
            return
        except Refusal as refusal:
            log.warning("Job %s: %s", self.key.job_id, refusal)
        self.folder.forget()

    def _see_through(self, start: Callable[[], LocalTrainer | None]) -> Ending | None:
        """Return how the run ended, all its events sent; None when the job is to be given back or is lost."""
        trainer: LocalTrainer | None = None
        problem: Ending | None = None
        was_running = True
        with CheckpointUploader(self.client, self.key, self.folder, give_up=self.is_interrupted) as checkpoints:
            try:
                trainer = start()
                was_running = self._watch(trainer, checkpoints)
            except GaveUp:
                pass  # interrupted while the site was away; what by is asked below
            except _PROBLEMS as error:
                problem = _ending_of(error)
            finally:
                left = _end_group(trainer, grace_seconds=self._grace_seconds)
        if self._heartbeat.lost is not None:
            log.warning("Job %s: %s", self.key.job_id, self._heartbeat.lost)
            return None
        if was_running and self._stopping.is_set() and not self._heartbeat.is_cancelled:
            return None
        ending = problem or self._last_words(trainer)
        if ending.reason is EndReason.CANCELLED_BY_USER:
            left = left or _ALL_GONE
        return Ending(ending.reason, f"{ending.message} {left}".strip())

    def _last_words(self, trainer: LocalTrainer | None) -> Ending:
        """Send the rest of the events and return the ending that they tell."""
        try:
            self._forward(None)
        except _PROBLEMS as error:
            return _ending_of(error)
        exit_code = None if trainer is None else trainer.exit_code
        return judge(self.folder, exit_code=exit_code, is_cancelled=self._heartbeat.is_cancelled)

    def _watch(self, trainer: LocalTrainer | None, checkpoints: CheckpointUploader) -> bool:
        """Forward events until the trainer ends or has to; return whether it was still running."""
        while trainer is not None and trainer.is_running:
            if self.is_interrupted():
                return True
            self._forward(checkpoints)
            if self.folder.kind == "playground":
                self._turns.fetch(lambda: retry(lambda: self.client.turns(self.key), give_up=self.is_interrupted))
            time.sleep(POLL_SECONDS)
        return False

    def _forward(self, checkpoints: CheckpointUploader | None) -> None:
        """Send every whole line there is. After the trainer's end (no `checkpoints`) a cancel interrupts no more."""
        give_up = self._must_leave if checkpoints is None else self.is_interrupted

        def send(offset: int, data: bytes) -> int:
            return retry(lambda: self.client.append_events(self.key, offset=offset, data=data), give_up=give_up)

        while events := self._events.forward(send):
            for event in events:
                if checkpoints is not None and isinstance(event, CheckpointSaved):
                    checkpoints.offer(event.name)

    def _report(self, ending: Ending) -> None:
        if ending.reason is EndReason.COMPLETED:
            if self.folder.kind != "playground":
                ending = self._hand_over() or ending
        elif self.folder.kind == "run":
            self._hand_over_what_there_is()
        try:
            self._finish(ending)
        except Refusal as refusal:
            if refusal.status != 422 or ending.reason is not EndReason.COMPLETED:
                raise
            self._finish(Ending(EndReason.UPLOAD_FAILED, f"The site refused the result: {refusal.detail}"))

    def _hand_over(self) -> Ending | None:
        """Upload the report and what was tuned, an adapter or a whole model; of a merge the merged model alone. Return
        what prevented it, or None."""
        folder = self.folder
        expected = folder.merged if folder.kind == "merge" else folder.report
        if not expected.exists():
            return Ending(
                EndReason.TRAINER_CRASHED, f"The trainer said that it completed, but wrote no {expected.name}."
            )
        try:
            if folder.kind == "merge":
                self._upload_folder(artifacts.MERGED, folder.merged)
                # The site has it now. An adapter is small and stays for a look; a whole model would fill the disk.
                shutil.rmtree(folder.merged, ignore_errors=True)
                return None
            self._upload(artifacts.REPORT, folder.report)
            self._upload_tuned()
        except artifacts.NotPacked as error:
            return Ending(EndReason.UPLOAD_FAILED, str(error))
        except _PROBLEMS as error:
            return _ending_of(error)
        return None

    def _hand_over_what_there_is(self) -> None:
        """Upload what a cancelled or failed run had tuned and measured by then, each whole or not there at all. That it
        cannot be had must not keep the job from ending."""
        folder = self.folder
        try:
            if folder.report.is_file():
                self._upload(artifacts.REPORT, folder.report)
            self._upload_tuned()
        except (artifacts.NotPacked, *_PROBLEMS) as error:
            if isinstance(error, Refusal) and error.ends_the_attempt:
                raise
            log.warning("Job %s: what it had tuned and measured was not taken (%s).", self.key.job_id, error)

    def _upload_tuned(self) -> None:
        for name, tuned in ((artifacts.ADAPTER, self.folder.adapter), (artifacts.MODEL, self.folder.model)):
            if tuned.is_dir():
                self._upload_folder(name, tuned)

    def _upload_folder(self, name: str, folder: Path) -> None:
        packed = self.folder.path / name
        try:
            artifacts.pack(folder, packed, name=name)
            self._upload(name, packed)
        finally:
            packed.unlink(missing_ok=True)

    def _upload(self, name: str, path: Path) -> None:
        artifacts.upload(self.client, self.key, name, path, give_up=self._must_leave)

    def _finish(self, ending: Ending) -> None:
        request = FinishRequest(
            attempt=self.key.attempt,
            state=ending.state,
            reason=ending.reason,
            message=ending.message[:MAX_MESSAGE_CHARACTERS],
        )
        retry(lambda: self.client.finish(self.key, request), give_up=self._must_leave)
        log.info("Job %s: %s (%s).", self.key.job_id, ending.state, ending.reason)

    def _give_back(self) -> None:
        """Let the site give the job out again at once. Tried once: otherwise its lease runs out soon."""
        if self._heartbeat.lost is None:
            with contextlib.suppress(httpx.TransportError, SiteFailure):
                self.client.release(self.key)
                log.info("Job %s: given back; its next attempt goes on from the last checkpoint.", self.key.job_id)


#: Said after a look at the processes. The system takes back the memory of one that is gone, that of a GPU too.
_ALL_GONE = "Its whole process group is gone, and the memory that it held is free again."


def _end_group(trainer: LocalTrainer | None, *, grace_seconds: float) -> str:
    """End what is left of the trainer's process group; return what a person must know of it, mostly nothing."""
    if trainer is None:
        return ""
    try:
        trainer.stop(grace_seconds=grace_seconds)
    except StillAlive as error:
        log.error("%s", error)
        return f"Look at the worker: {error}."
    return ""


_PROBLEMS = (Refusal, SiteFailure, EventsUnusable, artifacts.WrongInput, OSError)


def _ending_of(error: Exception) -> Ending:
    """Return the ending for what went wrong on the worker. A refusal that ends the attempt is raised again."""
    match error:
        case Refusal() if error.ends_the_attempt:
            raise error
        case EventsUnusable():
            return Ending(EndReason.TRAINER_CRASHED, f"The trainer's events cannot be read: {error}.")
        case Refusal():
            return Ending(EndReason.UPLOAD_FAILED, f"The site does not take what the trainer wrote: {error}")
        case SiteFailure():
            return Ending(EndReason.UPLOAD_FAILED, f"The site failed {FAULT_TRIES} times in a row: {error}")
        case artifacts.WrongInput():
            return Ending(EndReason.INPUT_MISMATCH, str(error))
        case OSError() if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return Ending(EndReason.DISK_FULL, f"On the worker: {error}")
        case _:
            return Ending(EndReason.TRAINER_CRASHED, f"On the worker: {error}")
