"""The history of a decision, read from the audit log: what happened, in words, and what voided a signature."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from django.db.models import Q

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.common.models import AuditEntry
from playbook.web.decisions.covered import Change, changes_between
from playbook.web.decisions.models import Decision, Signature
from playbook.web.decisions.signing import SignOff

_SENTENCES = {
    "drafted": "drafted the decision from the assessment",
    "edited": "changed the decision",
    "proposed": "proposed the decision",
    "withdrew": "withdrew the proposal",
    "reopened": "reopened the decision",
    "accepted": "completed the signatures: accepted",
    "rejected": "ended the proposal: rejected",
    "deprecated": "retired the decision",
    "locked criterion": "Criterion and forecast were locked: the first run started",
    "gave a wrong password": "gave a wrong password instead of a signature",
}
#: What is done to answers, in words; the first kind says what they were before and are after.
_OF_ANSWERS = {
    "answered": "changed an answer of the assessment",
    "added evidence": "added evidence to an answer of the assessment",
    "removed evidence": "removed evidence from an answer of the assessment",
}
_MOVED = "moved to version"
_OF_ASSESSMENT = {**_OF_ANSWERS, _MOVED: "moved the assessment to another version of its checklist"}
_TONES = {"accepted": "good", "rejected": "bad", "edited": "warn", "answered": "warn", "proposed": "info"}
#: The actions that change what a signature covers.
_VOIDING = ("edited", *_OF_ASSESSMENT, "proposed", "withdrew", "reopened")


@dataclass(frozen=True)
class Happening:
    """One row of the timeline. `actor` is None for the system."""

    at: datetime
    actor: User | None
    text: str
    tone: str
    changes: tuple[Change, ...]
    reason: str


@dataclass(frozen=True)
class VoidSignature:
    """A signature that no longer counts, who voided it, and what differs now from what was signed."""

    signature: Signature
    by: Happening | None
    changes: tuple[Change, ...]


def entries_of(decision: Decision) -> list[AuditEntry]:
    """Return the audit rows of the decision, and those of its assessment since it was drafted; oldest first."""
    own = Q(subject=decision._meta.label_lower, subject_id=decision.pk)
    answers = Q(
        subject=decision.assessment._meta.label_lower,
        subject_id=decision.assessment_id,
        action__in=_OF_ASSESSMENT,
        at__gte=decision.created_at,
    )
    return list(AuditEntry.objects.filter(own | answers).select_related("actor").order_by("id"))


def every_entry_of(decision: Decision) -> list[AuditEntry]:
    """Return all audit rows of the decision and of its assessment, from before it was drafted too; oldest first."""
    own = Q(subject=decision._meta.label_lower, subject_id=decision.pk)
    assessment = Q(subject=decision.assessment._meta.label_lower, subject_id=decision.assessment_id)
    return list(AuditEntry.objects.filter(own | assessment).select_related("actor").order_by("id"))


def timeline(entries: Iterable[AuditEntry]) -> list[Happening]:
    """Return the rows in words, newest first."""
    return [happening(entry) for entry in entries][::-1]


def happening(entry: AuditEntry) -> Happening:
    """Return one audit row in words. A row that somebody altered in the database says so, and hides no other."""
    detail = entry.detail
    try:
        return Happening(
            at=entry.at,
            actor=entry.actor,
            text=_sentence(entry),
            tone=_TONES.get(entry.action, "good" if detail.get("verdict") == "approve" else "neutral"),
            changes=_changes(entry),
            reason=detail.get("reason", ""),
        )
    except (KeyError, TypeError, ValueError, AttributeError):
        altered = f"{entry.action}: this entry of the audit log was altered; manage.py verify_audit names it"
        return Happening(entry.at, entry.actor, altered, "bad", (), "")


def void_signatures(sign_off: SignOff, entries: Sequence[AuditEntry]) -> list[VoidSignature]:
    """Return the void signatures, each with the first later event that voided it."""
    found = []
    for signature in sign_off.void:
        later = (entry for entry in entries if entry.action in _VOIDING and entry.at > signature.signed_at)
        first = next(later, None)
        changes = changes_between(signature.covered, sign_off.document)
        found.append(VoidSignature(signature, happening(first) if first else None, changes))
    return found


def changes_since(entries: Sequence[AuditEntry], seen_entry: int) -> list[Happening]:
    """Return what changed the covered content after the audit row that a form had seen."""
    return [happening(entry) for entry in entries if entry.pk > seen_entry and entry.action in _VOIDING]


def moved_since_written(entries: Sequence[AuditEntry]) -> Happening | None:
    """Return the newest move of the assessment to another version that nobody has written the decision anew after."""
    written = max((entry.pk for entry in entries if entry.action in ("drafted", "edited")), default=0)
    moves = [entry for entry in entries if entry.action == _MOVED and entry.pk > written]
    return happening(moves[-1]) if moves else None


def _sentence(entry: AuditEntry) -> str:
    detail = entry.detail
    if entry.action == "signed":
        whom = f" for {detail['on_behalf_of']}" if "on_behalf_of" in detail else ""
        return f"signed as {Role(detail['role']).label}{whom}: {detail['verdict']}"
    if entry.action == "answered" and "before" not in detail:
        return "answered a question of the assessment"
    match entry.action:
        case "superseded":
            return f"superseded the decision by D-{detail['by']}"
        case "set due date":
            day = detail["sign_by"]
            return f"set when signatures are due: {date.fromisoformat(day):%-d %B %Y}" if day else "set no due date"
        case "proposed outcome":
            return f"Job {detail['job']} ended, so its outcome was proposed: {detail['verdict']}"
        case "recorded outcome":
            return f"recorded the outcome of job {detail['job']}: {detail['verdict']}"
    return _OF_ASSESSMENT.get(entry.action) or _SENTENCES.get(entry.action, entry.action)


def _changes(entry: AuditEntry) -> tuple[Change, ...]:
    detail = entry.detail
    if entry.action == "answered":
        label = f"answer to {detail['question'].replace('_', ' ')}"
        return (Change(label, _answer(detail, "before"), _answer(detail, "after")),)
    if entry.action in _OF_ANSWERS:
        digests = ", ".join(digest[:12] for digest in detail.get("evidence", ()))
        return (Change(f"evidence for {detail['question'].replace('_', ' ')}", "", digests),)
    if entry.action == _MOVED:
        looks = ", ".join(name.replace("_", " ") for name in detail["look_again"])
        moved = Change("checklist version", str(detail["before_version"]), str(detail["after_version"]))
        return (moved, Change("answers to look at again", "", looks)) if looks else (moved,)
    return tuple(Change(**row) for row in detail.get("changes", ()))


def _answer(detail: dict[str, str], when: str) -> str:
    comment = detail.get("before_comment" if when == "before" else "comment", "")
    value = detail.get(when, "")
    return f"{value} ({comment})" if comment else value
