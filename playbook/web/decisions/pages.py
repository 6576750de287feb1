"""What the page of one decision shows, gathered in one place for the views that end on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from django.utils import timezone

from playbook.contracts.roles import Role
from playbook.library.definition import Question
from playbook.web.accounts.models import User
from playbook.web.assessments.measured import stale_answers
from playbook.web.assessments.models import Assessment
from playbook.web.assessments.queries import (
    article_title,
    article_url,
    checklist_of,
    current_answers,
    evaluation_of,
    to_look_at,
)
from playbook.web.common.panels import panels_for
from playbook.web.decisions.forms import ReasonForm, SignForm, SupersedeForm
from playbook.web.decisions.history import Happening, entries_of, moved_since_written, timeline, void_signatures
from playbook.web.decisions.measured import Measured
from playbook.web.decisions.models import Decision, Status
from playbook.web.decisions.queries import chosen_outcome
from playbook.web.decisions.signing import SignOff
from playbook.web.usecases.models import may_write


def detail(
    decision: Decision,
    user: User,
    *,
    sign_form: SignForm | None = None,
    conflict: str = "",
    changed: Sequence[Happening] = (),
) -> dict[str, Any]:
    """Return the context of the decision page. `conflict` and `changed` say why a write was refused."""
    sign_off = SignOff(decision)
    entries = entries_of(decision)
    roles = frozenset(Role(row.role) for row in decision.use_case.memberships.all() if row.user_id == user.pk)
    capacities = sign_off.open_capacities(user)
    if capacities:
        seen_entry = entries[-1].pk if entries else 0
        seen = {"seen_digest": sign_off.digest, "seen_entry": seen_entry, "role": capacities[0].value}
        sign_form = sign_form or SignForm(initial=seen, user=user, decision=decision)
        sign_form.offer(capacities)
    reopenable = decision.status in (Status.ACCEPTED, Status.REJECTED) and not decision.criterion_locked_at
    assessment = decision.assessment
    checklist = checklist_of(assessment)
    return {
        "decision": decision,
        "chosen": chosen_outcome(decision),
        "advice": evaluation_of(assessment).outcome,
        "checklist": checklist,
        "article_url": article_url(assessment.article) if assessment.article else "",
        "article_title": article_title(assessment.article),
        "sign_off": sign_off,
        "void": void_signatures(sign_off, entries),
        "sign_form": sign_form if capacities else None,
        "why_not": "" if capacities else _why_not(sign_off, user),
        "options": options_of(decision),
        "supersedes": list(decision.superseded_decisions.order_by("number")),
        "today": timezone.localdate(),
        "timeline": timeline(entries),
        "stale": _stale(assessment) if decision.status in (Status.DRAFT, Status.PROPOSED) else [],
        "looks": to_look_at(assessment) if decision.status == Status.DRAFT else (),
        "moved": moved_since_written(entries) if decision.status == Status.DRAFT else None,
        "may_write": may_write(roles),
        "is_editable": decision.status in (Status.DRAFT, Status.PROPOSED),
        "is_reopenable": reopenable,
        "reason_form": ReasonForm(),
        "supersede_form": SupersedeForm(decision=decision) if decision.status == Status.ACCEPTED else None,
        "conflict": conflict,
        "changed": changed,
        "panels": panels_for("decision", decision, user),
    }


def _stale(assessment: Assessment) -> list[tuple[Question, tuple[str, ...]]]:
    """Return the questions on the path whose measurement does not stand any more, each with why."""
    reasons = stale_answers(current_answers(assessment))
    if not any(reasons.values()):
        return []
    return [(one, why) for one in evaluation_of(assessment).visible if (why := reasons.get(one.id))]


@dataclass(frozen=True)
class Option:
    """A considered option, with what was measured of its arm."""

    title: str
    pros: str
    cons: str
    measured: tuple[Measured, ...]


@dataclass(frozen=True)
class Options:
    """The considered options, and what was measured of arms that none of them names."""

    rows: tuple[Option, ...]
    others: tuple[Measured, ...]


def options_of(decision: Decision) -> Options:
    """Return the options with their measured results."""
    measured = [Measured.of(row) for row in decision.measured]
    named = {option.get("arm", "") for option in decision.options}
    return Options(
        rows=tuple(
            Option(
                title=option["title"],
                pros=option["pros"],
                cons=option["cons"],
                measured=tuple(row for row in measured if row.arm == option.get("arm")),
            )
            for option in decision.options
        ),
        others=tuple(row for row in measured if row.arm not in named),
    )


def _why_not(sign_off: SignOff, user: User) -> str:
    """Say why a proposal shows this user no form to sign with; "" when nothing is to be signed."""
    decision = sign_off.decision
    if decision.status != Status.PROPOSED:
        return ""
    if decision.proposed_by_id == user.pk:
        return "You proposed this decision, so others sign it."
    if any(row.user_id == user.pk for row in sign_off.current):
        return "You have signed this version."
    if stand_in := next((row for row in sign_off.current if row.on_behalf_of_id == user.pk), None):
        return f"{stand_in.printed_name} has signed this version for you."
    if user.pk in sign_off.writers:
        return "You proposed it or changed it since, so others sign it."
    if sign_off.capacities(user):
        return "The signatures of your role are complete."
    return "You hold none of the roles that sign this decision."
