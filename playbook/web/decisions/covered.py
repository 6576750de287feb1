"""What a signature covers: one JSON document, its digest, and the difference between two of them.

Reads decision and assessment, writes nothing. RFC 8785 makes the digest reproducible by any other program.
"""

from dataclasses import asdict, dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any

import rfc8785

from playbook.web.assessments.queries import current_answers
from playbook.web.decisions.criterion import two_places
from playbook.web.decisions.models import Decision

Document = dict[str, Any]

#: The fields of the document's "decision" part that are text as they stand.
_PLAIN_FIELDS = ("number", "title", "context", "options", "chosen_outcome", "consequences", "edition")
_LABELS = {
    "criterion.metric": "metric",
    "criterion.arm": "arm",
    "criterion.threshold": "threshold",
    "decision.options": "considered options",
    "decision.chosen_outcome": "chosen option",
    "decision.review_on": "review date",
}


@dataclass(frozen=True)
class Change:
    """One difference: `threshold 0.80 → 0.75`. Empty text means that nothing stood or stands there."""

    label: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.label}: {self.before or 'nothing'} → {self.after or 'nothing'}"


def covered_document(decision: Decision) -> Document:
    """Return everything that a signature under `decision` covers, as JSON values."""
    criterion = decision.criterion
    assessment = decision.assessment
    return {
        "decision": {
            **{name: getattr(decision, name) for name in _PLAIN_FIELDS},
            "use_case": decision.use_case.slug,
            "review_on": decision.review_on.isoformat() if decision.review_on else "",
        },
        "criterion": criterion
        and {
            "metric": criterion.metric.value,
            "arm": criterion.arm.value,
            "comparator": ">=",
            "threshold": decimal_text(criterion.threshold),
            "split": "test",
        },
        "checklist": {
            "slug": assessment.checklist_slug,
            "version": assessment.checklist_version,
            "digest": assessment.checklist_digest,
        },
        "answers": {
            question_id: {"value": answer.value, "comment": answer.comment, "revision": answer.revision}
            for question_id, answer in current_answers(assessment).items()
        },
    }


def digest_of(document: Document) -> str:
    """Return the SHA-256 of the document's canonical JSON (RFC 8785), as 64 hexadecimal digits."""
    return sha256(rfc8785.dumps(document)).hexdigest()


def changes_between(before: Document, after: Document) -> tuple[Change, ...]:
    """Return what differs, in the order of `after`; the edition is left out, since it states no content."""
    old, new = _flat(before), _flat(after)
    return tuple(
        Change(label=_label(path), before=old.get(path, ""), after=new.get(path, ""))
        for path in dict.fromkeys([*new, *old])
        if old.get(path, "") != new.get(path, "") and path != "decision.edition"
    )


def changes_as_json(changes: tuple[Change, ...]) -> list[dict[str, str]]:
    """Return the changes as audit rows keep them; `Change(**row)` reads them back."""
    return [asdict(change) for change in changes]


def decimal_text(threshold: Decimal) -> str:
    """`0.8` → `0.8000`: one spelling, whether the value comes from a form or from the database."""
    return f"{threshold:.4f}"


def _flat(document: Document) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in ("decision", "criterion", "checklist", "answers"):
        for name, value in (document[part] or {}).items():
            found[f"{part}.{name}"] = _text(name, value)
    return found


def _text(name: str, value: Any) -> str:
    if name == "options":
        return "; ".join(" / ".join(filter(None, (o["title"], o["pros"], o["cons"]))) for o in value)
    if name == "threshold":
        return two_places(Decimal(value))
    if isinstance(value, dict):
        return f"{value['value']} ({value['comment']})" if value["comment"] else str(value["value"])
    return str(value)


def _label(path: str) -> str:
    part, _, name = path.partition(".")
    if part == "answers":
        return f"answer to {name.replace('_', ' ')}"
    return _LABELS.get(path, name.replace("_", " "))
