"""Decisions: who may change what when, and what a change does to the signatures under it."""

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from hashlib import sha256

import pytest
import rfc8785
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import answer_question, start_assessment
from playbook.web.assessments.models import Assessment
from playbook.web.common.content import library
from playbook.web.common.models import AuditEntry
from playbook.web.common.permissions import Conflict, RoleRequired
from playbook.web.decisions import actions
from playbook.web.decisions.covered import Change, Document, changes_between, covered_document
from playbook.web.decisions.history import entries_of, void_signatures
from playbook.web.decisions.models import Decision, Signature, Status, Verdict
from playbook.web.decisions.signatures import sign_decision
from playbook.web.decisions.signing import Capacity, SignOff, waiting_for
from playbook.web.usecases.actions import add_member, create_use_case
from playbook.web.usecases.models import UseCase
from tests.waiting import DEADLINE_SECONDS
from tests.web import decided
from tests.web.decisions.conftest import content_of, edit, fresh, sign


def status_of(decision: Decision) -> str:
    return Decision.objects.get(pk=decision.pk).status


def answer(decision: Decision, author: User, question: str, value: str) -> None:
    answer_question(decision.assessment, question_id=question, value=value, comment="", seen_revision=1, author=author)


def test_a_draft_is_filled_from_the_assessment(draft: Decision, use_case: UseCase, alice: User) -> None:
    assert (draft.number, draft.status, draft.created_by, draft.use_case) == (1, Status.DRAFT, alice, use_case)
    assert draft.title == "Support ticket triage: fine-tune, and measure it against the prompt"
    assert draft.chosen_outcome == "tune"
    assert draft.criterion is not None
    assert draft.criterion.text == "exact match of LoRA on the test set ≥ 0.80"
    assert draft.review_on == timezone.localdate() + timedelta(days=90)
    assert [option["title"] for option in draft.options][3] == "Fine-tune, and measure it against the prompt"
    assert "- Prompting was explored and measured" in draft.context


def test_an_outcome_without_a_run_promises_nothing_measurable(use_case: UseCase, alice: User) -> None:
    checklist = library().checklists["should-we-fine-tune"]
    assessment = start_assessment(use_case=use_case, checklist=checklist, article="", created_by=alice)
    answer_question(assessment, question_id="prompting", value="no", comment="", seen_revision=0, author=alice)
    decision = actions.draft_from_assessment(assessment, created_by=alice)
    assert (decision.chosen_outcome, decision.criterion) == ("improve_prompt", None)


def test_an_open_assessment_is_not_drafted_from(use_case: UseCase, alice: User) -> None:
    checklist = library().checklists["should-we-fine-tune"]
    assessment = start_assessment(use_case=use_case, checklist=checklist, article="", created_by=alice)
    with pytest.raises(Conflict, match="the next is “Have we fully explored prompting"):
        actions.draft_from_assessment(assessment, created_by=alice)


def test_numbers_count_up_over_all_use_cases(draft: Decision, alice: User) -> None:
    other = create_use_case(name="Other", description="", created_by=alice, members={})
    assert decided.proposed(other, alice).number == 2


def test_half_a_criterion_and_an_unknown_status_cannot_be_stored(draft: Decision) -> None:
    for values in ({"criterion_arm": ""}, {"status": "maybe"}, {"criterion_threshold": Decimal("1.5")}):
        with pytest.raises(IntegrityError), transaction.atomic():
            Decision.objects.filter(pk=draft.pk).update(**values)


def test_the_digest_is_the_sha256_of_the_canonical_document(proposal: Decision) -> None:
    document = covered_document(fresh(proposal))
    assert SignOff(fresh(proposal)).digest == sha256(rfc8785.dumps(document)).hexdigest()
    assert document["criterion"] == {
        "metric": "exact_match",
        "arm": "lora",
        "comparator": ">=",
        "threshold": "0.8000",
        "split": "test",
    }
    assert document["answers"]["prompting"] == {"value": "yes", "comment": "", "revision": 1}
    assert document["checklist"]["slug"] == "should-we-fine-tune"


def test_two_signatures_in_the_required_roles_accept_and_lock(
    proposal: Decision, bob: User, charlie: User, alice: User
) -> None:
    decision = sign(proposal, bob, Role.ML_LEAD)
    assert decision.status == Status.PROPOSED
    decision = sign(proposal, charlie, Role.PRODUCT_OWNER)
    assert decision.status == Status.ACCEPTED
    assert decision.decided_at is not None
    assert Assessment.objects.get(pk=decision.assessment_id).is_locked
    first = Signature.objects.first()
    assert first is not None
    assert (first.printed_name, first.role, first.verdict) == ("Bob Okafor", "ml_lead", "approve")
    assert first.meaning == "I approve this decision as ML lead: I have read what it covers and stand by it."
    assert first.covered == covered_document(decision)
    assert SignOff(decision).void == ()


def test_nobody_signs_their_own_proposal(proposal: Decision, use_case: UseCase, alice: User) -> None:
    add_member(use_case, user=alice, role=Role.ML_LEAD, actor=alice)
    with pytest.raises(Conflict, match="You proposed this decision"):
        sign(proposal, alice, Role.ML_LEAD)


def test_nobody_signs_twice_even_in_another_role(proposal: Decision, use_case: UseCase, alice: User, bob: User) -> None:
    add_member(use_case, user=bob, role=Role.PRODUCT_OWNER, actor=alice)
    sign(proposal, bob, Role.ML_LEAD)
    with pytest.raises(Conflict, match="Nobody signs twice"):
        sign(proposal, bob, Role.PRODUCT_OWNER)
    assert status_of(proposal) == Status.PROPOSED


def test_a_role_that_is_not_held_or_not_asked_signs_nothing(
    proposal: Decision, use_case: UseCase, alice: User, bob: User
) -> None:
    with pytest.raises(RoleRequired):
        sign(proposal, bob, Role.PRODUCT_OWNER)
    add_member(use_case, user=bob, role=Role.DATA_STEWARD, actor=alice)
    with pytest.raises(Conflict, match="does not ask the Data steward to sign"):
        sign(proposal, bob, Role.DATA_STEWARD)


def test_a_draft_is_not_signed(draft: Decision, bob: User) -> None:
    with pytest.raises(Conflict, match="D-1 is draft, not proposed"):
        sign(draft, bob, Role.ML_LEAD)


def test_a_digest_that_is_no_longer_current_is_refused(proposal: Decision, alice: User, bob: User) -> None:
    seen = SignOff(fresh(proposal)).digest
    edit(proposal, alice, criterion_threshold=Decimal("0.75"))
    with pytest.raises(actions.StaleDigest):
        sign_decision(proposal, user=bob, role=Role.ML_LEAD, verdict=Verdict.APPROVE, reason="", seen_digest=seen)
    assert Signature.objects.count() == 0


def test_a_change_voids_the_signature_says_what_changed_and_asks_again(
    proposal: Decision, alice: User, bob: User, charlie: User
) -> None:
    sign(proposal, bob, Role.ML_LEAD)
    decision = edit(proposal, alice, criterion_threshold=Decimal("0.75"))
    sign_off = SignOff(decision)
    (void,) = void_signatures(sign_off, entries_of(decision))
    assert void.changes == (Change("threshold", "0.80", "0.75"),)
    assert void.by is not None
    assert (void.by.actor, void.by.text, void.by.changes) == (alice, "changed the decision", void.changes)
    assert sign_off.current == ()
    assert [each.role for each in sign_off.open_capacities(bob)] == [Role.ML_LEAD]
    sign(proposal, charlie, Role.PRODUCT_OWNER)
    assert status_of(proposal) == Status.PROPOSED
    sign(proposal, bob, Role.ML_LEAD)
    assert status_of(proposal) == Status.ACCEPTED
    assert Signature.objects.count() == 3


def test_a_change_taken_back_does_not_bring_a_signature_back(
    proposal: Decision, alice: User, bob: User, charlie: User
) -> None:
    sign(proposal, bob, Role.ML_LEAD)
    edit(proposal, alice, title="Other")
    decision = edit(proposal, alice, title=proposal.title)
    assert (SignOff(decision).current, [each.role for each in SignOff(decision).open_capacities(bob)]) == (
        (),
        [Role.ML_LEAD],
    )
    sign(proposal, bob, Role.ML_LEAD)
    answer(proposal, charlie, "maintain", "unknown")
    answer_question(
        proposal.assessment, question_id="maintain", value="yes", comment="", seen_revision=2, author=charlie
    )
    decision = fresh(proposal)
    assert SignOff(decision).current == ()
    assert [void.changes for void in void_signatures(SignOff(decision), entries_of(decision))] == [(), ()]


def test_who_changes_a_proposal_does_not_sign_it(proposal: Decision, alice: User, bob: User) -> None:
    assert edit(proposal, bob, criterion_threshold=Decimal("0.10")).proposed_by == bob
    with pytest.raises(Conflict, match="You proposed this decision"):
        sign(proposal, bob, Role.ML_LEAD)
    assert waiting_for(bob) == []


def test_who_proposed_it_does_not_sign_it_after_somebody_elses_edit(
    proposal: Decision, use_case: UseCase, alice: User, bob: User, charlie: User
) -> None:
    add_member(use_case, user=alice, role=Role.ML_LEAD, actor=alice)
    answer(proposal, charlie, "maintain", "unknown")
    edited = edit(proposal, bob, title="One comma, more")
    for writer, role in ((alice, Role.ML_LEAD), (charlie, Role.PRODUCT_OWNER)):
        with pytest.raises(Conflict, match="proposed this or changed it since, and nobody signs what they wrote"):
            sign(edited, writer, role)
        assert waiting_for(writer) == []


def test_a_changed_answer_voids_too(proposal: Decision, bob: User, charlie: User) -> None:
    sign(proposal, bob, Role.ML_LEAD)
    answer(proposal, charlie, "maintain", "unknown")
    decision = fresh(proposal)
    (void,) = void_signatures(SignOff(decision), entries_of(decision))
    assert void.changes == (Change("answer to maintain", "yes", "unknown"),)
    assert void.by is not None
    assert (void.by.actor, void.by.text) == (charlie, "changed an answer of the assessment")


def test_a_signature_does_not_outlive_its_proposal(proposal: Decision, alice: User, bob: User) -> None:
    sign(proposal, bob, Role.ML_LEAD)
    actions.withdraw(proposal, actor=alice)
    actions.propose(proposal, actor=alice)
    decision = fresh(proposal)
    (void,) = void_signatures(SignOff(decision), entries_of(decision))
    assert void.by is not None
    assert (void.changes, void.by.text) == ((), "withdrew the proposal")
    assert [each.role for each in SignOff(decision).open_capacities(bob)] == [Role.ML_LEAD]


def test_a_rejection_needs_a_reason_and_ends_the_proposal(proposal: Decision, bob: User, charlie: User) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        sign(proposal, bob, Role.ML_LEAD, Verdict.REJECT)
    decision = sign(proposal, bob, Role.ML_LEAD, Verdict.REJECT, "Too few rows.")
    assert decision.status == Status.REJECTED
    with pytest.raises(Conflict, match="D-1 is rejected, not proposed"):
        sign(proposal, charlie, Role.PRODUCT_OWNER)
    assert not Assessment.objects.get(pk=decision.assessment_id).is_locked


def test_an_accepted_decision_is_edited_only_after_reopening(accepted: Decision, alice: User) -> None:
    with pytest.raises(Conflict, match="D-1 is accepted and cannot be edited; reopen it first"):
        edit(accepted, alice, title="Other")
    with pytest.raises(Conflict, match="they are locked"):
        answer(accepted, alice, "maintain", "no")
    actions.reopen(accepted, reason="The threshold is too low.", actor=alice)
    assert edit(accepted, alice, title="Other").title == "Other"
    answer(accepted, alice, "maintain", "unknown")
    assert SignOff(fresh(accepted)).current == ()


def test_the_criterion_never_changes_once_locked(accepted: Decision, alice: User) -> None:
    actions.lock_criterion(accepted, test_set="a" * 64)
    actions.lock_criterion(accepted, test_set="a" * 64)
    assert AuditEntry.objects.filter(action="locked criterion").count() == 1
    with pytest.raises(Conflict, match="A run has started under this decision"):
        actions.reopen(accepted, reason="x", actor=alice)
    Decision.objects.filter(pk=accepted.pk).update(status=Status.DRAFT)
    with pytest.raises(Conflict, match="The criterion is locked"):
        edit(accepted, alice, criterion_threshold=Decimal("0.5"))
    assert edit(accepted, alice, title="Only the title").criterion == accepted.criterion


def test_only_an_accepted_decision_locks_its_criterion(proposal: Decision) -> None:
    with pytest.raises(Conflict, match="D-1 is not accepted, so no run may start"):
        actions.lock_criterion(proposal, test_set="a" * 64)


def test_an_edit_of_a_form_that_is_out_of_date_is_refused(draft: Decision, alice: User, bob: User) -> None:
    seen = SignOff(fresh(draft)).digest
    edit(draft, bob, title="From Bob")
    with pytest.raises(actions.StaleDigest):
        actions.edit_decision(draft, content=content_of(draft, title="From Alice"), seen_digest=seen, actor=alice)
    assert Decision.objects.get().title == "From Bob"


def test_an_edit_that_changes_nothing_leaves_no_row(draft: Decision, alice: User) -> None:
    before = AuditEntry.objects.count()
    edit(draft, alice, criterion_threshold=Decimal("0.8"))
    assert AuditEntry.objects.count() == before


def test_a_decision_is_superseded_by_an_accepted_one_of_its_use_case(
    accepted: Decision, use_case: UseCase, alice: User, bob: User, charlie: User
) -> None:
    proposal = decided.proposed(use_case, alice)
    with pytest.raises(Conflict, match="D-2 cannot supersede D-1"):
        actions.supersede(accepted, by=proposal, actor=alice)
    newer = decided.accepted(use_case, author=alice, ml_lead=bob, product_owner=charlie)
    actions.supersede(accepted, by=newer, actor=alice)
    old = fresh(accepted)
    assert (old.status, old.superseded_by) == (Status.SUPERSEDED, newer)
    with pytest.raises(Conflict, match="D-1 is superseded; it cannot become deprecated"):
        actions.deprecate(accepted, reason="x", actor=alice)


def test_two_decisions_do_not_replace_each_other(
    accepted: Decision, use_case: UseCase, alice: User, bob: User, charlie: User
) -> None:
    newer = decided.accepted(use_case, author=alice, ml_lead=bob, product_owner=charlie)
    seen = Decision.objects.get(pk=accepted.pk)
    actions.supersede(accepted, by=newer, actor=alice)
    with pytest.raises(Conflict, match="D-1 cannot supersede D-2"):
        actions.supersede(newer, by=seen, actor=bob)


def test_a_decision_is_retired_with_a_reason(accepted: Decision, alice: User) -> None:
    actions.deprecate(accepted, reason="The queue is gone.", actor=alice)
    assert status_of(accepted) == Status.DEPRECATED


#: What may be done in each status; everything else is refused.
LEGAL = {
    Status.DRAFT: {"edit", "measure", "propose"},
    Status.PROPOSED: {"edit", "measure", "withdraw", "sign"},
    Status.ACCEPTED: {"reopen", "supersede", "deprecate", "lock"},
    Status.REJECTED: {"reopen"},
    Status.DEPRECATED: set[str](),
    Status.SUPERSEDED: set[str](),
}


@pytest.mark.parametrize("status", Status)
def test_each_status_allows_its_own_changes_and_no_other(
    proposal: Decision, use_case: UseCase, alice: User, bob: User, charlie: User, status: Status
) -> None:
    newer = decided.accepted(use_case, author=alice, ml_lead=bob, product_owner=charlie)
    Decision.objects.filter(pk=proposal.pk).update(status=status)
    decision = fresh(proposal)
    changes: dict[str, Callable[[], object]] = {
        "edit": lambda: edit(decision, alice, title="Other"),
        "measure": lambda: actions.take_measurements(decision, actor=alice),
        "propose": lambda: actions.propose(decision, actor=alice),
        "withdraw": lambda: actions.withdraw(decision, actor=alice),
        "sign": lambda: sign(decision, bob, Role.ML_LEAD),
        "reopen": lambda: actions.reopen(decision, reason="x", actor=alice),
        "supersede": lambda: actions.supersede(decision, by=newer, actor=alice),
        "deprecate": lambda: actions.deprecate(decision, reason="x", actor=alice),
        "lock": lambda: actions.lock_criterion(decision, test_set="a" * 64),
    }
    done = set()
    for name, change in changes.items():
        with suppress(Conflict), transaction.atomic():
            change()
            done.add(name)
            transaction.set_rollback(True)
    assert done == LEGAL[status]


def test_what_waits_for_whom(proposal: Decision, alice: User, bob: User, charlie: User, mallory: User) -> None:
    assert [(row.decision, row.capacities) for row in waiting_for(bob)] == [(proposal, (Capacity(Role.ML_LEAD),))]
    sign(proposal, bob, Role.ML_LEAD)
    assert [waiting_for(user) for user in (alice, bob, mallory)] == [[], [], []]
    assert len(waiting_for(charlie)) == 1


def test_changes_name_fields_in_words() -> None:
    empty: Document = {"decision": {}, "criterion": None, "checklist": {}, "answers": {}}
    after = {**empty, "criterion": {"threshold": "0.8250"}, "answers": {"a_b": {"value": "no", "comment": "why"}}}
    assert changes_between(empty, after) == (
        Change("threshold", "", "0.825"),
        Change("answer to a b", "", "no (why)"),
    )


@pytest.mark.django_db(transaction=True)
def test_a_signature_replayed_at_the_same_moment_counts_once(use_case: UseCase, alice: User, bob: User) -> None:
    decision = decided.proposed(use_case, alice)
    digest = SignOff(fresh(decision)).digest
    together, refused = threading.Barrier(2), []

    def replay() -> None:
        together.wait(timeout=DEADLINE_SECONDS)
        try:
            sign_decision(decision, user=bob, role=Role.ML_LEAD, verdict=Verdict.APPROVE, reason="", seen_digest=digest)
        except Conflict as conflict:
            refused.append(str(conflict))
        finally:
            connection.close()

    threads = [threading.Thread(target=replay) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=DEADLINE_SECONDS)
    assert refused == ["You have signed this decision already. Nobody signs twice in one decision."]
    assert Signature.objects.count() == 1
