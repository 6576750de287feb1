"""How a run ended, judged from what the trainer left behind: its last event, its exit code, its files."""

import re
import shutil
import signal
from dataclasses import dataclass
from typing import Literal

from playbook.contracts.states import EndReason, JobState
from playbook.worker.event_stream import find_ended
from playbook.worker.run_folder import RunFolder

EndedState = Literal[JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED]
MAX_MESSAGE_CHARACTERS = 10_000
#: What a trainer prints and its last event take less.
_NO_ROOM_BYTES = 64 * 1024
_FAILURES = [reason for reason in EndReason if reason not in (EndReason.COMPLETED, EndReason.CANCELLED_BY_USER)]
#: What the trainer prints last when it fails. On a full disk there is no room for the event that says the same.
_REASON_PRINTED = re.compile(rf"^(?P<reason>{'|'.join(_FAILURES)}): (?P<message>.+)\Z", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True)
class Ending:
    """What is reported to the site."""

    reason: EndReason
    message: str

    @property
    def state(self) -> EndedState:
        if self.reason is EndReason.COMPLETED:
            return JobState.SUCCEEDED
        return JobState.CANCELLED if self.reason is EndReason.CANCELLED_BY_USER else JobState.FAILED


def judge(folder: RunFolder, *, exit_code: int | None, is_cancelled: bool) -> Ending:
    """Return how the run ended. A run that completed before the cancel reached it has completed.

    `exit_code` is None when the worker was restarted meanwhile: then the last event alone tells.
    """
    ended = find_ended(folder.events)
    if ended is not None and ended.reason is EndReason.COMPLETED:
        return Ending(EndReason.COMPLETED, ended.message)
    if is_cancelled:
        return Ending(EndReason.CANCELLED_BY_USER, "The trainer was stopped.")
    if ended is not None and ended.reason is EndReason.CANCELLED_BY_USER:
        return Ending(EndReason.TRAINER_KILLED, f"Nobody cancelled the job on the site, yet: {ended.message}")
    if ended is not None and ended.reason is EndReason.TRAINER_CRASHED:
        return Ending(ended.reason, f"{ended.message}{_printed(folder)}")
    if ended is not None:
        return Ending(ended.reason, ended.message)
    return _without_last_word(folder, exit_code)


def _without_last_word(folder: RunFolder, exit_code: int | None) -> Ending:
    printed = _printed(folder)
    if exit_code is None:
        return Ending(EndReason.TRAINER_KILLED, f"The trainer vanished without a last event.{printed}")
    if exit_code < 0:
        name = signal.Signals(-exit_code).name
        return Ending(EndReason.TRAINER_KILLED, f"The trainer was killed by {name}.{printed}")
    if said := _REASON_PRINTED.search(folder.log_tail()):
        return Ending(EndReason(said["reason"]), said["message"])
    if shutil.disk_usage(folder.path).free < _NO_ROOM_BYTES:
        return Ending(EndReason.DISK_FULL, f"There is no room on the worker's disk, not even to say so.{printed}")
    return Ending(
        EndReason.TRAINER_CRASHED, f"The trainer ended with exit code {exit_code} and no last event.{printed}"
    )


def _printed(folder: RunFolder) -> str:
    tail = folder.log_tail()
    return f" The end of its output:\n{tail}" if tail else " It printed nothing."
