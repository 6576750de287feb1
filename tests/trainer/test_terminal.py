"""The bar on a terminal, and that nothing of it reaches a file or a pipe."""

import doctest
import os
import pty
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from playbook.contracts.events import Progress
from playbook.contracts.states import Stage
from playbook.trainer import terminal
from playbook.trainer.terminal import bar_line
from tests.trainer.conftest import ROOT, MakeRun

AT = datetime(2026, 1, 1, tzinfo=UTC)


def test_the_examples_in_the_module_hold() -> None:
    assert doctest.testmod(terminal).failed == 0


def test_a_line_says_stage_steps_loss_and_remaining_time() -> None:
    event = Progress(at=AT, stage=Stage.TRAINING, done=45, total=90, unit="steps", remaining_seconds=80)

    assert bar_line(event, {"train_loss": 0.51234, "validation_loss": 0.6}) == (
        "training   [############............] 45/90 steps, train loss 0.5123, validation loss 0.6, "
        "about 1 min 20 s left"
    )


def test_a_line_without_an_estimate_claims_none() -> None:
    event = Progress(at=AT, stage=Stage.DATA, done=20, total=20, unit="rows", remaining_seconds=None)

    assert bar_line(event, {"train_loss": 0.5}) == "data       [########################] 20/20 rows"


def _run_on_a_terminal(folder: Path, models_dir: Path) -> str:
    """Return what a person sees who runs the command in a terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "playbook.trainer", str(folder), "--models-dir", str(models_dir)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while True:
        try:
            seen += (read := os.read(ours, 65536))
        except OSError:  # Linux answers EIO once the other end is closed
            break
        if not read:
            break
    os.close(ours)
    assert process.wait() == 0, seen.decode()
    return seen.decode()


def test_by_hand_a_bar_follows_the_run_to_its_result(make_run: MakeRun, tiny_models_dir: Path) -> None:
    seen = _run_on_a_terminal(make_run(), tiny_models_dir)

    bars = re.findall(r"(data|training|evaluation) +\[[#.]{24}\] ([\d,]+)/([\d,]+)", seen)
    assert [bar for bar in bars if bar[0] == "training"][-1] == ("training", "4", "4")
    assert {"data", "training", "evaluation"} == {bar[0] for bar in bars}
    assert "Step 2 of 4: train loss" in seen
    assert "The run is complete. exact_match:" in seen.splitlines()[-1]


def test_the_help_names_what_is_read_what_is_written_and_the_exit_codes() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "playbook.trainer", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
    )

    for words in ("RUN_DIR holds what is read", "and gets what is written", "Exit code: 0", "Examples:", "SIGTERM"):
        assert words in done.stdout
