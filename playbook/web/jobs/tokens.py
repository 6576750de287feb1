"""Worker tokens and job tokens: made here, shown once, kept as a sha256 alone.

A token carries 256 random bits, so a plain digest is enough (there is nothing to guess) and the row is found by it: the
time of the look-up tells nothing about the token.
"""

import hashlib
import hmac
import secrets
from typing import Literal

Kind = Literal["worker", "job"]
#: The prefix tells a person, and a secret scanner, what they are looking at.
_PREFIX: dict[Kind, str] = {"worker": "pbw_", "job": "pbj_"}


def new_token(kind: Kind) -> str:
    return _PREFIX[kind] + secrets.token_urlsafe(32)


def digest(token: str) -> str:
    """Return the sha256 under which the token is kept."""
    return hashlib.sha256(token.encode()).hexdigest()


def matches(token: str, token_hash: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(digest(token), token_hash)
