"""A decision as JSON values, and as the MADR Markdown written from them: what the page shows, to keep or to send.

The text itself comes from `verify_bundle.record_markdown`, so that a bundle's verifier can write it anew and compare.
"""

from datetime import datetime
from typing import Any

from playbook.web.assessments.queries import checklist_of
from playbook.web.common.chain import moment_text
from playbook.web.decisions.models import Signature
from playbook.web.decisions.signing import SignOff
from playbook.web.decisions.verify_bundle import record_markdown
from playbook.web.decisions.vouched import signature_document


def as_markdown(sign_off: SignOff) -> str:
    """Return the record; times are UTC. Signatures under an earlier content are listed as void."""
    checklist = checklist_of(sign_off.decision.assessment).written
    return record_markdown(decision_document(sign_off), signature_documents(sign_off), checklist)


def decision_document(sign_off: SignOff) -> dict[str, Any]:
    """Return what is signed, its digest, and the state of the decision. `names`: those behind the short names that are
    signed, and of the decision-maker."""
    decision = sign_off.decision
    return {
        "number": decision.number,
        "status": decision.status,
        "digest": sign_off.digest,
        "covered": sign_off.document,
        "names": {
            "use_case": decision.use_case.name,
            "owner": str(decision.owner) if decision.owner else None,
            "decision_maker": str(decision.proposed_by or decision.created_by),
        },
        "created_at": moment_text(decision.created_at),
        "proposed_at": _moment(decision.proposed_at),
        "decided_at": _moment(decision.decided_at),
        "criterion_locked_at": _moment(decision.criterion_locked_at),
        "test_set": decision.test_set,
        "superseded_by": decision.superseded_by.number if decision.superseded_by else None,
        "supersedes": list(decision.superseded_decisions.order_by("number").values_list("number", flat=True)),
    }


def signature_documents(sign_off: SignOff) -> list[dict[str, Any]]:
    """Return every signature: what it states and covers, and whether it still counts."""
    states = (("current", sign_off.current), ("lapsed", sign_off.lapsed), ("void", sign_off.void))
    return [_signature(row, state) for state, rows in states for row in rows]


def _signature(row: Signature, state: str) -> dict[str, Any]:
    return {
        "statement": signature_document(row),
        "on_behalf_of": row.on_behalf_of.username if row.on_behalf_of else None,
        "on_behalf_of_name": row.principal_name,
        "state": state,
        "covered": row.covered,
    }


def _moment(at: datetime | None) -> str | None:
    return moment_text(at) if at else None
