"""Which bytes of events.jsonl are sent, from where, and how its last word is found."""

from pathlib import Path

import pytest

from playbook.contracts import events
from playbook.contracts.events import Ended
from playbook.contracts.protocol import MAX_EVENT_CHUNK_BYTES
from playbook.contracts.states import EndReason
from playbook.worker.client import Refusal
from playbook.worker.event_stream import EventStream, EventsUnusable, find_ended
from tests.web.jobs.factories import AT


def line(text: str) -> bytes:
    return events.Log(at=AT, message=text).model_dump_json().encode() + b"\n"


class Receiver:
    """Keeps what it is sent at the right offset and refuses the rest, as the site does."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data
        self.calls: list[int] = []

    def __call__(self, offset: int, data: bytes) -> int:
        self.calls.append(offset)
        if offset != len(self.data):
            raise Refusal(416, "elsewhere", offset=len(self.data))
        self.data += data
        return len(self.data)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.jsonl"


def messages(found: list[events.Event]) -> list[str]:
    return [event.message for event in found if isinstance(event, events.Log)]


def test_sends_whole_lines_and_waits_for_the_rest_of_a_half_one(file: Path) -> None:
    stream, site = EventStream(file), Receiver()
    assert stream.forward(site) == []
    file.write_bytes(line("one") + line("two")[:10])
    assert messages(stream.forward(site)) == ["one"]
    file.write_bytes(line("one") + line("two"))
    assert messages(stream.forward(site)) == ["two"]
    assert (stream.forward(site), site.data) == ([], line("one") + line("two"))


def test_goes_on_where_the_site_is_after_a_restart(file: Path) -> None:
    file.write_bytes(line("one") + line("two"))
    site = Receiver(line("one"))
    assert messages(EventStream(file).forward(site)) == ["two"]
    assert (site.calls, site.data) == ([0, len(line("one"))], file.read_bytes())


def test_replays_what_the_site_has_lost(file: Path) -> None:
    stream, site = EventStream(file), Receiver()
    file.write_bytes(line("one"))
    stream.forward(site)
    site.data = b""
    file.write_bytes(line("one") + line("two"))
    assert messages(stream.forward(site)) == ["one", "two"]


def test_long_file_is_sent_in_chunks_of_whole_lines(file: Path) -> None:
    file.write_bytes(line("x" * 300_000) * 7)
    stream, site = EventStream(file), Receiver()
    sizes = []
    while found := stream.forward(site):
        sizes.append(len(found))
    assert (sizes, site.data) == ([3, 3, 1], file.read_bytes())


def test_line_that_is_no_event_is_named_after_the_good_ones_are_sent(file: Path) -> None:
    file.write_bytes(line("one") + b'{"kind": "party"}\n')
    stream, site = EventStream(file), Receiver()
    assert messages(stream.forward(site)) == ["one"]
    with pytest.raises(
        EventsUnusable, match=r"the line at byte \d+ of events.jsonl is not an event: Input tag 'party'"
    ):
        stream.forward(site)


def test_line_over_the_limit_is_named(file: Path) -> None:
    file.write_bytes(b"x" * (MAX_EVENT_CHUNK_BYTES + 1))
    with pytest.raises(EventsUnusable, match=r"the line at byte 0 of events\.jsonl is over 1,048,576 bytes"):
        EventStream(file).forward(Receiver())


def test_file_that_was_cut_is_named(file: Path) -> None:
    file.write_bytes(line("one"))
    stream = EventStream(file)
    stream.forward(Receiver())
    file.write_bytes(b"")
    with pytest.raises(EventsUnusable, match=r"events.jsonl has 0 bytes, the site has \d+: it was cut"):
        stream.forward(Receiver())


@pytest.mark.parametrize(
    ("tail", "found"),
    [(b"", True), (b'{"kind"', True), (line("after"), False), (b"not json\n", False)],
)
def test_last_whole_line_tells_whether_the_trainer_ended_itself(file: Path, tail: bytes, found: bool) -> None:
    ended = Ended(at=AT, reason=EndReason.COMPLETED, message="done")
    file.write_bytes(line("x") + ended.model_dump_json().encode() + b"\n" + tail)
    assert find_ended(file) == (ended if found else None)


def test_no_file_and_no_line_mean_no_last_word(file: Path) -> None:
    assert find_ended(file) is None
    file.write_bytes(b"half")
    assert find_ended(file) is None
