"""What a decision promises before the run, and that it stays: criterion, test set, forecast, kill criterion."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from playbook.contracts.dataset import Split
from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.models import AuditEntry
from playbook.web.common.permissions import Conflict
from playbook.web.decisions import actions
from playbook.web.decisions.covered import changes_between, covered_document
from playbook.web.decisions.history import void_signatures
from playbook.web.decisions.models import Decision, Signature, Status
from playbook.web.decisions.signing import SignOff
from playbook.web.jobs.actions import launch_job
from playbook.web.usecases.models import UseCase
from tests.web import decided
from tests.web.decisions.conftest import edit, fresh, sign
from tests.web.jobs.ended import succeeded_job
from tests.web.jobs.factories import make_spec

TEST_SET = "a" * 64
MEASURED = {
    "arm": "lora",
    "metric": "exact_match",
    "value": "0.9500",
    "low": "0.8351",
    "high": "0.9862",
    "rows": 40,
    "test_set": TEST_SET,
    "job": 1,
    "report_sha256": "b" * 64,
}
LABELS = {
    "test set of the criterion",
    "forecast probability",
    "forecast value",
    "kill criterion",
    "budget in GPU minutes",
    "owner",
    "measured results",
}
PROMISE: dict[str, Any] = {
    "criterion_test_set": TEST_SET,
    "forecast_probability": Decimal("0.700"),
    "forecast_value": Decimal("0.8500"),
    "kill_criterion": "No better than few-shot after two runs.",
    "budget_gpu_minutes": 90,
}


def test_a_document_without_the_new_fields_is_as_it_was_before_they_existed(draft: Decision) -> None:
    document = covered_document(fresh(edit(draft, draft.created_by, owner=None)))
    assert set(document) == {"decision", "criterion", "checklist", "answers"}
    assert set(document["criterion"]) == {"metric", "arm", "comparator", "threshold", "split"}
    assert not {"owner", "budget_gpu_minutes", "kill_criterion", "measured"} & set(document["decision"])


CHANGES: list[dict[str, Any]] = [
    {"criterion_test_set": TEST_SET},
    {"forecast_probability": Decimal("0.7"), "forecast_value": Decimal("0.85")},
    {"kill_criterion": "No better than few-shot after two runs."},
    {"budget_gpu_minutes": 90},
    {"budget_gpu_minutes": 0},
    {"owner": None},
    {"measured": [MEASURED]},
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_every_part_of_the_promise_is_covered_and_voids_when_changed(
    proposal: Decision, alice: User, bob: User, change: dict[str, Any]
) -> None:
    sign(proposal, bob, Role.ML_LEAD)
    if "measured" in change:
        Decision.objects.update(**change)
    else:
        edit(proposal, alice, **change)
    (void,) = void_signatures(SignOff(fresh(proposal)), [])
    assert {part.label for part in void.changes} <= LABELS
    assert len(void.changes) == len(change)


def test_a_budget_of_nothing_is_kept_and_is_another_than_none(draft: Decision, alice: User) -> None:
    nothing = edit(draft, alice, budget_gpu_minutes=0)
    assert nothing.budget_gpu_minutes == 0
    assert edit(nothing, alice, budget_gpu_minutes=None).budget_gpu_minutes is None


def test_an_argument_that_becomes_its_opposite_is_a_change(draft: Decision, alice: User) -> None:
    said = "It learns the format."
    good = edit(draft, alice, options=[{"title": "Tune", "pros": said, "cons": ""}])
    bad = edit(good, alice, options=[{"title": "Tune", "pros": "", "cons": said}])
    assert bad.options == [{"title": "Tune", "pros": "", "cons": said}]
    entry = AuditEntry.objects.filter(action="edited").latest("pk")
    assert entry.detail["changes"] == [
        {"label": "considered options", "before": f"Tune (good: {said})", "after": f"Tune (bad: {said})"}
    ]


def test_another_report_with_the_same_figures_is_a_change(draft: Decision) -> None:
    before, after = (
        {"decision": {"measured": [{**MEASURED, "report_sha256": digest * 64}]}, "criterion": None} for digest in "ab"
    )
    (change,) = changes_between(before, after)
    assert change.label == "measured results"
    assert change.before != change.after


def test_a_due_date_is_no_part_of_what_is_signed(proposal: Decision, alice: User, bob: User) -> None:
    sign(proposal, bob, Role.ML_LEAD)
    decision = edit(proposal, alice, sign_by=proposal.review_on)
    assert (decision.sign_by, len(SignOff(decision).current)) == (proposal.review_on, 1)


@pytest.mark.parametrize(
    "change",
    [
        {"criterion_threshold": Decimal("0.5")},
        {"criterion_metric": "", "criterion_arm": "", "criterion_threshold": None},
        {"criterion_test_set": "b" * 64},
        {"locked_test_set": "b" * 64},
        {"forecast_probability": Decimal("0.99")},
        {"forecast_value": Decimal("0.1")},
        {"kill_criterion": "Never"},
        {"criterion_locked_at": None},
    ],
)
def test_the_database_refuses_to_change_the_promise_once_a_run_has_started(
    draft: Decision, alice: User, change: dict[str, object]
) -> None:
    edit(draft, alice, **PROMISE)
    Decision.objects.filter(pk=draft.pk).update(status=Status.ACCEPTED, proposed_by=alice)
    actions.lock_criterion(draft, test_set=TEST_SET)
    with pytest.raises(IntegrityError, match="are fixed since the first run started"), transaction.atomic():
        Decision.objects.filter(pk=draft.pk).update(**change)
    Decision.objects.filter(pk=draft.pk).update(title="Only the title")


def test_a_forecast_cannot_be_added_after_the_run_has_started(accepted: Decision, alice: User) -> None:
    actions.lock_criterion(accepted, test_set=TEST_SET)
    with pytest.raises(IntegrityError), transaction.atomic():
        Decision.objects.update(forecast_probability=Decimal("1"), forecast_value=Decimal("1"))


@pytest.mark.parametrize(
    "values",
    [
        {"forecast_probability": Decimal("0.5")},
        {"forecast_probability": Decimal("1.5"), "forecast_value": Decimal("0.5")},
        {
            "forecast_probability": Decimal("0.5"),
            "forecast_value": Decimal("0.5"),
            "criterion_metric": "",
            "criterion_arm": "",
            "criterion_threshold": None,
        },
    ],
)
def test_half_a_forecast_or_one_about_nothing_cannot_be_stored(draft: Decision, values: dict[str, object]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Decision.objects.update(**values)


def test_a_promise_is_not_proposed_without_a_forecast(draft: Decision, alice: User) -> None:
    with pytest.raises(Conflict, match=r"D-1 promises exact match of LoRA on the test set ≥ 0.80 and has no forecast"):
        actions.propose(draft, actor=alice)
    assert fresh(draft).status == Status.DRAFT
    edit(draft, alice, criterion_metric="", criterion_arm="", criterion_threshold=None)
    assert actions.propose(draft, actor=alice).status == Status.PROPOSED


def test_a_proposal_does_not_lose_its_forecast(proposal: Decision, alice: User) -> None:
    with pytest.raises(Conflict, match="has no forecast"):
        edit(proposal, alice, forecast_probability=None, forecast_value=None)
    assert fresh(proposal).forecast_probability == decided.FORECAST["forecast_probability"]


def test_decisions_are_never_deleted(draft: Decision) -> None:
    with pytest.raises(IntegrityError, match="never deleted"), transaction.atomic():
        draft.delete()


def test_a_run_on_another_test_set_is_refused(accepted: Decision, use_case: UseCase, alice: User) -> None:
    launch_job(use_case=use_case, created_by=alice, title="First", spec=make_spec(), decision=accepted)
    assert Decision.objects.get().test_set == make_spec().input(Split.TEST).sha256
    other = blobs.store([b'{"messages": []}\n'])
    spec = make_spec()
    inputs = tuple(
        file.model_copy(update={"sha256": other.sha256}) if file.split == "test" else file for file in spec.inputs
    )
    with pytest.raises(Conflict, match=r"D-1 promises exact match of LoRA on the test set ≥ 0.80 on the test set"):
        launch_job(
            use_case=use_case,
            created_by=alice,
            title="Second",
            spec=spec.model_copy(update={"inputs": inputs}),
            decision=accepted,
        )
    assert use_case.jobs.count() == 1


def test_locking_the_test_set_voids_no_signature(accepted: Decision) -> None:
    before = SignOff(fresh(accepted)).digest
    actions.lock_criterion(accepted, test_set=TEST_SET)
    assert SignOff(fresh(accepted)).digest == before


def test_measured_results_are_taken_from_the_reports(client: Client, use_case: UseCase, alice: User, bob: User) -> None:
    job = succeeded_job(use_case, alice)
    decision = actions.draft_from_assessment(decided.assessed(use_case, alice), created_by=alice)
    tuned = next(row for row in decision.measured if row["arm"] == "lora")
    report = job.artifacts.get(name="report.json")
    assert (tuned["value"], tuned["rows"], tuned["job"]) == ("0.9500", 40, job.pk)
    assert (tuned["report_sha256"], tuned["test_set"]) == (report.sha256, job.run_spec.inputs[-1].sha256)
    client.force_login(alice)
    page = client.get("/decisions/1/").content.decode()
    assert "exact match 95.0 % (83.5–98.6, 40 rows)" in page
    assert f"report sha256 {report.sha256}" in client.get("/decisions/1.md").content.decode()


def test_new_results_are_taken_over_by_a_button_and_void_signatures(
    client: Client, proposal: Decision, use_case: UseCase, alice: User, bob: User
) -> None:
    sign(proposal, bob, Role.ML_LEAD)
    succeeded_job(use_case, alice)
    client.force_login(alice)
    assert client.post("/decisions/1/measure/")["Location"] == "/decisions/1/"
    decision = fresh(proposal)
    assert {row["arm"] for row in decision.measured} == {"zero_shot", "lora"}
    assert SignOff(decision).current == ()
    edition = decision.edition
    client.post("/decisions/1/measure/")
    assert fresh(proposal).edition == edition
    assert Signature.objects.count() == 1


def test_a_tampered_report_is_left_out_and_named(
    client: Client, proposal: Decision, use_case: UseCase, alice: User
) -> None:
    job = succeeded_job(use_case, alice)
    blobs.path_of(job.artifacts.get(name="report.json").sha256).write_bytes(b"{}")
    client.force_login(alice)
    page = client.post("/decisions/1/measure/", follow=True).content.decode()
    assert f"Job {job.pk}: The report was altered on disk" in page
    assert fresh(proposal).measured == []


def test_the_decision_shows_what_its_jobs_have_used_of_the_budget(
    client: Client, accepted: Decision, use_case: UseCase, alice: User
) -> None:
    job = succeeded_job(use_case, alice, decision=accepted)
    client.force_login(alice)
    assert "of the budget" not in client.get("/decisions/1/").content.decode()
    Decision.objects.update(budget_gpu_minutes=90)
    end = timezone.now()
    for minutes, said in ((30, "GPU minutes."), (91, "GPU minutes: the budget is spent.")):
        job.attempts.update(claimed_at=end - timedelta(minutes=minutes), ended_at=end)
        page = client.get("/decisions/1/").content.decode()
        assert f'Used <span class="num">{minutes}</span> of the budget of <span class="num">90</span> {said}' in page
