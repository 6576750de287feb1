"""One decision as a zip that holds a year later: Markdown, JSON, signatures, audit entries, hashes, and the verifier.

`verify_bundle.py` lies beside them and needs nothing but Python.
"""

import io
import json
import zipfile
from hashlib import sha256
from pathlib import Path
from typing import Any

from django.utils import timezone

from playbook.web.accounts.models import User
from playbook.web.common.chain import moment_text
from playbook.web.common.models import AuditEntry, AuditHead
from playbook.web.decisions import verify_bundle
from playbook.web.decisions.history import every_entry_of
from playbook.web.decisions.markdown import as_markdown
from playbook.web.decisions.models import Signature
from playbook.web.decisions.signing import SignOff
from playbook.web.decisions.vouched import canonical_detail, signature_document

_README = """The bundle of decision D-{number}, exported on {at} by {by}.

decision.md       the record, as people read it
decision.json     what the signatures cover, its digest, and the state of the decision
signatures.json   every signature: what it states, the document that it covers, and whether it still counts
audit.json        the entries of the audit log about the decision and its assessment, and the head of the whole log
SHA256SUMS        the hash of each file (sha256sum -c SHA256SUMS)
verify_bundle.py  python3 verify_bundle.py D-{number}.zip
"""


def bundle_of(sign_off: SignOff, *, exported_by: User) -> bytes:
    """Return the zip. Times are UTC; documents are canonical JSON or lead to it."""
    decision = sign_off.decision
    at = moment_text(timezone.now())
    verifier = Path(verify_bundle.__file__).read_bytes()
    files = {
        "README.txt": _README.format(number=decision.number, at=at, by=exported_by).encode(),
        "decision.md": as_markdown(sign_off).encode(),
        "decision.json": _json(_decision(sign_off) | {"exported_at": at, "exported_by": str(exported_by)}),
        "signatures.json": _json(_signatures(sign_off)),
        "audit.json": _json(_audit(sign_off)),
        "verify_bundle.py": verifier,
    }
    sums = "".join(f"{sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in {**files, "SHA256SUMS": sums.encode()}.items():
            bundle.writestr(name, content)
    return buffer.getvalue()


def _decision(sign_off: SignOff) -> dict[str, Any]:
    decision = sign_off.decision
    locked = decision.criterion_locked_at
    return {
        "number": decision.number,
        "status": decision.status,
        "digest": sign_off.digest,
        "covered": sign_off.document,
        "proposed_by": str(decision.proposed_by) if decision.proposed_by else None,
        "decided_at": moment_text(decision.decided_at) if decision.decided_at else None,
        "criterion_locked_at": moment_text(locked) if locked else None,
        "test_set": decision.test_set,
        "superseded_by": decision.superseded_by.number if decision.superseded_by else None,
        "supersedes": list(decision.superseded_decisions.order_by("number").values_list("number", flat=True)),
    }


def _signatures(sign_off: SignOff) -> list[dict[str, Any]]:
    states = (("current", sign_off.current), ("lapsed", sign_off.lapsed), ("void", sign_off.void))
    return [_signature(row, state) for state, rows in states for row in rows]


def _signature(row: Signature, state: str) -> dict[str, Any]:
    return {
        "statement": signature_document(row),
        "on_behalf_of": row.on_behalf_of.username if row.on_behalf_of else None,
        "state": state,
        "covered": row.covered,
    }


def _audit(sign_off: SignOff) -> dict[str, Any]:
    return {"head": str(AuditHead.objects.get()), "entries": [_entry(row) for row in every_entry_of(sign_off.decision)]}


def _entry(row: AuditEntry) -> dict[str, Any]:
    return {
        "number": row.number,
        "at": moment_text(row.at),
        "actor": row.actor_id,
        "actor_name": str(row.actor) if row.actor else None,
        "action": row.action,
        "subject": row.subject,
        "subject_id": row.subject_id,
        "detail": canonical_detail(row),
        "previous": row.previous_hash,
        "hash": row.hash,
    }


def _json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode()
