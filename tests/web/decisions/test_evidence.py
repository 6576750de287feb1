"""Signatures cover the evidence of the answers, by its digests, and the measurement that gave an answer."""

from django.test import Client

from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import add_evidence, remove_evidence
from playbook.web.assessments.evidence import LinkEvidence, digest_of
from playbook.web.decisions.actions import draft_from_assessment, propose
from playbook.web.decisions.covered import covered_document
from playbook.web.decisions.history import entries_of, void_signatures
from playbook.web.decisions.models import Decision
from playbook.web.decisions.signing import SignOff
from playbook.web.jobs.models import Artifact
from playbook.web.usecases.models import UseCase
from tests.web import decided
from tests.web.assessments.filled import measured_by, talked_about
from tests.web.jobs.ended import succeeded_job

PIECE = LinkEvidence(url="https://example.org/minutes", label="Minutes")


def test_evidence_that_comes_after_a_signature_voids_it_and_says_so(use_case: UseCase, alice: User, bob: User) -> None:
    decision = decided.signed(decided.proposed(use_case, alice), bob, Role.ML_LEAD)
    assert len(SignOff(decision).current) == 1
    add_evidence(decision.assessment, question_id="prompting", piece=PIECE, author=alice)
    after = SignOff(Decision.objects.get(pk=decision.pk))
    assert (len(after.current), len(after.void)) == (0, 1)
    assert after.document["answers"]["prompting"]["evidence"] == [digest_of(PIECE)]
    (void,) = void_signatures(after, entries_of(after.decision))
    assert void.by is not None
    assert (void.by.text, void.by.actor) == ("added evidence to an answer of the assessment", alice)
    assert [(change.label, change.after) for change in void.changes] == [
        ("answer to prompting", f"yes, evidence {digest_of(PIECE)[:12]}")
    ]


def test_whoever_signs_is_told_of_a_measurement_that_does_not_stand_any_more(
    client: Client, use_case: UseCase, alice: User, bob: User
) -> None:
    assessment, job = talked_about(use_case, alice, bob), succeeded_job(use_case, alice)
    measured_by(job, assessment, alice)
    decision = draft_from_assessment(assessment, created_by=alice)
    Decision.objects.filter(pk=decision.pk).update(**decided.FORECAST)
    propose(decision, actor=alice)
    client.force_login(bob)
    assert "does not stand any more" not in client.get("/decisions/1/").content.decode()
    Artifact.objects.filter(job=job).delete()
    page = client.get("/decisions/1/").content.decode()
    assert "It rests on a measurement that does not stand any more" in page
    assert f'#fits">Is it fits?</a> The report of job {job.pk} is gone.' in page


def test_removed_evidence_leaves_a_document_of_its_own(use_case: UseCase, alice: User) -> None:
    decision = decided.proposed(use_case, alice)
    before = covered_document(decision)["answers"]["prompting"]
    add_evidence(decision.assessment, question_id="prompting", piece=PIECE, author=alice)
    remove_evidence(decision.assessment, question_id="prompting", digest=digest_of(PIECE), author=alice)
    after = covered_document(Decision.objects.get(pk=decision.pk))["answers"]["prompting"]
    assert before == {"value": "yes", "comment": "", "revision": 1}
    assert after == {"value": "yes", "comment": "", "revision": 3}
