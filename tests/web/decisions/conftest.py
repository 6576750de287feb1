"""Decisions on their way, and what a form of theirs holds."""

from dataclasses import fields
from typing import Any

import pytest

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.decisions import actions
from playbook.web.decisions.actions import Content
from playbook.web.decisions.models import Decision, Verdict
from playbook.web.decisions.queries import get_decision
from playbook.web.decisions.signatures import sign_decision
from playbook.web.decisions.signing import SignOff
from playbook.web.usecases.models import UseCase
from tests.web import decided


@pytest.fixture
def draft(use_case: UseCase, alice: User) -> Decision:
    return actions.draft_from_assessment(decided.assessed(use_case, alice), created_by=alice)


@pytest.fixture
def proposal(draft: Decision, alice: User) -> Decision:
    Decision.objects.filter(pk=draft.pk).update(**decided.FORECAST)
    return actions.propose(draft, actor=alice)


@pytest.fixture
def accepted(proposal: Decision, bob: User, charlie: User) -> Decision:
    sign(proposal, bob, Role.ML_LEAD)
    return sign(proposal, charlie, Role.PRODUCT_OWNER)


def fresh(decision: Decision) -> Decision:
    """Return the decision as a new request would fetch it."""
    return get_decision(decision.created_by, decision.number)


def sign(decision: Decision, user: User, role: Role, verdict: Verdict = Verdict.APPROVE, reason: str = "") -> Decision:
    """Sign what the decision reads now, and return it as stored afterwards."""
    digest = SignOff(fresh(decision)).digest
    sign_decision(decision, user=user, role=role, verdict=verdict, reason=reason, seen_digest=digest)
    return fresh(decision)


def content_of(decision: Decision, **changed: Any) -> Content:
    """Return the decision's content with some fields changed."""
    values = {field.name: getattr(decision, field.name) for field in fields(Content)}
    return Content(**{**values, **changed})


def edit(decision: Decision, actor: User, **changed: Any) -> Decision:
    """Change some fields, as somebody who saw the decision as it reads now."""
    now = fresh(decision)
    actions.edit_decision(now, content=content_of(now, **changed), seen_digest=SignOff(now).digest, actor=actor)
    return fresh(decision)
