"""What the audit log says of signatures: each "signed" entry holds the SHA-256 of the signature that it records."""

import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import rfc8785
from django.db.models import QuerySet

from playbook.web.common.chain import moment_text
from playbook.web.common.models import AuditEntry
from playbook.web.common.verify import also_verifies
from playbook.web.decisions.models import Signature

CHUNK = 500
_STATED = [field.name for field in Signature._meta.concrete_fields]


def signature_document(signature: Signature) -> dict[str, Any]:
    """Return all that a signature states, as JSON values. `covered` enters by its digest. For whom it was given is left
    out by name where that was not kept, so that the hash of an older signature stays as it was."""
    return {
        "id": signature.pk,
        "decision": signature.decision.number,
        "user": signature.user_id,
        "printed_name": signature.printed_name,
        "role": str(signature.role),
        "on_behalf_of": signature.on_behalf_of_id,
        **({"on_behalf_of_name": signature.on_behalf_of_name} if signature.on_behalf_of_name else {}),
        "verdict": str(signature.verdict),
        "meaning": signature.meaning,
        "reason": signature.reason,
        "signed_at": moment_text(signature.signed_at),
        "digest": signature.digest,
    }


def signature_sha256(signature: Signature) -> str:
    """Return the SHA-256 of the canonical JSON of what the signature states."""
    return sha256(rfc8785.dumps(signature_document(signature))).hexdigest()


def canonical_detail(entry: AuditEntry) -> str:
    """Return the detail of an entry as the text that its hash covers."""
    return rfc8785.dumps(entry.detail).decode()


def _gives(document: dict[str, Any], digest: str) -> bool:
    """Return whether the document's canonical JSON has this SHA-256.

    The standard encoder is ten times as fast and writes the same text for most documents: if its text has the digest,
    it is the text that was signed. Only otherwise, as with odd numbers, is the canonical text made.
    """
    quick = json.dumps(document, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return sha256(quick.encode()).hexdigest() == digest or sha256(rfc8785.dumps(document)).hexdigest() == digest


def _signatures() -> QuerySet[Signature]:
    """Return all signatures, of their decision the number alone: the rest of a decision costs more than the check."""
    return Signature.objects.select_related("decision").only(*_STATED, "decision__number").order_by("decision_id", "id")


@also_verifies
def signatures_are_as_signed() -> Iterator[str]:
    """Yield every signature that is not what its audit entry says, and every entry whose signature is gone."""
    entries = AuditEntry.objects.filter(action="signed", subject="decisions.decision").order_by("id")
    said: dict[int, str] = {}
    unnamed = 0  # entries of earlier versions name no signature, an altered one may name nothing
    for detail in entries.values_list("detail", flat=True).iterator(chunk_size=CHUNK):
        if {"signature", "signature_sha256"} <= set(detail):
            said[detail["signature"]] = detail["signature_sha256"]
        else:
            unnamed += 1
    first = min(said, default=None) if unnamed else 0
    document: dict[str, Any] | None = None
    digest, holds = "", False
    for signature in _signatures().iterator(chunk_size=CHUNK):
        expected = said.pop(signature.pk, None)
        named = f"Signature {signature.pk} of {signature.printed_name} under D-{signature.decision.number}"
        if expected is None and first is not None and signature.pk > first:
            yield f"{named} has no audit entry: it was not made by signing."
            continue
        if expected is not None and expected != signature_sha256(signature):
            yield f"{named} was altered: it is not what its audit entry recorded."
            continue
        if (signature.digest, signature.covered) != (digest, document):  # the signatures of one decision share theirs
            digest, document = signature.digest, signature.covered
            holds = _gives(document, digest)
        if not holds:
            yield f"{named} was altered: the document that it covers does not give its digest."
    for pk in said:
        yield f"Signature {pk} is gone, though an audit entry says that it was given."
