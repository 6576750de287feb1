"""Signatures: in which role, for whom, by whom not; what a role taken away does; what the database refuses."""

import io
import zipfile
from datetime import timedelta
from hashlib import sha256

import pytest
import rfc8785
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.test import Client
from django.utils import timezone

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import answer_question
from playbook.web.common import guards
from playbook.web.common.models import AuditEntry
from playbook.web.common.passwords import MOST_WRONG
from playbook.web.common.permissions import Conflict, RoleRequired
from playbook.web.common.verify import Verification, verify
from playbook.web.decisions import actions
from playbook.web.decisions.models import Decision, Signature, Status, Verdict
from playbook.web.decisions.signatures import sign_decision
from playbook.web.decisions.signing import Capacity, SignOff, waiting_for
from playbook.web.decisions.verify_bundle import problems_of
from playbook.web.decisions.vouched import signature_document
from playbook.web.usecases.actions import add_member, delegate_role, remove_member, revoke_delegation
from playbook.web.usecases.models import Delegation, UseCase
from tests.conftest import PASSWORD
from tests.web.decisions.conftest import edit, fresh, sign

TOMORROW = timedelta(days=1)


def sign_for(decision: Decision, user: User, role: Role, principal: User) -> Decision:
    sign_decision(
        decision,
        user=user,
        role=role,
        verdict=Verdict.APPROVE,
        reason="",
        seen_digest=SignOff(fresh(decision)).digest,
        on_behalf_of=principal,
    )
    return fresh(decision)


def verified() -> list[str]:
    return list(verify(connection, Verification()))


@pytest.fixture
def dana(use_case: UseCase, alice: User) -> User:
    """A viewer."""
    dana = User.objects.create_user("dana", password=PASSWORD, name="Dana Ferreira", email="dana@example.org")
    add_member(use_case, user=dana, role=Role.VIEWER, actor=alice)
    return dana


@pytest.fixture
def delegation(use_case: UseCase, bob: User, dana: User) -> Delegation:
    """bob, the ML lead, lets dana sign for him until tomorrow."""
    until = timezone.localdate() + TOMORROW
    return delegate_role(use_case, role=Role.ML_LEAD, delegate=dana, until=until, actor=bob)


def test_a_role_taken_away_leaves_the_signature_as_history_and_counts_the_quorum_anew(
    client: Client, proposal: Decision, use_case: UseCase, alice: User, bob: User, charlie: User, mallory: User
) -> None:
    sign(proposal, bob, Role.ML_LEAD)
    remove_member(use_case.memberships.get(user=bob), actor=alice)
    add_member(use_case, user=mallory, role=Role.ML_LEAD, actor=alice)
    sign_off = SignOff(fresh(proposal))
    assert ([row.user for row in sign_off.lapsed], sign_off.current) == ([bob], ())
    assert [each.role for each in sign_off.open_capacities(mallory)] == [Role.ML_LEAD]
    client.force_login(alice)
    page = client.get("/decisions/1/").content.decode()
    assert "<strong>Counts no more:</strong> Bob Okafor (ML lead) approved" in page
    assert "COUNTS NO MORE: the role was taken away afterwards." in client.get("/decisions/1.md").content.decode()
    assert sign(proposal, charlie, Role.PRODUCT_OWNER).status == Status.PROPOSED
    assert sign(proposal, mallory, Role.ML_LEAD).status == Status.ACCEPTED
    assert verified() == []


def test_a_role_given_back_is_a_new_one_so_its_holder_is_asked_again(
    proposal: Decision, use_case: UseCase, alice: User, bob: User
) -> None:
    sign(proposal, bob, Role.ML_LEAD)
    remove_member(use_case.memberships.get(user=bob), actor=alice)
    add_member(use_case, user=bob, role=Role.ML_LEAD, actor=alice)
    assert [each.role for each in SignOff(fresh(proposal)).open_capacities(bob)] == [Role.ML_LEAD]
    again = SignOff(sign(proposal, bob, Role.ML_LEAD))
    assert (len(again.lapsed), len(again.current)) == (1, 1)
    with pytest.raises(Conflict, match="Nobody signs twice"):
        sign(proposal, bob, Role.ML_LEAD)


def test_an_accepted_decision_stays_accepted_and_says_what_is_no_longer_so(
    client: Client, accepted: Decision, use_case: UseCase, alice: User, bob: User
) -> None:
    remove_member(use_case.memberships.get(user=bob), actor=alice)
    client.force_login(alice)
    page = client.get("/decisions/1/").content.decode()
    assert Decision.objects.get().status == Status.ACCEPTED
    assert "The decision stays accepted, because it was complete when it was accepted." in page


def test_who_changes_an_answer_after_the_proposal_does_not_sign(
    client: Client, proposal: Decision, alice: User, bob: User
) -> None:
    answer_question(
        proposal.assessment, question_id="maintain", value="unknown", comment="", seen_revision=1, author=bob
    )
    with pytest.raises(Conflict, match="You proposed this or changed it since"):
        sign(proposal, bob, Role.ML_LEAD)
    assert waiting_for(bob) == []
    client.force_login(bob)
    assert "You proposed it or changed it since" in client.get("/decisions/1/").content.decode()
    answer_question(proposal.assessment, question_id="maintain", value="yes", comment="", seen_revision=2, author=bob)
    actions.withdraw(proposal, actor=alice)
    actions.propose(proposal, actor=alice)
    assert len(SignOff(sign(proposal, bob, Role.ML_LEAD)).current) == 1


def test_a_delegate_signs_for_the_holder_and_the_signature_says_so(
    client: Client, proposal: Decision, delegation: Delegation, bob: User, dana: User
) -> None:
    assert [row.capacities for row in waiting_for(dana)] == [(Capacity(Role.ML_LEAD, bob, delegation.until),)]
    client.force_login(dana)
    assert f'<option value="ml_lead:{bob.pk}"' in client.get("/decisions/1/").content.decode()
    given = {"seen_digest": SignOff(fresh(proposal)).digest, "seen_entry": "0", "verdict": "approve"}
    client.post("/decisions/1/sign/", {**given, "role": f"ml_lead:{bob.pk}", "password": PASSWORD})
    signature = Signature.objects.get()
    assert (signature.user, signature.on_behalf_of, signature.role) == (dana, bob, Role.ML_LEAD)
    until = f"{delegation.until:%-d %B %Y}"
    assert signature.meaning == (
        f"I approve this decision as ML lead for Bob Okafor, who let me sign until {until}: I have read what it covers "
        "and stand by it."
    )
    page = client.get("/decisions/1/").content.decode()
    assert "<strong>Dana Ferreira</strong>, ML lead, for Bob Okafor" in page
    assert "* Dana Ferreira, ML lead for Bob Okafor (bob), " in client.get("/decisions/1.md").content.decode()
    assert verified() == []
    User.objects.filter(pk=bob.pk).update(name="Robert Okafor")  # the signature says what it said
    with zipfile.ZipFile(io.BytesIO(client.get("/decisions/1.zip").content)) as bundle:
        assert list(problems_of({name: bundle.read(name) for name in bundle.namelist()})) == []


def test_names_stand_as_they_were_printed_when_people_are_called_otherwise(
    client: Client, proposal: Decision, delegation: Delegation, bob: User, dana: User
) -> None:
    sign_for(proposal, dana, Role.ML_LEAD, bob)
    client.force_login(bob)
    before = [client.get(f"/decisions/1{kind}").content.decode() for kind in ("/", ".md")]
    User.objects.filter(pk=bob.pk).update(name="Robert Fox")
    User.objects.filter(pk=dana.pk).update(name="Dana Fox")
    after = [client.get(f"/decisions/1{kind}").content.decode() for kind in ("/", ".md")]
    assert "<strong>Dana Ferreira</strong>, ML lead, for Bob Okafor</p>" in before[0]
    assert "* Dana Ferreira, ML lead for Bob Okafor (bob), " in before[1]
    assert "<strong>Dana Ferreira</strong>, ML lead, for Bob Okafor</p>" in after[0]
    assert before[1] == after[1]
    with zipfile.ZipFile(io.BytesIO(client.get("/decisions/1.zip").content)) as bundle:
        files = {name: bundle.read(name) for name in bundle.namelist()}
    files["signatures.json"] = files["signatures.json"].replace(
        b'"on_behalf_of_name": "Bob Okafor",\n  "state"', b'"on_behalf_of_name": "Robert Fox",\n  "state"'
    )
    assert any("to be given for Robert Fox, and it states Bob Okafor." in said for said in problems_of(files))
    assert verified() == []


def test_a_signature_from_before_the_name_of_the_principal_was_kept_is_as_it_was(
    proposal: Decision, bob: User, dana: User, delegation: Delegation
) -> None:
    sign_for(proposal, dana, Role.ML_LEAD, bob)
    signature = Signature.objects.select_related("on_behalf_of").get()
    assert signature_document(signature)["on_behalf_of_name"] == "Bob Okafor"
    signature.on_behalf_of_name = ""
    assert "on_behalf_of_name" not in signature_document(signature)
    assert signature.principal_name == "Bob Okafor"


def test_holder_and_delegate_are_one_signature(
    client: Client, proposal: Decision, delegation: Delegation, bob: User, dana: User
) -> None:
    sign_for(proposal, dana, Role.ML_LEAD, bob)
    with pytest.raises(Conflict, match="Dana Ferreira has signed as ML lead already"):
        sign(proposal, bob, Role.ML_LEAD)
    client.force_login(bob)
    assert "Dana Ferreira has signed this version for you." in client.get("/decisions/1/").content.decode()
    assert waiting_for(bob) == []
    with pytest.raises(Conflict, match="Nobody signs twice"):
        sign_for(proposal, dana, Role.ML_LEAD, bob)


def test_nobody_signs_for_the_proposer_nor_proposes_and_signs_for_another(
    proposal: Decision, delegation: Delegation, use_case: UseCase, alice: User, bob: User, dana: User
) -> None:
    edit(proposal, bob, title="By Bob")
    with pytest.raises(Conflict, match="Bob Okafor proposed this decision, so nobody signs it for them"):
        sign_for(proposal, dana, Role.ML_LEAD, bob)
    assert waiting_for(dana) == []
    add_member(use_case, user=dana, role=Role.CONTRIBUTOR, actor=alice)
    edit(proposal, dana, title="By Dana")
    with pytest.raises(Conflict, match="You proposed this decision"):
        sign_for(proposal, dana, Role.ML_LEAD, bob)


def test_a_delegation_ends_with_its_day_when_taken_back_and_with_the_role(
    proposal: Decision, delegation: Delegation, use_case: UseCase, alice: User, bob: User, dana: User
) -> None:
    Delegation.objects.update(until=timezone.localdate() - TOMORROW)
    with pytest.raises(RoleRequired, match="Nobody lets you sign as ML lead for Bob Okafor any more"):
        sign_for(proposal, dana, Role.ML_LEAD, bob)
    Delegation.objects.update(until=timezone.localdate())
    revoke_delegation(delegation, actor=bob)
    with pytest.raises(RoleRequired):
        sign_for(proposal, dana, Role.ML_LEAD, bob)
    with pytest.raises(Conflict, match="taken back already"):
        revoke_delegation(delegation, actor=bob)
    Delegation.objects.update(revoked_at=None)
    remove_member(use_case.memberships.get(user=bob), actor=alice)
    with pytest.raises(RoleRequired):
        sign_for(proposal, dana, Role.ML_LEAD, bob)


def test_a_delegation_does_not_come_back_with_the_role(
    proposal: Decision, delegation: Delegation, use_case: UseCase, alice: User, bob: User, dana: User
) -> None:
    remove_member(use_case.memberships.get(user=bob), actor=alice)
    add_member(use_case, user=bob, role=Role.ML_LEAD, actor=alice)
    with pytest.raises(RoleRequired):
        sign_for(proposal, dana, Role.ML_LEAD, bob)
    entry = AuditEntry.objects.get(action="removed member")
    assert entry.detail["ended_delegations"] == [str(delegation)]


def test_who_leaves_the_team_signs_for_nobody_when_they_come_back(
    proposal: Decision, delegation: Delegation, use_case: UseCase, alice: User, bob: User, dana: User
) -> None:
    remove_member(use_case.memberships.get(user=dana), actor=alice)
    add_member(use_case, user=dana, role=Role.VIEWER, actor=alice)
    with pytest.raises(RoleRequired):
        sign_for(proposal, dana, Role.ML_LEAD, bob)


def test_five_wrong_passwords_close_the_door_for_a_while_even_to_the_right_one(
    client: Client, proposal: Decision, bob: User
) -> None:
    client.force_login(bob)
    given = {"seen_digest": SignOff(fresh(proposal)).digest, "seen_entry": "0", "verdict": "approve", "role": "ml_lead"}
    for _ in range(MOST_WRONG):
        page = client.post("/decisions/1/sign/", {**given, "password": "guess"}).content.decode()
        assert "This is not your password. Nothing was signed." in page
    answer = client.post("/decisions/1/sign/", {**given, "password": PASSWORD})
    assert answer.status_code == 422
    assert "5 wrong passwords in 15 minutes: wait 15 minutes, then try again." in answer.content.decode()
    assert Signature.objects.count() == 0
    assert AuditEntry.objects.filter(action="gave a wrong password", actor=bob).count() == MOST_WRONG


@pytest.mark.parametrize("change", [{"printed_name": "Mallory"}, {"verdict": "reject", "reason": "x"}, {"digest": "0"}])
def test_the_database_refuses_to_change_a_signature(proposal: Decision, bob: User, change: dict[str, str]) -> None:
    sign(proposal, bob, Role.ML_LEAD)
    with pytest.raises(IntegrityError, match="appended, never changed"), transaction.atomic():
        Signature.objects.update(**change)
    with pytest.raises(IntegrityError, match="appended, never deleted"), transaction.atomic():
        Signature.objects.all().delete()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"printed_name": "Mallory Stone"}, "was altered: it is not what its audit entry recorded."),
        ({"covered": {"decision": {}}}, "was altered: the document that it covers does not give its digest."),
    ],
)
def test_a_signature_altered_all_the_same_is_named(
    proposal: Decision, bob: User, change: dict[str, object], said: str
) -> None:
    sign(proposal, bob, Role.ML_LEAD)
    guards.lift(connection)
    Signature.objects.update(**change)
    guards.set_up(connection)
    (found,) = verified()
    assert found.endswith(said)


def test_a_signature_that_was_removed_or_made_up_is_named(proposal: Decision, bob: User, charlie: User) -> None:
    sign(proposal, bob, Role.ML_LEAD)
    guards.lift(connection)
    Signature.objects.all().delete()
    guards.set_up(connection)
    (found,) = verified()
    assert found.endswith("is gone, though an audit entry says that it was given.")


def test_a_signature_that_nobody_gave_is_named_be_it_the_first(proposal: Decision, bob: User) -> None:
    sign_off = SignOff(fresh(proposal))
    Signature.objects.create(
        decision=proposal,
        user=bob,
        printed_name=str(bob),
        role=Role.ML_LEAD,
        verdict=Verdict.APPROVE,
        meaning="I approve.",
        covered=sign_off.document,
        digest=sign_off.digest,
    )
    (found,) = verified()
    assert found.endswith("has no audit entry: it was not made by signing.")


def test_an_altered_entry_of_the_log_closes_no_page_and_hides_no_other_fault(
    client: Client, proposal: Decision, bob: User
) -> None:
    sign(proposal, bob, Role.ML_LEAD)
    entry = AuditEntry.objects.get(action="signed")
    guards.lift(connection)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE common_auditentry SET detail = '{no JSON' WHERE id = %s", [entry.pk])
    guards.set_up(connection)
    (found,) = verified()
    assert found.startswith(f"Entry {entry.number} (id {entry.pk}, “signed” decisions.decision {proposal.pk}) was alte")
    client.force_login(bob)
    page = client.get("/decisions/1/")
    assert page.status_code == 200
    assert "this entry of the audit log was altered" in page.content.decode()


@pytest.mark.parametrize("table", ["decisions_signature", "decisions_decision"])
def test_the_database_refuses_to_replace_a_row(proposal: Decision, bob: User, table: str) -> None:
    """SQLite deletes the row there without a trigger of DELETE; PostgreSQL does not know the statement."""
    sign(proposal, bob, Role.ML_LEAD)
    with pytest.raises(DatabaseError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")  # noqa: S608
    assert Signature.objects.count() == 1


def test_the_audit_entry_holds_the_hash_of_the_signature(proposal: Decision, bob: User) -> None:
    sign(proposal, bob, Role.ML_LEAD)
    signature = Signature.objects.get()
    entry = AuditEntry.objects.get(action="signed")
    assert entry.detail["signature_sha256"] == sha256(rfc8785.dumps(signature_document(signature))).hexdigest()
