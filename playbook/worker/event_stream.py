"""Forwards events.jsonl: whole lines, in order, each from the offset that the site has acknowledged.

The file is the truth and the site the memory of how far it was read: neither a restart of the worker nor one of the
site loses or doubles a line.
"""

from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from playbook.contracts.events import EVENT, Ended, Event
from playbook.contracts.protocol import MAX_EVENT_CHUNK_BYTES
from playbook.worker.client import Refusal

#: An event is a few hundred bytes; the last one is looked for in this much of the file's end.
_LAST_LINE_BYTES = 64 * 1024


class EventsUnusable(Exception):
    """The file cannot be forwarded: a line is no event or too long for one call, or the site has more than is here."""


#: `send(offset, data)` returns the next offset, or raises Refusal 416 with the right one.
Send = Callable[[int, bytes], int]


class EventStream:
    """Reads the file of one run. A new one starts at offset 0 and is corrected by the site's first answer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def forward(self, send: Send) -> list[Event]:
        """Send the next whole lines, at most `MAX_EVENT_CHUNK_BYTES`, and return their events; [] if there are none.

        Raises EventsUnusable when the next line cannot be sent; the ones before it have been.
        """
        data, events = self._next_lines()
        if not events:
            return []
        try:
            self._offset = send(self._offset, data)
        except Refusal as refusal:
            if refusal.status != 416 or refusal.offset is None:
                raise
            self._offset = refusal.offset
            return self.forward(send)
        return events

    def _next_lines(self) -> tuple[bytes, list[Event]]:
        if not self._path.exists():
            return b"", []
        name = self._path.name
        if (size_bytes := self._path.stat().st_size) < self._offset:
            raise EventsUnusable(f"{name} has {size_bytes:,} bytes, the site has {self._offset:,}: it was cut")
        with self._path.open("rb") as file:
            file.seek(self._offset)
            data = file.read(MAX_EVENT_CHUNK_BYTES)
        lines = data.split(b"\n")[:-1]  # what follows the last newline is not written in full yet
        if not lines and len(data) == MAX_EVENT_CHUNK_BYTES:
            raise EventsUnusable(f"the line at byte {self._offset:,} of {name} is over {len(data):,} bytes")
        events: list[Event] = []
        for index, line in enumerate(lines):
            try:
                events.append(EVENT.validate_json(line))
            except ValidationError as error:
                if index == 0:
                    problem = error.errors(include_url=False, include_input=False)[0]["msg"]
                    shown = line[:200].decode(errors="replace")
                    raise EventsUnusable(
                        f"the line at byte {self._offset:,} of {name} is not an event: {problem}. It is {shown!r}"
                    ) from error
                lines = lines[:index]
                break
        return b"".join(line + b"\n" for line in lines), events


def find_ended(path: Path) -> Ended | None:
    """Return the `ended` event if it is the last whole line of the file, else None: the trainer did not end itself."""
    if not path.exists():
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _LAST_LINE_BYTES))
        data = file.read()
    lines = data[: data.rfind(b"\n") + 1].splitlines()
    if not lines:
        return None
    try:
        event = EVENT.validate_json(lines[-1])
    except ValidationError:
        return None
    return event if isinstance(event, Ended) else None
