"""What a signature covers: one JSON document, its digest, and the difference between two of them.

Reads decision and assessment, writes nothing. RFC 8785 makes the digest reproducible by any other program.
"""

from dataclasses import asdict, dataclass
from decimal import Decimal
from hashlib import sha256
from typing import Any

import rfc8785

from playbook.web.assessments.evidence import digest_of as evidence_digest
from playbook.web.assessments.models import Answer
from playbook.web.assessments.queries import current_answers
from playbook.web.decisions.criterion import two_places
from playbook.web.decisions.measured import Measured
from playbook.web.decisions.models import Decision

Document = dict[str, Any]

#: The fields of the document's "decision" part that are text as they stand.
_PLAIN_FIELDS = ("number", "title", "context", "options", "chosen_outcome", "consequences", "edition")
#: Fields that stand in the document only when they are set, so that a document signed before they existed stays as it
#: was, and with it its digest.
_FIELDS_WHEN_SET = ("kill_criterion", "budget_gpu_minutes", "measured")
_LABELS = {
    "criterion.test_set": "test set of the criterion",
    "forecast.probability": "forecast probability",
    "forecast.value": "forecast value",
    "decision.kill_criterion": "kill criterion",
    "decision.budget_gpu_minutes": "budget in GPU minutes",
    "decision.measured": "measured results",
    "criterion.metric": "metric",
    "criterion.arm": "arm",
    "criterion.threshold": "threshold",
    "decision.options": "considered options",
    "decision.chosen_outcome": "chosen option",
    "decision.review_on": "review date",
    "checklist.version": "checklist version",
    "checklist.digest": "hash of the checklist",
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
            **{name: value for name in _FIELDS_WHEN_SET if (value := getattr(decision, name)) not in (None, "", [])},
            **({"owner": decision.owner.username} if decision.owner else {}),
        },
        "criterion": criterion
        and {
            "metric": criterion.metric.value,
            "arm": criterion.arm.value,
            "comparator": ">=",
            "threshold": decimal_text(criterion.threshold),
            "split": "test",
            **({"test_set": decision.criterion_test_set} if decision.criterion_test_set else {}),
        },
        **_forecast(decision),
        "checklist": {
            "slug": assessment.checklist_slug,
            "version": assessment.checklist_version,
            "digest": assessment.checklist_digest,
        },
        "answers": {question_id: _answer(answer) for question_id, answer in current_answers(assessment).items()},
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


def _answer(answer: Answer) -> Document:
    """Return an answer with the digests of its evidence; what it does not have is left out, as in older documents."""
    return {
        "value": answer.value,
        "comment": answer.comment,
        "revision": answer.revision,
        **({"evidence": [evidence_digest(piece) for piece in answer.pieces]} if answer.evidence else {}),
        **({"measurement": answer.measurement} if answer.measurement else {}),
    }


def _forecast(decision: Decision) -> Document:
    if decision.forecast_probability is None or decision.forecast_value is None:
        return {}
    return {
        "forecast": {
            "probability": decimal_text(decision.forecast_probability),
            "value": decimal_text(decision.forecast_value),
        }
    }


def _flat(document: Document) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in ("decision", "criterion", "forecast", "checklist", "answers"):
        for name, value in (document.get(part) or {}).items():
            found[f"{part}.{name}"] = _text(name, value)
    return found


def _text(name: str, value: Any) -> str:
    if name == "options":
        return "; ".join(map(_option, value))
    if name == "measured":
        rows = map(Measured.of, value)
        return "; ".join(
            f"{row.arm_name} in job {row.job}: {row.text}, report {row.report_sha256[:12]}" for row in rows
        )
    if name in ("threshold", "probability") or (name == "value" and isinstance(value, str)):
        return two_places(Decimal(value))
    if isinstance(value, dict):
        said = f"{value['value']} ({value['comment']})" if value["comment"] else str(value["value"])
        measured, evidence = value.get("measurement"), value.get("evidence", ())
        if measured:
            said += f", measured by job {measured['job']}, report {measured['report_sha256'][:12]}"
        return f"{said}, evidence {', '.join(digest[:12] for digest in evidence)}" if evidence else said
    return str(value)


def _option(option: Document) -> str:
    """`Tune (good: it learns; bad: it costs; measured by lora)`."""
    parts = (("good: ", option["pros"]), ("bad: ", option["cons"]), ("measured by ", option.get("arm")))
    said = "; ".join(f"{words}{text}" for words, text in parts if text)
    return f"{option['title']} ({said})" if said else str(option["title"])


def _label(path: str) -> str:
    part, _, name = path.partition(".")
    if part == "answers":
        return f"answer to {name.replace('_', ' ')}"
    return _LABELS.get(path, name.replace("_", " "))
