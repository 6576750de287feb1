"""A decision whose assessment was moved to a newer version of its checklist: what it says, what it asks, what holds."""

import re
from pathlib import Path

import pytest
from django.test import Client

from playbook.contracts.roles import Role
from playbook.library.definition import Checklist
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import answer_question
from playbook.web.assessments.models import Assessment
from playbook.web.assessments.version_actions import move_to_version
from playbook.web.common.content import library
from playbook.web.common.permissions import Conflict
from playbook.web.decisions import actions
from playbook.web.decisions.bundle import bundle_of
from playbook.web.decisions.markdown import as_markdown
from playbook.web.decisions.models import Decision, Signature, Status
from playbook.web.decisions.signing import SignOff
from playbook.web.decisions.verify_bundle import problems_of, read_bundle, sha256_of
from tests.web.decided import FORECAST
from tests.web.decisions.conftest import edit, fresh, sign

NOW = "should-we-fine-tune"
REWORDED = "Does somebody stay to keep the tuned model alive?"


def newer(*, without: str = "") -> Checklist:
    """The checklist of `decided`, one version on: a question in other words, and maybe one outcome under a new id."""
    fields = library().checklists[NOW].model_dump(mode="json")
    fields["version"] += 1
    next(one for one in fields["questions"] if one["id"] == "maintain")["text"] = REWORDED
    for outcome in fields["outcomes"]:
        outcome["id"] += "_anew" if outcome["id"] == without else ""
    return Checklist.model_validate(fields)


def moved(decision: Decision, actor: User, checklist: Checklist | None = None) -> Decision:
    new = checklist or newer()
    move_to_version(decision.assessment, checklist=new, seen_digest=new.digest, actor=actor)
    return fresh(decision)


def look_again(decision: Decision, author: User) -> None:
    seen = decision.assessment.answers.filter(question_id="maintain").count()
    answer_question(
        decision.assessment, question_id="maintain", value="yes", comment="", seen_revision=seen, author=author
    )


def test_a_draft_goes_along_and_says_so_until_somebody_writes_it_anew(
    client: Client, draft: Decision, alice: User
) -> None:
    before = draft.assessment.checklist_version
    client.force_login(alice)
    assert "after this draft was written" not in client.get("/decisions/1/").content.decode()
    decision = moved(draft, alice)
    page = client.get("/decisions/1/").content.decode()
    assert decision.assessment.checklist_version == before + 1
    assert "moved the assessment to another version of its checklist" in page
    assert f"The assessment moved to version {before + 1} of its checklist after this draft was written" in page
    asked = f'<a href="{decision.assessment.get_absolute_url()}#maintain">{REWORDED}</a>'
    assert asked in page
    assert f"checklist version <del>{before}</del> → <ins>{before + 1}</ins>" in page
    assert "answers to look at again <del>nothing</del> → <ins>maintain</ins>" in page
    edit(decision, alice, title="Written anew")
    page = client.get("/decisions/1/").content.decode()
    assert "after this draft was written" not in page
    assert "moved the assessment to another version of its checklist" in page
    assert asked in page
    look_again(decision, alice)
    assert asked not in client.get("/decisions/1/").content.decode()


def test_a_proposal_holds_the_version_until_it_is_withdrawn(proposal: Decision, alice: User) -> None:
    with pytest.raises(Conflict, match="D-1 is proposed: people sign what this version asks"):
        moved(proposal, alice)
    assert Assessment.objects.get().checklist_digest == library().checklists[NOW].digest
    actions.withdraw(proposal, actor=alice)
    assert moved(proposal, alice).assessment.checklist_digest == newer().digest


def test_an_accepted_decision_holds_the_version(accepted: Decision, alice: User) -> None:
    with pytest.raises(Conflict, match="they are locked"):
        moved(accepted, alice)
    assert Assessment.objects.get().checklist_digest == library().checklists[NOW].digest


def test_nothing_is_proposed_while_an_answer_waits_for_a_second_look(
    proposal: Decision, alice: User, bob: User
) -> None:
    actions.withdraw(proposal, actor=alice)
    decision = moved(proposal, alice)
    with pytest.raises(Conflict, match=f"Look at them again in the assessment.*“{re.escape(REWORDED)}”"):
        actions.propose(decision, actor=alice)
    look_again(decision, bob)
    assert actions.propose(fresh(decision), actor=alice).status == Status.PROPOSED


def test_what_was_signed_stays_verifiable_after_the_move(
    accepted: Decision, alice: User, bob: User, charlie: User, tmp_path: Path
) -> None:
    actions.reopen(accepted, reason="There is a newer checklist.", actor=alice)
    decision = moved(accepted, alice)
    look_again(decision, bob)
    actions.propose(fresh(decision), actor=alice)
    sign(decision, bob, Role.ML_LEAD)
    decision = sign(decision, charlie, Role.PRODUCT_OWNER)
    sign_off = SignOff(decision)
    versions = {row.pk: row.covered["checklist"]["version"] for row in Signature.objects.all()}
    old, new = library().checklists[NOW].version, newer().version
    assert [versions[row.pk] for row in sign_off.current] == [new, new]
    assert [versions[row.pk] for row in sign_off.void] == [old, old]
    assert all(sha256_of(row.covered) == row.digest for row in Signature.objects.all())
    assert verified(decision, tmp_path, alice) == []


def test_a_draft_that_moved_exports_a_bundle_that_verifies(draft: Decision, alice: User, tmp_path: Path) -> None:
    assert verified(moved(draft, alice), tmp_path, alice) == []


def test_an_option_that_the_new_version_lacks_is_chosen_anew(client: Client, draft: Decision, alice: User) -> None:
    Decision.objects.filter(pk=draft.pk).update(**FORECAST)
    decision = moved(draft, alice, newer(without="tune"))
    look_again(decision, alice)
    client.force_login(alice)
    page = client.get("/decisions/1/").content.decode()
    assert "which version 3 of the checklist does not have" in page
    assert 'Chosen option: "tune"' in as_markdown(SignOff(decision))
    with pytest.raises(Conflict, match="D-1 chooses “tune”, which version 3 of the checklist does not have"):
        actions.propose(decision, actor=alice)
    form = client.get("/decisions/1/edit/").content.decode()
    assert '<option value="">Choose anew</option>' in form
    edit(decision, alice, chosen_outcome="tune_anew")
    assert "Choose anew" not in client.get("/decisions/1/edit/").content.decode()
    assert actions.propose(fresh(decision), actor=alice).status == Status.PROPOSED


def test_answers_of_a_retired_decision_stay_closed_when_another_is_reopened(
    accepted: Decision, alice: User, bob: User, charlie: User
) -> None:
    """Both were accepted on the same answers; the signatures under the retired one still cover them."""
    actions.reopen(accepted, reason="Once more.", actor=alice)
    second = actions.draft_from_assessment(accepted.assessment, created_by=alice)
    Decision.objects.filter(pk=second.pk).update(**FORECAST)
    for decision in (accepted, second):
        actions.propose(fresh(decision), actor=alice)
    for decision in (accepted, second):
        sign(decision, bob, Role.ML_LEAD)
        sign(decision, charlie, Role.PRODUCT_OWNER)
    actions.deprecate(fresh(accepted), reason="Nobody follows it.", actor=alice)
    actions.reopen(fresh(second), reason="Once more.", actor=alice)
    assert Assessment.objects.get().is_locked
    assert len(SignOff(fresh(accepted)).current) == 2


def verified(decision: Decision, folder: Path, reader: User) -> list[str]:
    (folder / "D.zip").write_bytes(bundle_of(SignOff(decision), exported_by=reader))
    return list(problems_of(read_bundle(folder / "D.zip")))
