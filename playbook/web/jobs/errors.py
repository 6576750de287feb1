"""What the worker protocol can refuse. `protocol_api` turns each into an HTTP answer; nothing here knows HTTP."""


class StaleAttempt(Exception):
    """The attempt is no longer the current one of its job: its lease was lost, given back, or it has finished."""


class WrongOffset(Exception):
    """Bytes were sent for another place than the next one; `offset` is the right one."""

    def __init__(self, offset: int) -> None:
        super().__init__(f"the next byte expected is at offset {offset}")
        self.offset = offset


class TooLarge(Exception):
    """A body or a file is over its limit."""


class Refused(Exception):
    """The content is wrong: an event that does not parse, a digest that does not match, a report that is missing."""
