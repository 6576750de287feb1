"""What may be repeated, and how patiently. The only place that knows.

| failure | repeated |
|---|---|
| no connection, time-out, 429, 502, 503, 504: the site is away or busy | until it answers or the caller gives up |
| any other 5xx: the site has a fault | `FAULT_TRIES` times |
| 4xx: the site said no | never |

Every call of the protocol may be sent twice: events and chunks carry their offset, the rest names its attempt.
"""

import logging
from collections.abc import Callable
from typing import TypeVar

import httpx

from playbook.worker.client import SiteFailure
from playbook.worker.told import wait

FAULT_TRIES = 5
_FIRST_WAIT_SECONDS = 0.2
_LONGEST_WAIT_SECONDS = 5.0
_AWAY = (429, 502, 503, 504)

Answer = TypeVar("Answer")
log = logging.getLogger(__name__)


class GaveUp(Exception):
    """The caller no longer wants the answer; the call may or may not have reached the site."""


def retry(call: Callable[[], Answer], *, give_up: Callable[[], bool]) -> Answer:
    """Return the answer of `call`, repeating it as the table above says.

    Raises GaveUp once `give_up()` is true after a failure, SiteFailure for a lasting fault, and Refusal at once.
    """
    wait_seconds = _FIRST_WAIT_SECONDS
    faults = 0
    warned = False
    while True:
        try:
            return call()
        except httpx.TransportError as error:
            reason, asked = f"{type(error).__name__}: {error}", None
        except SiteFailure as failure:
            faults += failure.status not in _AWAY
            if faults >= FAULT_TRIES:
                raise
            reason, asked = str(failure), failure.retry_after_seconds
        if not warned:
            log.warning("The site cannot be reached, trying again until it can: %s", reason)
            warned = True
        if wait(min(asked or wait_seconds, 60), unless=give_up):
            raise GaveUp
        wait_seconds = min(2 * wait_seconds, _LONGEST_WAIT_SECONDS)
