"""Brings what people write in a playground session to its trainer: each turn one line of `RUN_DIR/turns.jsonl`.

Between them `{"stop": N}`: the answer to turn N is to end with what was said.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

from playbook.contracts.playground import ChatTurn, Turns

#: The site is asked at most this often.
SECONDS_BETWEEN_CALLS = 0.5
#: The last line of a session that was closed.
CLOSED_LINE = b'{"closed": true}\n'


class TurnFeed:
    """Appends each turn once, also after a restart of the worker: the file says which are there."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._asked_at = float("-inf")

    def fetch(self, ask: Callable[[], Turns]) -> None:
        """Ask the site when it is time, and append what is new."""
        if time.monotonic() - self._asked_at < SECONDS_BETWEEN_CALLS:
            return
        answer = ask()
        self._asked_at = time.monotonic()
        lines = self._path.read_bytes().splitlines(keepends=True) if self._path.exists() else []
        if CLOSED_LINE in lines:
            return
        read = [json.loads(line) for line in lines]
        have, stopped = {line.get("number") for line in read}, {line.get("stop") for line in read}
        new = [_line(turn) for turn in answer.turns if turn.number not in have]
        new += [json.dumps({"stop": number}).encode() + b"\n" for number in answer.stopped if number not in stopped]
        if answer.closed:
            new.append(CLOSED_LINE)
        if new:
            with self._path.open("ab") as file:
                file.write(b"".join(new))


def _line(turn: ChatTurn) -> bytes:
    return turn.model_dump_json().encode() + b"\n"
