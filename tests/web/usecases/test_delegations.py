"""Delegations: a holder of a signing role lets a colleague sign for them until a day; who may give and take back."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.common.models import AuditEntry
from playbook.web.common.permissions import Conflict, RoleRequired
from playbook.web.usecases.actions import add_member, delegate_role
from playbook.web.usecases.models import Delegation, UseCase

HTMX = {"HX-Request": "true"}


def given(delegate: User, **changed: str) -> dict[str, str]:
    until = timezone.localdate() + timedelta(days=7)
    return {"role": "ml_lead", "delegate": str(delegate.pk), "until": until.isoformat(), **changed}


@pytest.mark.parametrize("headers", [{}, HTMX])
def test_delegate_and_take_back(
    client: Client, use_case: UseCase, bob: User, charlie: User, headers: dict[str, str]
) -> None:
    client.force_login(bob)
    address = f"{use_case.get_absolute_url()}delegations/"
    assert client.post(address, given(charlie), headers=headers)["Location"] == use_case.get_absolute_url()
    delegation = Delegation.objects.get()
    assert (delegation.delegator, delegation.delegate, delegation.role) == (bob, charlie, Role.ML_LEAD)
    entry = AuditEntry.objects.get(action="delegated")
    assert (entry.actor, entry.detail["to"], entry.detail["until"]) == (bob, "charlie", delegation.until.isoformat())
    page = client.get(use_case.get_absolute_url()).content.decode()
    assert "Charlie Lindqvist for Bob Okafor" in page
    client.post(f"{address}{delegation.pk}/revoke/", headers=headers)
    assert Delegation.objects.in_force().count() == 0
    assert "Charlie Lindqvist for Bob Okafor" not in client.get(use_case.get_absolute_url()).content.decode()
    page = client.post(f"{address}{delegation.pk}/revoke/", headers=headers, follow=True).content.decode()
    assert "This delegation was taken back already." in page


def test_what_is_no_delegation_is_said(client: Client, use_case: UseCase, bob: User, charlie: User) -> None:
    client.force_login(bob)
    address = f"{use_case.get_absolute_url()}delegations/"
    past = timezone.localdate() - timedelta(days=1)
    page = client.post(address, given(charlie, until=past.isoformat()), follow=True).content.decode()
    assert "is past or more than a year off" in page
    assert client.post(address, given(charlie, role="product_owner")).status_code == 422
    assert client.post(address, given(bob)).status_code == 422
    client.post(address, given(charlie))
    assert "signs for you as ML lead already" in client.post(address, given(charlie), follow=True).content.decode()
    assert Delegation.objects.count() == 1


def test_only_a_holder_gives_and_only_giver_or_owner_takes_back(
    client: Client, use_case: UseCase, alice: User, bob: User, charlie: User, mallory: User
) -> None:
    address = f"{use_case.get_absolute_url()}delegations/"
    delegation = delegate_role(use_case, role=Role.ML_LEAD, delegate=charlie, until=timezone.localdate(), actor=bob)
    revoke = f"{address}{delegation.pk}/revoke/"
    client.force_login(mallory)
    assert (client.post(address, given(bob)).status_code, client.post(revoke).status_code) == (404, 404)
    client.force_login(charlie)
    assert (client.get(address).status_code, client.post(revoke).status_code) == (405, 403)
    client.force_login(alice)
    assert client.post(address, given(bob)).status_code == 403
    assert client.post(revoke).status_code == 302


def test_the_action_refuses_what_the_form_does_not_offer(
    use_case: UseCase, alice: User, bob: User, charlie: User, mallory: User
) -> None:
    today = timezone.localdate()
    with pytest.raises(RoleRequired):
        delegate_role(use_case, role=Role.ML_LEAD, delegate=bob, until=today, actor=charlie)
    with pytest.raises(Conflict, match="is not in the team"):
        delegate_role(use_case, role=Role.ML_LEAD, delegate=mallory, until=today, actor=bob)
    with pytest.raises(Conflict, match="You sign for yourself already"):
        delegate_role(use_case, role=Role.ML_LEAD, delegate=bob, until=today, actor=bob)
    with pytest.raises(IntegrityError), transaction.atomic():
        Delegation.objects.create(use_case=use_case, role=Role.OWNER, delegator=alice, delegate=bob, until=today)


def test_one_that_has_run_out_may_be_given_again(use_case: UseCase, alice: User, bob: User, charlie: User) -> None:
    today = timezone.localdate()
    delegate_role(use_case, role=Role.ML_LEAD, delegate=charlie, until=today, actor=bob)
    Delegation.objects.update(until=today - timedelta(days=1))
    delegate_role(use_case, role=Role.ML_LEAD, delegate=charlie, until=today, actor=bob)
    assert (Delegation.objects.count(), Delegation.objects.in_force().count()) == (2, 1)


def test_a_viewer_may_be_asked_and_reads_the_decision(use_case: UseCase, alice: User, bob: User, mallory: User) -> None:
    add_member(use_case, user=mallory, role=Role.VIEWER, actor=alice)
    delegate_role(use_case, role=Role.ML_LEAD, delegate=mallory, until=timezone.localdate(), actor=bob)
    assert Delegation.objects.in_force().get().delegate == mallory
