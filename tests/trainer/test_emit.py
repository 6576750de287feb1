import resource
from pathlib import Path

import pytest

from playbook.contracts.events import EVENT, Log
from playbook.contracts.states import EndReason
from playbook.trainer.emit import Emitter, FolderInUseError
from tests.trainer.conftest import MakeRun, Train


def test_half_a_line_of_a_killed_trainer_is_cut_and_whole_lines_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    first = Emitter(path)
    first.log("one")
    first.close()
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"kind": "lo')

    second = Emitter(path)
    second.ended(EndReason.COMPLETED, "done")
    second.close()

    events = [EVENT.validate_json(line) for line in path.read_bytes().splitlines()]
    assert path.read_bytes().startswith(whole)
    assert [event.kind for event in events] == ["log", "ended"]
    assert isinstance(events[0], Log)
    assert events[0].message == "one"


def test_a_line_for_which_the_disk_has_no_room_is_not_left_half_written(tmp_path: Path) -> None:
    """A disk that fills up takes the beginning of a line without a word; what comes after must be a line of its own."""
    path = tmp_path / "events.jsonl"
    emitter = Emitter(path)
    emitter.log("one")
    whole = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(whole) + 50, limits[1]))
        with pytest.raises(OSError, match="File too large"):
            emitter.log("two " * 50)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == whole

    emitter.ended(EndReason.DISK_FULL, "The disk is full.")
    emitter.close()

    assert [EVENT.validate_json(line).kind for line in path.read_bytes().splitlines()] == ["log", "ended"]


def test_two_trainers_never_write_into_one_folder(tmp_path: Path) -> None:
    first = Emitter(tmp_path / "events.jsonl")
    first.log("one")

    with pytest.raises(FolderInUseError, match=r"Another trainer works in .*Wait until it has ended"):
        Emitter(tmp_path / "events.jsonl")

    first.close()
    Emitter(tmp_path / "events.jsonl").close()


def test_a_second_trainer_leaves_the_events_of_the_first_alone(
    make_run: MakeRun, train: Train, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = make_run()
    first = Emitter(folder / "events.jsonl")
    first.log("one")
    written = (folder / "events.jsonl").read_bytes()

    assert train(folder) == 1

    assert (folder / "events.jsonl").read_bytes() == written
    assert "Another trainer works in" in capsys.readouterr().err
    first.close()
