"""The first draft of a decision, written from an assessment. Pure: returns field values, saves nothing."""

from datetime import date
from decimal import Decimal
from typing import Any

from playbook.library.checklist import Evaluation
from playbook.library.definition import Checklist, ChecklistOutcome
from playbook.web.assessments.models import Assessment
from playbook.web.assessments.queries import checklist_of


def draft_fields(assessment: Assessment, evaluation: Evaluation, *, today: date) -> dict[str, Any]:
    """Return the fields of a draft. `evaluation` must be complete.

    An outcome that leads to a run ("go") brings the checklist's criterion; the others promise nothing measurable.
    """
    checklist, chosen = checklist_of(assessment), evaluation.outcome
    if chosen is None:
        raise ValueError(f"assessment {assessment.pk} is not complete; answer {evaluation.next} first")
    return {
        "title": f"{assessment.use_case.name}: {chosen.title[0].lower()}{chosen.title[1:]}"[:200],
        "context": _context(assessment, evaluation),
        "options": [_option(checklist, outcome, chosen) for outcome in checklist.outcomes],
        "chosen_outcome": chosen.id,
        "consequences": chosen.advice,
        "review_on": today + checklist.review_in,
        **(_criterion(checklist) if chosen.tone == "go" else {}),
    }


def _context(assessment: Assessment, evaluation: Evaluation) -> str:
    found = "\n".join(f"- {reason.text}" for reason in evaluation.reasons)
    return f"{assessment.use_case.description}\n\nWhat the assessment found:\n\n{found}".strip()


def _option(checklist: Checklist, outcome: ChecklistOutcome, chosen: ChecklistOutcome) -> dict[str, str]:
    if outcome.id == chosen.id:
        arm = {"arm": checklist.criterion.arm.value} if chosen.tone == "go" else {}
        return {"title": outcome.title, "pros": "The answers of the assessment lead here.", "cons": "", **arm}
    return {"title": outcome.title, "pros": "", "cons": "The answers of the assessment rule it out."}


def _criterion(checklist: Checklist) -> dict[str, Any]:
    criterion = checklist.criterion
    return {
        "criterion_metric": criterion.metric.value,
        "criterion_arm": criterion.arm.value,
        "criterion_threshold": Decimal(str(criterion.threshold)),
    }
