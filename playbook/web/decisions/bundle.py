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
from playbook.web.assessments.queries import checklist_of
from playbook.web.common.chain import moment_text
from playbook.web.common.models import AuditEntry, AuditHead
from playbook.web.decisions import verify_bundle
from playbook.web.decisions.history import every_entry_of
from playbook.web.decisions.markdown import as_markdown, decision_document, signature_documents
from playbook.web.decisions.signing import SignOff
from playbook.web.decisions.vouched import canonical_detail

_README = """The bundle of decision D-{number}, exported on {at} by {by}.

decision.md       the record, as people read it; nothing but what the JSON files give
decision.json     what the signatures cover, its digest, and the state of the decision
checklist.json    the version of the checklist that was answered
signatures.json   every signature: what it states, the document that it covers, and whether it still counts
audit.json        the entries of the audit log about the decision and its assessment, and the head of the whole log
SHA256SUMS        the hash of each file (sha256sum -c SHA256SUMS)
verify_bundle.py  python3 verify_bundle.py D-{number}.zip

The signatures cover {signed}.
The audit log vouches for status, dates, test set, and each signature that counts no more.
Nothing but SHA256SUMS vouches for {unsigned}.
Whoever rewrites every file can make up a whole bundle. To rule that out, ask the site whether it knows the head in
audit.json (manage.py verify_audit --contains NUMBER:HASH), or give the verifier a head kept elsewhere (--anchor).
"""


def bundle_of(sign_off: SignOff, *, exported_by: User) -> bytes:
    """Return the zip. Times are UTC; documents are canonical JSON or lead to it."""
    decision = sign_off.decision
    at = moment_text(timezone.now())
    verifier = Path(verify_bundle.__file__).read_bytes()
    files = {
        "README.txt": _README.format(
            number=decision.number, at=at, by=exported_by, signed=verify_bundle.SIGNED, unsigned=verify_bundle.UNSIGNED
        ).encode(),
        "decision.md": as_markdown(sign_off).encode(),
        "decision.json": _json(decision_document(sign_off) | {"exported_at": at, "exported_by": str(exported_by)}),
        "signatures.json": _json(signature_documents(sign_off)),
        "checklist.json": _json(checklist_of(decision.assessment).written),
        "audit.json": _json(_audit(sign_off)),
        "verify_bundle.py": verifier,
    }
    sums = "".join(f"{sha256(content).hexdigest()}  {name}\n" for name, content in files.items())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in {**files, "SHA256SUMS": sums.encode()}.items():
            bundle.writestr(name, content)
    return buffer.getvalue()


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
