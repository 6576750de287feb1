"""Measuring prompts: on the validation split alone, shown version by version, and on into the counted look."""

import re
from decimal import Decimal

import pytest
from django.test import Client
from django.utils.html import escape
from pytest_django import DjangoAssertNumQueries

from playbook.contracts.dataset import Split
from playbook.contracts.metrics import MetricSettings
from playbook.contracts.prompting import PromptSettings, WrittenExample
from playbook.contracts.report import ArmReport
from playbook.contracts.roles import Role
from playbook.contracts.run_spec import Arm, EvaluationSettings, Metric, OverLength
from playbook.scoring.compare import scores_of
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.permissions import Conflict
from playbook.web.datasets.actions import choose_metric
from playbook.web.datasets.models import Dataset
from playbook.web.decisions.criterion import Criterion
from playbook.web.jobs import actions, measurements
from playbook.web.jobs.models import Job
from playbook.web.jobs.prompt_trials import trials_of
from playbook.web.jobs.test_sets import looks_at
from playbook.web.outcomes.proposals import measured as judged
from playbook.web.prompts.actions import save_version
from playbook.web.prompts.models import Prompt, PromptVersion
from playbook.web.usecases.actions import add_member, create_use_case
from playbook.web.usecases.models import UseCase
from tests.web.decided import accepted
from tests.web.jobs.conftest import Caller
from tests.web.jobs.ended import arm_report
from tests.web.jobs.factories import make_capabilities
from tests.web.jobs.measured import answered
from tests.web.jobs.trials import answered_prompt, hand_over
from tests.web.jobs.trials import launched_prompt as launched
from tests.web.jobs.trials import measured_prompt as measured
from tests.web.prompts.conftest import dataset, prompt

__all__ = ["dataset", "prompt"]

PLAIN = PromptSettings(system="Answer in JSON.")
WITH_EXAMPLE = PromptSettings(examples=(WrittenExample(user="the printer burns", assistant="{}"),))
HTMX = {"HX-Request": "true"}


@pytest.fixture
def versions(prompt: Prompt, alice: User) -> list[PromptVersion]:
    return [save_version(prompt, settings=settings, note="", author=alice) for settings in (PLAIN, WITH_EXAMPLE)]


@pytest.fixture
def offered(db: None) -> None:
    """A worker that has the base model."""
    worker, _ = actions.create_worker(name="gpu-1", created_by=None)
    actions.see_worker(worker, make_capabilities())


@pytest.fixture
def fields(dataset: Dataset, offered: None) -> dict[str, object]:
    return {"version": 1, "dataset": dataset.pk, "base_model": "tiny", "max_new_tokens": 32}


def test_a_trial_is_an_arm_only_job_on_the_validation_split(
    versions: list[PromptVersion], dataset: Dataset, alice: User
) -> None:
    plain, few = (launched(version, dataset, alice).run_spec for version in versions)
    assert (plain.evaluation.arms, few.evaluation.arms) == ((Arm.ZERO_SHOT,), (Arm.FEW_SHOT,))
    for spec, version in ((plain, versions[0]), (few, versions[1])):
        assert (spec.evaluation.split, spec.trains, spec.evaluation.max_new_tokens) == (Split.VALIDATION, False, 32)
        assert (spec.prompt.digest, spec.training.over_length) == (version.digest, OverLength.DROP)
        assert spec.inputs == dataset.latest.inputs()  # type: ignore[union-attr]


def test_the_worker_is_not_even_sent_the_test_split(
    caller: Caller, versions: list[PromptVersion], dataset: Dataset, alice: User
) -> None:
    launched(versions[0], dataset, alice)
    claim = caller.claimed()
    assert [location.name for location in claim.inputs] == ["inputs/train.jsonl", "inputs/validation.jsonl"]
    answer = caller.get(f"/jobs/{claim.job_id}/inputs/test.jsonl", token=claim.job_token)
    assert answer.status_code == 404


def test_a_form_launches_the_trial_and_leads_back_to_the_workbench(
    client: Client, versions: list[PromptVersion], fields: dict[str, object], alice: User
) -> None:
    client.force_login(alice)
    prompt = versions[0].prompt
    answer = client.post(f"/jobs/prompts/{prompt.pk}/", {**fields, "split": "test"})
    assert (answer.status_code, answer["Location"]) == (302, f"/prompts/{prompt.pk}/#measure")
    spec = Job.objects.get().run_spec
    assert (spec.evaluation.split, spec.prompt) == (Split.VALIDATION, PLAIN)
    page = client.get(f"/prompts/{prompt.pk}/").content.decode()
    assert "being measured" in page
    assert 'hx-trigger="every 3s"' in page


def test_htmx_gets_the_changed_part(
    client: Client, versions: list[PromptVersion], fields: dict[str, object], alice: User
) -> None:
    client.force_login(alice)
    url = f"/jobs/prompts/{versions[0].prompt_id}/"
    part = client.post(url, fields, headers=HTMX).content.decode()
    assert 'id="measure"' in part
    assert "<!doctype html>" not in part
    assert "being measured" in part
    refused = client.post(url, fields | {"max_new_tokens": 0}, headers=HTMX)
    assert refused.status_code == 422
    assert "greater than or equal to 1" in refused.content.decode()


def test_polling_stops_when_nothing_is_being_measured(
    client: Client, versions: list[PromptVersion], dataset: Dataset, alice: User
) -> None:
    client.force_login(alice)
    url, headers = f"/jobs/prompts/{versions[0].prompt_id}/", HTMX | {"HX-Target": "trials"}
    assert client.get(url, headers=headers).status_code == 286
    job = launched(versions[0], dataset, alice)
    part = client.get(url, headers=headers)
    assert (part.status_code, 'id="measure"' in part.content.decode()) == (200, False)
    actions.request_cancel(job, actor=alice)
    assert client.get(url, headers=headers).status_code == 286
    assert "no report" in client.get(url).content.decode()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"version": 9}, "not one of the available choices"),
        ({"dataset": 999}, "not one of the available choices"),
        ({"base_model": "unheard-of"}, "not one of the available choices"),
        ({"max_new_tokens": 5000}, "less than or equal to 4096"),
    ],
)
def test_what_cannot_be_measured_says_why(
    client: Client,
    versions: list[PromptVersion],
    fields: dict[str, object],
    alice: User,
    changed: dict[str, object],
    said: str,
) -> None:
    client.force_login(alice)
    answer = client.post(f"/jobs/prompts/{versions[0].prompt_id}/", fields | changed)
    assert answer.status_code == 422
    assert said in answer.content.decode()
    assert Job.objects.count() == 0


def test_files_that_are_gone_are_a_conflict(
    client: Client, versions: list[PromptVersion], fields: dict[str, object], dataset: Dataset, alice: User
) -> None:
    client.force_login(alice)
    assert dataset.latest is not None
    blobs.path_of(dataset.latest.inputs()[1].sha256).unlink()
    answer = client.post(f"/jobs/prompts/{versions[0].prompt_id}/", fields)
    assert answer.status_code == 409
    assert "is not on this site" in answer.content.decode()


def test_measuring_needs_a_writing_role(
    client: Client,
    versions: list[PromptVersion],
    fields: dict[str, object],
    use_case: UseCase,
    alice: User,
    mallory: User,
) -> None:
    url = f"/jobs/prompts/{versions[0].prompt_id}/"
    client.force_login(mallory)
    assert (client.get(url).status_code, client.post(url, fields).status_code) == (404, 404)
    add_member(use_case, user=mallory, role=Role.VIEWER, actor=alice)
    page = client.get(url)
    assert (page.status_code, client.post(url, fields).status_code) == (200, 403)
    assert "<button" not in page.content.decode().partition('id="measure"')[2].partition("</main>")[0]
    assert client.delete(url).status_code == 405
    assert Job.objects.count() == 0


def test_versions_are_laid_beside_each_other_and_the_best_is_marked(
    client: Client, versions: list[PromptVersion], dataset: Dataset, alice: User
) -> None:
    measured(versions[0], dataset, alice, [False, False])
    measured(versions[1], dataset, alice, [True, False])
    (group,) = trials_of(Prompt.objects.get())
    shown = [(trial.version.number, trial.score and trial.score.successes, trial.is_best) for trial in group.trials]
    assert shown == [(2, 1, True), (1, 0, False)]
    assert (group.rows, group.base_model, group.others) == (2, "tiny", 1)
    client.force_login(alice)
    page = client.get(versions[0].prompt.get_absolute_url()).content.decode()
    assert "Version 2: 50 % (9–91). Version 1: 0 % (0–66)." in page
    assert page.count('<span class="badge good">best</span>') == 1
    assert "The best of 2 on the same rows looks a little better than it is" in page


def test_of_two_that_are_equally_right_the_shorter_prompt_is_the_best(
    versions: list[PromptVersion], dataset: Dataset, alice: User
) -> None:
    measured(versions[0], dataset, alice, [True, False], tokens=90)
    measured(versions[1], dataset, alice, [False, True], tokens=40)
    (group,) = trials_of(Prompt.objects.get())
    assert group.best is not None
    assert (group.best.version.number, group.best.prompt_tokens) == (2, 40)


def test_one_alone_is_not_the_best_and_the_newest_measurement_counts(
    versions: list[PromptVersion], dataset: Dataset, alice: User
) -> None:
    measured(versions[0], dataset, alice, [True, True])
    again = measured(versions[0], dataset, alice, [True, False])
    (group,) = trials_of(Prompt.objects.get())
    assert [(trial.job.pk, trial.is_best) for trial in group.trials] == [(again.pk, False)]


def test_answers_are_judged_by_the_datasets_metric(
    client: Client, versions: list[PromptVersion], dataset: Dataset, alice: User
) -> None:
    chosen = MetricSettings(metric=Metric.CHRF, secondary_metrics=(Metric.ROUGE_L, Metric.JSON_VALID), pass_mark=0.5)
    choose_metric(dataset, chosen, actor=alice)
    near = [("THE DOOR IS STUCK", "THE DOOR IS STUCK"), ("THE ROOF", "THE ROOF LEAKS")]
    answered_prompt(versions[0], dataset, alice, [("", "THE DOOR IS STUCK"), ("no", "THE ROOF LEAKS")])
    better = answered_prompt(versions[1], dataset, alice, near)
    assert MetricSettings.model_validate(better.run_spec.evaluation.model_dump(include=set(chosen.model_dump()))) == (
        chosen
    )
    (group,) = trials_of(Prompt.objects.get())
    assert (group.metric, group.secondary) == ("chrF", ("ROUGE-L", "Valid JSON"))
    assert [(trial.version.number, trial.value, trial.is_best) for trial in group.trials] == [
        (2, "75.6 %", True),
        (1, "0 %", False),
    ]
    client.force_login(alice)
    page = client.get(versions[0].prompt.get_absolute_url()).content.decode()
    assert f'<option value="{dataset.pk}" selected>{dataset}, by chrF</option>' in page
    assert "chrF on validation rows, with the 95 % interval." in page
    assert "Exact match" not in page


def test_the_best_by_perplexity_is_the_lowest(versions: list[PromptVersion], dataset: Dataset, alice: User) -> None:
    choose_metric(dataset, MetricSettings(metric=Metric.PERPLEXITY, secondary_metrics=()), actor=alice)
    for version, nats in zip(versions, (2.0, 6.0), strict=True):
        job = launched(version, dataset, alice)
        worker, _ = actions.create_worker(name="gpu-1", created_by=None)
        claim = actions.claim_next_job(worker, make_capabilities())
        assert claim is not None
        settings = job.run_spec.evaluation
        items = tuple(
            answered(row, output="", expected="x", settings=EvaluationSettings(), expected_nats=nats, expected_tokens=2)
            for row in range(2)
        )
        arm = ArmReport(arm=settings.arms[0], items=items, scores=scores_of(items, settings), seconds=1)
        hand_over(job, claim.attempt, arm)
    (group,) = trials_of(Prompt.objects.get())
    assert [(trial.version.number, trial.value, trial.is_best) for trial in group.trials] == [
        (2, "20.1", False),
        (1, "2.72", True),
    ]


def test_trials_by_different_metrics_are_not_compared(
    versions: list[PromptVersion], dataset: Dataset, alice: User
) -> None:
    measured(versions[0], dataset, alice, [True, True])
    choose_metric(dataset, MetricSettings(ignore_case=True), actor=alice)
    measured(versions[1], dataset, alice, [True, False])
    groups = trials_of(Prompt.objects.get())
    assert [[trial.version.number for trial in group.trials] for group in groups] == [[2], [1]]
    assert [group.best for group in groups] == [None, None]


def test_a_trial_that_was_cancelled_on_the_way_is_not_compared(
    client: Client, versions: list[PromptVersion], dataset: Dataset, alice: User
) -> None:
    measured(versions[0], dataset, alice, [True, False])
    job = launched(versions[1], dataset, alice)
    worker, _ = actions.create_worker(name="gpu-1", created_by=None)
    claim = actions.claim_next_job(worker, make_capabilities())
    assert claim is not None
    arm = arm_report(Arm.FEW_SHOT, [True]).model_copy(update={"partial": True})
    hand_over(job, claim.attempt, arm)
    (group,) = trials_of(Prompt.objects.get())
    assert [(trial.version.number, trial.score is None) for trial in group.trials] == [(2, True), (1, False)]
    assert group.best is None
    client.force_login(alice)
    page = client.get(versions[0].prompt.get_absolute_url()).content.decode()
    assert "ended early, not compared" in page


def test_only_like_is_compared_with_like(versions: list[PromptVersion], dataset: Dataset, alice: User) -> None:
    launched(versions[0], dataset, alice)
    launched(versions[1], dataset, alice, base_model="other")
    groups = trials_of(Prompt.objects.get())
    assert [(group.base_model, len(group.trials)) for group in groups] == [("other", 1), ("tiny", 1)]


def test_the_panel_asks_as_often_for_three_trials_as_for_one(
    prompt: Prompt,
    versions: list[PromptVersion],
    dataset: Dataset,
    alice: User,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    versions.append(save_version(prompt, settings=PromptSettings(system="x"), note="", author=alice))
    measured(versions[0], dataset, alice, [True, True])
    fresh = Prompt.objects.get(pk=prompt.pk)
    with django_assert_num_queries(4):
        assert len(trials_of(fresh)[0].trials) == 1
    for version in versions[1:]:
        measured(version, dataset, alice, [True, False])
    fresh = Prompt.objects.get(pk=prompt.pk)
    with django_assert_num_queries(4):
        assert len(trials_of(fresh)[0].trials) == 3


def test_the_way_to_the_test_set_is_the_job_form_filled_in(
    client: Client, versions: list[PromptVersion], dataset: Dataset, alice: User
) -> None:
    measured(versions[1], dataset, alice, [True, True])
    client.force_login(alice)
    page = client.get(versions[1].prompt.get_absolute_url()).content.decode()
    found = re.search(r'href="(/jobs/new/[^"]+)">Measure this prompt on the test set', page)
    assert found is not None
    form = client.get(found[1].replace("&amp;", "&")).content.decode()
    assert f'<option value="{versions[1].pk}" selected>{escape(versions[1])}</option>' in form
    assert re.search(r'name="arms" value="few_shot"[^>]* checked', form)
    assert f'<option value="{dataset.pk}" selected>' in form
    assert 'name="max_new_tokens" value="32"' in form
    assert Job.objects.count() == 1


def test_a_job_takes_the_whole_prompt_of_a_version(
    client: Client, versions: list[PromptVersion], dataset: Dataset, use_case: UseCase, alice: User, offered: None
) -> None:
    client.force_login(alice)
    sent = {
        "title": "The counted look",
        "recipe": "support-tickets-lora",
        "dataset": dataset.pk,
        "prompt_version": versions[1].pk,
        "arms": ["few_shot"],
        "base_model": "tiny",
    }
    answer = client.post(f"/jobs/new/?use_case={use_case.slug}", sent)
    job = Job.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, job.get_absolute_url())
    assert (job.run_spec.prompt.digest, job.run_spec.evaluation.split) == (versions[1].digest, Split.TEST)
    page = client.get(job.get_absolute_url()).content.decode()
    assert f'<a href="{versions[1].get_absolute_url()}">Ticket to four fields v2</a>' in page


def test_a_prompt_of_another_use_case_is_no_choice(
    client: Client, versions: list[PromptVersion], dataset: Dataset, mallory: User
) -> None:
    theirs = create_use_case(name="Theirs", description="", created_by=mallory, members={})
    client.force_login(mallory)
    page = client.get(f"/jobs/new/?use_case={theirs.slug}&prompt_version={versions[0].pk}").content.decode()
    assert "Answer in JSON." not in page
    answer = client.post(
        f"/jobs/new/?use_case={theirs.slug}",
        {"title": "x", "recipe": "support-tickets-lora", "prompt_version": versions[0].pk},
    )
    assert answer.status_code == 422
    assert Job.objects.count() == 0


def test_what_validation_rows_say_is_no_evidence_for_a_decision(
    versions: list[PromptVersion], dataset: Dataset, use_case: UseCase, alice: User
) -> None:
    measured(versions[0], dataset, alice, [True, True])
    assert measurements.of_use_case(use_case.pk) == ([], [])


def test_no_trial_counts_as_a_look_at_the_test_set(
    versions: list[PromptVersion], dataset: Dataset, alice: User
) -> None:
    job = measured(versions[0], dataset, alice, [True, True])
    assert dataset.latest is not None
    assert (job.test_set_sha256, looks_at(dataset.latest.test_set_sha256, rows=1, user=alice).reuse.looks) == ("", 0)


def test_a_decision_cannot_be_judged_by_validation_rows(
    versions: list[PromptVersion], dataset: Dataset, use_case: UseCase, alice: User, bob: User, charlie: User
) -> None:
    job = measured(versions[0], dataset, alice, [True, True])
    decision = accepted(use_case, author=alice, ml_lead=bob, product_owner=charlie)
    criterion = Criterion(metric=Metric.EXACT_MATCH, arm=Arm.ZERO_SHOT, threshold=Decimal("0.5"))
    with pytest.raises(Conflict, match="measured on validation rows"):
        judged(job, decision, criterion)
