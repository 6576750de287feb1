"""How a run ended, judged from what a trainer left behind that could not write its last event."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from playbook.contracts.states import EndReason
from playbook.worker.ending import Ending, judge
from playbook.worker.run_folder import RunFolder

FULL = "The disk is full ([Errno 28] No space left on device). Free space on the worker and launch again."


def ending_after(tmp_path: Path, printed: str, *, exit_code: int) -> Ending:
    folder = RunFolder(tmp_path)
    folder.log.write_text(printed)
    return judge(folder, exit_code=exit_code, is_cancelled=False)


def test_a_reason_that_only_reached_the_output_is_the_reason(tmp_path: Path) -> None:
    printed = f"Loading weights\ndisk_full: {FULL}\n"
    assert ending_after(tmp_path, printed, exit_code=1) == Ending(EndReason.DISK_FULL, FULL)


def test_a_message_of_several_lines_is_kept_whole(tmp_path: Path) -> None:
    printed = "warning: something\nout_of_memory: Memory ran out.\nLower max_length.\n"
    expected = Ending(EndReason.OUT_OF_MEMORY, "Memory ran out.\nLower max_length.")
    assert ending_after(tmp_path, printed, exit_code=1) == expected


@pytest.mark.parametrize("printed", ["", "completed: all is well", "cancelled_by_user: stopped", "x disk_full: y"])
def test_any_other_output_is_a_crash_that_shows_it(tmp_path: Path, printed: str) -> None:
    ending = ending_after(tmp_path, printed, exit_code=3)
    assert ending.reason is EndReason.TRAINER_CRASHED
    assert ending.message.startswith("The trainer ended with exit code 3 and no last event.")
    assert printed in ending.message


def test_a_disk_without_room_even_for_the_reason_is_the_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the trainer prints goes to the same disk."""
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=0))
    ending = ending_after(tmp_path, "Loading wei", exit_code=1)
    assert ending.reason is EndReason.DISK_FULL
    assert ending.message.startswith("There is no room on the worker's disk, not even to say so.")


def test_a_killed_trainer_was_killed_whatever_it_printed(tmp_path: Path) -> None:
    assert ending_after(tmp_path, "disk_full: yes", exit_code=-9).reason is EndReason.TRAINER_KILLED
