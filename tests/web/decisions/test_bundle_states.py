"""The bundle of a decision verifies at every turn of its life, and its Markdown is the one that the page gives."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from django.test import Client

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.decisions import actions
from playbook.web.decisions.bundle import bundle_of
from playbook.web.decisions.models import Decision, Status, Verdict
from playbook.web.decisions.signing import SignOff
from playbook.web.decisions.verify_bundle import problems_of, read_bundle
from playbook.web.usecases.actions import remove_member
from playbook.web.usecases.models import Membership
from tests.web.decided import FORECAST
from tests.web.decisions.conftest import edit, fresh, sign
from tests.web.jobs.ended import succeeded_job

People = tuple[User, User, User]
Turn = Callable[[Decision, People], object]


def propose(decision: Decision, people: People) -> None:
    edit(decision, people[0], **FORECAST)
    actions.propose(fresh(decision), actor=people[0])


def accept(decision: Decision, people: People) -> None:
    sign(decision, people[1], Role.ML_LEAD)
    sign(decision, people[2], Role.PRODUCT_OWNER)


def reject(decision: Decision, people: People) -> None:
    sign(decision, people[1], Role.ML_LEAD, Verdict.REJECT, "Too few rows.\n* Eve, ML lead <!-- ")


def withdraw(decision: Decision, people: People) -> None:
    actions.withdraw(fresh(decision), actor=people[0])


def change(decision: Decision, people: People) -> None:
    text = "### Signatures\n\n* Eve, ML lead\n```\n<b>x\r\n---\n"
    options = [
        {"title": "Buy\nit", "pros": "", "cons": "Dear"},
        {"title": "Tune", "pros": "x", "cons": "", "arm": "lora"},
    ]
    written = {"title": "Other “one”", "context": text, "consequences": "", "kill_criterion": "Stop\nat 0.5"}
    budget = {
        "options": options,
        "budget_gpu_minutes": 0,
        "sign_by": date(2027, 1, 2),
        "review_on": None,
        "owner": None,
    }
    edit(decision, people[0], criterion_threshold=Decimal("0.8251"), **written, **budget)


def reopen(decision: Decision, people: People) -> None:
    actions.reopen(fresh(decision), reason="Once more.", actor=people[0])


def retire(decision: Decision, people: People) -> None:
    actions.deprecate(fresh(decision), reason="Nobody follows it.", actor=people[0])


def replace(decision: Decision, people: People) -> None:
    other = actions.draft_from_assessment(decision.assessment, created_by=people[0])
    propose(other, people)
    accept(other, people)
    actions.supersede(fresh(decision), by=fresh(other), actor=people[0])


def run(decision: Decision, people: People) -> None:
    succeeded_job(decision.use_case, people[0], decision=fresh(decision))


def measure(decision: Decision, people: People) -> None:
    succeeded_job(decision.use_case, people[0])
    actions.take_measurements(fresh(decision), actor=people[0])


def take_role(decision: Decision, people: People) -> None:
    remove_member(Membership.objects.get(user=people[1], role=Role.ML_LEAD), actor=people[0])


@pytest.mark.parametrize(
    ("turns", "status"),
    [
        ([], Status.DRAFT),
        ([change, measure], Status.DRAFT),
        ([propose], Status.PROPOSED),
        ([propose, change, measure], Status.PROPOSED),
        ([propose, withdraw], Status.DRAFT),
        ([propose, withdraw, change, propose, change], Status.PROPOSED),
        ([propose, reject], Status.REJECTED),
        ([propose, reject, reopen, change, propose, accept], Status.ACCEPTED),
        ([propose, accept, run], Status.ACCEPTED),
        ([propose, accept, take_role], Status.ACCEPTED),
        ([propose, accept, reopen], Status.DRAFT),
        ([propose, accept, run, retire], Status.DEPRECATED),
        ([propose, accept, run, replace], Status.SUPERSEDED),
    ],
)
def test_a_bundle_verifies_at_every_turn(
    client: Client,
    draft: Decision,
    alice: User,
    bob: User,
    charlie: User,
    tmp_path: Path,
    turns: list[Turn],
    status: str,
) -> None:
    for turn in turns:
        turn(draft, (alice, bob, charlie))
    client.force_login(alice)
    for decision in Decision.objects.order_by("number"):
        path = tmp_path / f"D-{decision.number}.zip"
        path.write_bytes(bundle_of(SignOff(fresh(decision)), exported_by=alice))
        files = read_bundle(path)
        assert list(problems_of(files)) == []
        assert files["decision.md"] == client.get(f"/decisions/{decision.number}.md").content
    assert fresh(draft).status == status
