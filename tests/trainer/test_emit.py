from pathlib import Path

from playbook.contracts.events import EVENT, Log
from playbook.contracts.states import EndReason
from playbook.trainer.emit import Emitter


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
