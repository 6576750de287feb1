"""What the fake trainer does with a playground session: it says each question again, in two pieces for each side."""

import json
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import NoReturn

from playbook.contracts import events
from playbook.contracts.events import Event
from playbook.contracts.playground import ChatTurn, PlaygroundSpec, Side
from playbook.contracts.states import EndReason


def serve(run_dir: Path) -> NoReturn:
    """Answer until the session is closed or this process is ended."""
    spec = PlaygroundSpec.model_validate_json((run_dir / "spec.json").read_bytes())

    def emit(event: Event) -> None:
        with (run_dir / "events.jsonl").open("ab") as file:
            file.write(event.model_dump_json().encode() + b"\n")

    def end(reason: EndReason, message: str) -> NoReturn:
        emit(events.Ended(at=datetime.now(UTC), reason=reason, message=message))
        sys.exit(0 if reason is EndReason.COMPLETED else 1)

    signal.signal(signal.SIGTERM, lambda *_: end(EndReason.CANCELLED_BY_USER, "stopped"))
    if spec.adapter is not None:
        assert (run_dir / "inputs" / "adapter" / "adapter_model.safetensors").is_file()
    emit(events.Ready(at=datetime.now(UTC), seconds=0.1))
    answered = 0
    while True:
        turns = run_dir / "turns.jsonl"
        lines = turns.read_bytes().splitlines() if turns.exists() else []
        for line in lines[answered:]:
            if json.loads(line).get("closed"):
                end(EndReason.COMPLETED, "closed")
            if "stop" in json.loads(line):
                answered += 1
                continue
            turn = ChatTurn.model_validate_json(line)
            # One question is answered without end, until somebody stops it.
            is_endless = turn.chats[Side.BASE][-1].content == "never end"
            for side in spec.sides:
                before = f"{side}, {len(turn.chats[side])} messages: "
                for at, text, done in ((0, before, False), (len(before), turn.chats[side][-1].content, True)):
                    while is_endless and done and json.dumps({"stop": turn.number}) not in turns.read_text():
                        time.sleep(0.02)
                    emit(
                        events.Said(
                            at=datetime.now(UTC),
                            turn=turn.number,
                            side=side,
                            at_character=at,
                            text=text,
                            tokens=1,
                            done=done,
                            stopped=is_endless and done,
                        )
                    )
            answered += 1
        time.sleep(0.02)
