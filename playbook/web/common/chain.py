"""The hash chain of the audit log: what one entry's hash covers.

An entry's hash is the SHA-256 of the canonical JSON (RFC 8785) of its content, which holds the hash of the entry
before. So nobody can alter, remove, insert or move an entry without changing every later hash.
"""

from datetime import UTC, datetime
from hashlib import sha256
from json.encoder import encode_basestring

#: What the first entry names as the hash before it.
GENESIS = "0" * 64


def entry_hash(
    *,
    number: int,
    at: str,
    actor_id: int | None,
    action: str,
    subject: str,
    subject_id: int,
    detail: str,
    previous_hash: str,
) -> str:
    """Return the hash of one entry as 64 hexadecimal digits. `at` as `moment_text` writes it, `detail` canonical JSON.

    Written out instead of calling `rfc8785` because `verify_audit` computes it for each row: the keys stand in their
    sorted order, and the strings are escaped as JSON.stringify does. A test holds it against `rfc8785`.
    """
    canonical = (
        f'{{"action":{encode_basestring(action)},"actor":{"null" if actor_id is None else actor_id},"at":"{at}",'
        f'"detail":{detail},"number":{number},"previous":"{previous_hash}",'
        f'"subject":{encode_basestring(subject)},"subject_id":{subject_id}}}'
    )
    return sha256(canonical.encode()).hexdigest()


def moment_text(moment: datetime) -> str:
    """`2026-11-25T10:00:00.000000Z`: UTC, always with six decimals."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
