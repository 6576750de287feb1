"""What is left of a run that cannot be started: no process."""

import errno
import json
import sys
from pathlib import Path

import psutil
import pytest

from playbook.contracts.dataset import Split
from playbook.contracts.protocol import ClaimResponse
from playbook.contracts.run_spec import BaseModelRef, InputFile, RunSpec
from playbook.worker.job_runner import Runner
from playbook.worker.run_folder import RunFolder, RunNote
from playbook.worker.told import Told
from tests.worker.test_retry import answering

SPEC = RunSpec(
    base_model=BaseModelRef(id="tiny"),
    seed=1,
    inputs=tuple(InputFile(split=split, sha256="0" * 64, size_bytes=1, rows=1) for split in Split),
)
LOST = json.dumps({"detail": "Another worker has this job."}).encode()


def test_a_trainer_whose_note_finds_no_room_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody would find it again: it would hold its memory until its lease is old."""
    pids = []

    def no_room(folder: RunFolder, note: RunNote) -> None:
        pids.append(note.trainer_pid)
        raise OSError(errno.ENOSPC, "No space left on device", str(folder.path / "worker.json"))

    monkeypatch.setattr(RunFolder, "remember", no_room)
    with answering((409, LOST)) as (_, client):
        runner = Runner(
            client=client,
            work_dir=tmp_path,
            models_dir=tmp_path,
            trainer_command=[sys.executable, "-c", "import time; time.sleep(600)"],
            grace_seconds=60,
            stopping=Told(),
        )
        runner.run(ClaimResponse(job_id=7, attempt=1, lease_seconds=60, job_token="pbj_x", spec=SPEC, inputs=()))

    assert [psutil.pid_exists(pid) for pid in pids] == [False]
