"""A decision on its way: assessed, proposed by alice, accepted by bob and charlie, all by real actions."""

from decimal import Decimal
from typing import Any

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import answer_question, start_assessment
from playbook.web.assessments.models import Assessment
from playbook.web.common.content import library
from playbook.web.decisions import actions
from playbook.web.decisions.models import Decision, Verdict
from playbook.web.decisions.signatures import sign_decision
from playbook.web.decisions.signing import SignOff
from playbook.web.usecases.models import UseCase

ARTICLE = "decide/when-fine-tuning-pays-off"
#: The answers on the way to "tune".
TUNE = {
    "prompting": "yes",
    "examples": "yes",
    "enough": "no",
    "missing_information": "no",
    "behaviour": "yes",
    "maintain": "yes",
}
#: What a promise must come with when it is proposed.
FORECAST = {"forecast_probability": Decimal("0.600"), "forecast_value": Decimal("0.8200")}


def assessed(use_case: UseCase, author: User) -> Assessment:
    checklist = library().checklists["should-we-fine-tune"]
    assessment = start_assessment(use_case=use_case, checklist=checklist, article=ARTICLE, created_by=author)
    for question in checklist.questions:
        answer_question(
            assessment, question_id=question.id, value=TUNE[question.id], comment="", seen_revision=0, author=author
        )
    return assessment


def short(use_case: UseCase, author: User) -> Assessment:
    """An assessment whose first answers end it: "no" to `enough` opens it again."""
    checklist = library().checklists["should-we-fine-tune"]
    assessment = start_assessment(use_case=use_case, checklist=checklist, article=ARTICLE, created_by=author)
    for name, value in {"prompting": "yes", "examples": "yes", "enough": "yes"}.items():
        answer_question(assessment, question_id=name, value=value, comment="", seen_revision=0, author=author)
    return assessment


def proposed(use_case: UseCase, author: User, **changed: Any) -> Decision:
    """`changed`: fields of the draft, such as a forecast."""
    decision = actions.draft_from_assessment(assessed(use_case, author), created_by=author)
    assert decision.criterion_threshold == Decimal("0.80")
    Decision.objects.filter(pk=decision.pk).update(**{**FORECAST, **changed})
    return actions.propose(decision, actor=author)


def signed(decision: Decision, user: User, role: Role) -> Decision:
    sign_decision(
        decision, user=user, role=role, verdict=Verdict.APPROVE, reason="", seen_digest=SignOff(decision).digest
    )
    return Decision.objects.get(pk=decision.pk)


def accepted(use_case: UseCase, *, author: User, ml_lead: User, product_owner: User, **changed: Any) -> Decision:
    decision = signed(proposed(use_case, author, **changed), ml_lead, Role.ML_LEAD)
    return signed(decision, product_owner, Role.PRODUCT_OWNER)
