"""Writes on decisions: draft, edit, measure, propose, withdraw, reopen, retire, lock the criterion.

Signing has its own module, `signatures`.

Each is one transaction that locks the decision first, changes one state and appends one audit row.
"""

from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max
from django.utils import timezone

from playbook.web.accounts.models import User
from playbook.web.assessments.actions import unlock_assessment
from playbook.web.assessments.models import Assessment
from playbook.web.assessments.queries import evaluation_of, to_look_at
from playbook.web.common.models import record
from playbook.web.common.permissions import Conflict
from playbook.web.decisions import mail
from playbook.web.decisions.covered import Document, changes_as_json, changes_between, covered_document, digest_of
from playbook.web.decisions.measured import measured_in
from playbook.web.decisions.models import TRANSITIONS, Decision, Status
from playbook.web.decisions.queries import chosen_outcome
from playbook.web.decisions.signing import SignOff, for_signing
from playbook.web.decisions.template import draft_fields

_NUMBER_ATTEMPTS = 5


class StaleDigest(Conflict):
    """The decision is not any more what the form showed."""


@dataclass(frozen=True)
class Content:
    """The fields of a decision that people write."""

    title: str
    context: str
    options: list[dict[str, str]]
    chosen_outcome: str
    consequences: str
    criterion_metric: str
    criterion_arm: str
    criterion_threshold: Decimal | None
    criterion_test_set: str
    forecast_probability: Decimal | None
    forecast_value: Decimal | None
    kill_criterion: str
    budget_gpu_minutes: int | None
    owner: User | None
    sign_by: date | None
    review_on: date | None


#: The answers under these stay as they were signed: a decision that was retired or replaced still shows them.
WERE_ACCEPTED = (Status.ACCEPTED, Status.DEPRECATED, Status.SUPERSEDED)
#: What nobody changes once the first run has started.
PROMISE = (
    "criterion_metric",
    "criterion_arm",
    "criterion_threshold",
    "criterion_test_set",
    "forecast_probability",
    "forecast_value",
    "kill_criterion",
)


def draft_from_assessment(assessment: Assessment, *, created_by: User) -> Decision:
    """Create a draft filled from a complete assessment. Raises Conflict while a question is open."""
    evaluation = evaluation_of(assessment)
    if evaluation.outcome is None:
        question = evaluation.next.text if evaluation.next else ""
        raise Conflict(f"Answer every question first; the next is “{question}”.")
    measured, _ = measured_in(assessment.use_case)
    fields = draft_fields(assessment, evaluation, today=timezone.localdate())
    fields |= {"measured": [row.as_json() for row in measured], "owner": created_by}
    for attempt in range(1, _NUMBER_ATTEMPTS + 1):
        try:
            return _create(assessment, fields, created_by)
        except IntegrityError:  # another draft took the number at the same moment; take the next
            if attempt == _NUMBER_ATTEMPTS:
                raise
    raise AssertionError("the last attempt returns or raises")


@transaction.atomic
def _create(assessment: Assessment, fields: dict[str, Any], created_by: User) -> Decision:
    last = Decision.objects.aggregate(last=Max("number"))["last"] or 0
    decision = Decision.objects.create(
        number=last + 1, use_case=assessment.use_case, assessment=assessment, created_by=created_by, **fields
    )
    record("drafted", decision, actor=created_by, assessment=assessment.pk, number=decision.number)
    return decision


@transaction.atomic
def edit_decision(decision: Decision, *, content: Content, seen_digest: str, actor: User) -> Decision:
    """Replace the content of a draft or proposal; signatures under the former content become void by their digest.

    Whoever changes a proposal proposes it from then on: nobody signs what they wrote themselves.
    Raises Conflict when the status forbids it or the criterion is locked, StaleDigest when somebody else changed the
    decision after the form was opened.
    """
    held = lock_decision(decision)
    if held.status not in (Status.DRAFT, Status.PROPOSED):
        raise Conflict(f"D-{held.number} is {held.status} and cannot be edited; reopen it first.")
    before = covered_document(held)
    if SignOff(held).digest != seen_digest:
        raise StaleDigest("Somebody changed this decision after you opened the form.")
    if held.criterion_locked_at and any(getattr(held, name) != getattr(content, name) for name in PROMISE):
        raise Conflict("The criterion is locked: the first run has started, and a promise made after it would be none.")
    values = {field.name: getattr(content, field.name) for field in fields(content)}
    sign_by, values["sign_by"] = values["sign_by"], held.sign_by
    for name, value in values.items():
        setattr(held, name, value)
    _save_edit(held, before, tuple(values), actor)
    if held.sign_by != sign_by:  # a date of the proceedings, not of what is signed: it voids nothing
        held.sign_by = sign_by
        held.save(update_fields=["sign_by"])
        record("set due date", held, actor=actor, sign_by=sign_by.isoformat() if sign_by else "")
    return held


@transaction.atomic
def take_measurements(decision: Decision, *, actor: User) -> list[str]:
    """Replace the measured results of a draft or proposal by what the reports say now, an edit like any other.

    Return what is wrong with reports that were left out. Raises Conflict when the status forbids it.
    """
    held = lock_decision(decision)
    if held.status not in (Status.DRAFT, Status.PROPOSED):
        raise Conflict(f"D-{held.number} is {held.status} and cannot be edited; reopen it first.")
    before = covered_document(held)
    found, problems = measured_in(held.use_case)
    held.measured = [row.as_json() for row in found]
    _save_edit(held, before, ("measured",), actor)
    return problems


def _save_edit(held: Decision, before: Document, names: tuple[str, ...], actor: User) -> None:
    """Save the fields if what a signature covers has changed; a proposal is then the actor's."""
    after = covered_document(held)
    if after == before:
        return
    held.edition += 1
    if held.status == Status.PROPOSED:
        _require_forecast(held)
        held.written_by = sorted({*SignOff(held).writers, held.proposed_by_id, actor.pk})
        held.proposed_by, held.proposed_at = actor, timezone.now()
    held.save(update_fields=[*names, "edition", "proposed_by", "proposed_at", "written_by"])
    changes = changes_as_json(changes_between(before, after))
    record("edited", held, actor=actor, changes=changes, digest=digest_of(covered_document(held)))
    if held.status == Status.PROPOSED:
        mail.ask_for_signatures(held)


@transaction.atomic
def propose(decision: Decision, *, actor: User) -> Decision:
    """Ask for signatures. Raises Conflict unless it is a draft whose assessment is complete and settled, whose
    chosen option its checklist has, and whose promise, if it makes one, comes with a forecast."""
    held = lock_decision(decision)
    _require_forecast(held)
    _require_settled(held)
    _move(
        held,
        Status.PROPOSED,
        proposed_by=actor,
        proposed_at=timezone.now(),
        written_by=[actor.pk],
        decided_at=None,
        edition=held.edition + 1,
    )
    record("proposed", held, actor=actor, edition=held.edition, digest=SignOff(held).digest)
    mail.ask_for_signatures(held)
    return held


def _require_settled(held: Decision) -> None:
    """Raise Conflict when the answers or the chosen option are not what its version of the checklist asks for."""
    assessment = held.assessment
    if evaluation_of(assessment).outcome is None:
        raise Conflict("The assessment has an open question again; answer it before you propose the decision.")
    if looks := to_look_at(assessment):
        raise Conflict(
            "The checklist changed since some answers were given. Look at them again in the assessment before you "
            f"propose the decision: {', '.join(f'“{question.text}”' for question in looks)}."
        )
    if chosen_outcome(held) is None:
        raise Conflict(
            f"D-{held.number} chooses “{held.chosen_outcome}”, which version {assessment.checklist_version} of the "
            "checklist does not have. Edit it and choose another option."
        )


def _require_forecast(held: Decision) -> None:
    """Raise Conflict for a promise without a forecast: what is signed and run could never be held against one."""
    if held.criterion and held.lacks_forecast:
        raise Conflict(
            f"D-{held.number} promises {held.criterion.text} and has no forecast. Edit it: say how likely it is met "
            "and what you expect. Both are fixed when the first run starts."
        )


@transaction.atomic
def withdraw(decision: Decision, *, actor: User) -> Decision:
    """Turn a proposal back into a draft; signatures under it become void when it is proposed again."""
    held = lock_decision(decision)
    if held.status != Status.PROPOSED:
        raise Conflict(f"D-{held.number} is {held.status}; only a proposal can be withdrawn.")
    _move(held, Status.DRAFT)
    record("withdrew", held, actor=actor)
    return held


@transaction.atomic
def reopen(decision: Decision, *, reason: str, actor: User) -> Decision:
    """Turn an accepted or rejected decision back into a draft. Raises Conflict once a run has started under it."""
    held = lock_decision(decision)
    if held.status not in (Status.ACCEPTED, Status.REJECTED):
        raise Conflict(f"D-{held.number} is {held.status}; only an accepted or rejected decision can be reopened.")
    if held.criterion_locked_at:
        raise Conflict("A run has started under this decision. Draft a new one and let it supersede this one.")
    _move(held, Status.DRAFT, decided_at=None)
    record("reopened", held, actor=actor, reason=reason)
    others = Decision.objects.filter(assessment=held.assessment, status__in=WERE_ACCEPTED).exclude(pk=held.pk)
    if not others.exists():
        unlock_assessment(held.assessment, actor=actor)
    return held


@transaction.atomic
def supersede(decision: Decision, *, by: Decision, actor: User) -> Decision:
    """Mark an accepted decision as replaced by another accepted one of the same use case."""
    # As they are stored now, in one order: else two decisions could replace each other at the same moment.
    locked = {each.pk: lock_decision(each) for each in sorted((decision, by), key=lambda each: each.pk)}
    held, by = locked[decision.pk], locked[by.pk]
    if by.pk == held.pk or by.use_case_id != held.use_case_id or by.status != Status.ACCEPTED:
        raise Conflict(f"D-{by.number} cannot supersede D-{held.number}; choose another accepted one of its use case.")
    _move(held, Status.SUPERSEDED, superseded_by=by)
    record("superseded", held, actor=actor, by=by.number)
    return held


@transaction.atomic
def deprecate(decision: Decision, *, reason: str, actor: User) -> Decision:
    """Mark an accepted decision as no longer followed, with nothing in its place."""
    held = lock_decision(decision)
    _move(held, Status.DEPRECATED)
    record("deprecated", held, actor=actor, reason=reason)
    return held


@transaction.atomic
def lock_criterion(decision: Decision, *, test_set: str) -> None:
    """Fix criterion and forecast (or their absence) for good, because the first run starts, on `test_set` (SHA-256).
    Locking twice changes nothing.

    Call it in the transaction that launches the run. Raises Conflict when the decision is not accepted any more, or
    promises something about another test set.
    """
    held = Decision.objects.select_for_update(no_key=True).get(pk=decision.pk)
    if held.status != Status.ACCEPTED:
        raise Conflict(f"D-{held.number} is not accepted, so no run may start under it; its signatures come first.")
    if held.criterion and held.test_set and held.test_set != test_set:
        raise Conflict(
            f"D-{held.number} promises {held.criterion.text} on the test set {held.test_set[:12]}…, and this run would "
            f"measure on {test_set[:12]}…. Choose the dataset with the promised test set."
        )
    if held.criterion_locked_at:
        return
    held.criterion_locked_at, held.locked_test_set = timezone.now(), test_set
    held.save(update_fields=["criterion_locked_at", "locked_test_set"])
    criterion = held.criterion.text if held.criterion else "none"
    record("locked criterion", held, actor=None, criterion=criterion, test_set=test_set)


def lock_decision(decision: Decision) -> Decision:
    """Return the decision as stored now, locked until the end of the transaction, its assessment too.

    The assessment comes first, as in `answer_question` and everywhere else: one order, no deadlock.
    """
    # Without the key: rows that refer to these, such as a job being launched, need not wait, and nothing deadlocks.
    Assessment.objects.select_for_update(no_key=True).get(pk=decision.assessment_id)
    Decision.objects.select_for_update(no_key=True).get(pk=decision.pk)
    return for_signing(Decision.objects.all()).get(pk=decision.pk)


def _move(held: Decision, to: Status, **values: Any) -> None:
    """Change the status and `values` if the transition is legal and nobody was quicker. Raises Conflict otherwise."""
    old = Status(held.status)
    if to not in TRANSITIONS[old]:
        raise Conflict(f"D-{held.number} is {old}; it cannot become {to}.")
    if Decision.objects.filter(pk=held.pk, status=old).update(status=to, **values) != 1:
        raise Conflict(f"D-{held.number} has just changed; reload the page.")
    for name, value in {"status": to, **values}.items():
        setattr(held, name, value)


def decide(held: Decision, to: Status, *, actor: User) -> None:
    """Accept or reject a proposal that is locked by this transaction."""
    _move(held, to, decided_at=timezone.now())
    record(to.value, held, actor=actor)
