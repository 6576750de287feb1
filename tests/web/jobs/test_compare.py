"""Jobs beside each other: curves, differences, scores; only those that one may see."""

import doctest

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from playbook.contracts.dataset import Split
from playbook.contracts.run_spec import Arm
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.jobs import actions, compare
from playbook.web.jobs.models import Job
from playbook.web.usecases.actions import create_use_case
from playbook.web.usecases.models import UseCase
from tests.web.jobs.announced import metric
from tests.web.jobs.busy import apart_jobs
from tests.web.jobs.ended import claimed_job, finished_with, send_events, succeeded_job
from tests.web.jobs.factories import asking_for, make_capabilities, make_job
from tests.web.jobs.measured import five_arm_job, measured_arm, measured_report, measured_spec


def test_the_examples_in_the_module_hold() -> None:
    assert doctest.testmod(compare).failed == 0


def test_curves_settings_and_scores_stand_beside_each_other(client: Client, use_case: UseCase, alice: User) -> None:
    first, second = (succeeded_job(use_case, alice) for _ in range(2))
    Job.objects.filter(pk=second.pk).update(spec={**second.spec, "seed": 9})
    client.force_login(alice)
    page = client.get(f"/jobs/compare/?jobs={first.pk},{second.pk}").content.decode()
    assert f"Job {first.pk}: from 1.25 at 1 to 0.5 at 2. Job {second.pk}: from 1.25" in page
    assert '<mark class="changed">9<span class="visually-hidden"> (differs)</span></mark>' in page
    assert page.count('<mark class="changed">') == 1
    assert f"Job {second.pk} · LoRA: 95 % (83–99)" in page
    assert "is left out" not in page


def test_a_long_value_is_folded_and_whole_behind_it(client: Client, use_case: UseCase, alice: User) -> None:
    """Ten jobs with a system prompt each made a table of many screens."""
    prompt = "You sort tickets with great care. " * 30
    first, second = (make_job(use_case, alice) for _ in range(2))
    Job.objects.filter(pk=second.pk).update(spec={**second.spec, "prompt": {**second.spec["prompt"], "system": prompt}})
    client.force_login(alice)
    page = client.get(f"/jobs/compare/?jobs={first.pk},{second.pk}").content.decode()
    folded = f'<details><summary><mark class="changed">{prompt[:79]}…'
    assert (page.count("<details><summary><mark"), folded in page) == (1, True)
    assert f'<p class="nested">{prompt}</p></details>' in page


def test_a_job_measured_on_other_rows_is_refused_and_the_reason_is_said(
    client: Client, use_case: UseCase, alice: User
) -> None:
    first, same = (five_arm_job(use_case, alice) for _ in range(2))
    spec = measured_spec()
    test = next(file for file in spec.inputs if file.split == Split.TEST)
    other = test.model_copy(update={"sha256": spec.input(Split.TRAIN).sha256})
    spec = spec.model_copy(update={"inputs": tuple(other if file is test else file for file in spec.inputs)})
    spec = asking_for(spec, Arm.ZERO_SHOT, Arm.LORA)
    report = measured_report(spec, (measured_arm(Arm.ZERO_SHOT), measured_arm(Arm.LORA)))
    odd = finished_with(claimed_job(use_case, alice, spec=spec), report)
    client.force_login(alice)
    page = client.get(f"/jobs/compare/?jobs={first.pk},{odd.pk},{same.pk}").content.decode()
    assert f"Job {odd.pk} is left out. Job {odd.pk} was measured on another test set than Job {first.pk}" in page
    assert f"Job {same.pk} · RAG+LoRA" in page
    assert f"Job {odd.pk} · LoRA" not in page


def test_a_job_judged_by_another_metric_is_refused(client: Client, use_case: UseCase, alice: User) -> None:
    first, second = five_arm_job(use_case, alice), succeeded_job(use_case, alice)
    client.force_login(alice)
    page = client.get(f"/jobs/compare/?jobs={first.pk},{second.pk}").content.decode()
    assert f"Job {second.pk} was judged otherwise than Job {first.pk}" in page
    assert "exact match against label accuracy" in page


def test_arms_of_several_jobs_share_one_table_and_one_verdict(client: Client, use_case: UseCase, alice: User) -> None:
    jobs = [five_arm_job(use_case, alice) for _ in range(2)]
    client.force_login(alice)
    page = client.get("/jobs/compare/", {"jobs": [job.pk for job in jobs]}).content.decode()
    assert f"On 60 held-out rows Job {jobs[0].pk} · LoRA is right on 93 % (84–97)" in page
    assert page.count("data-arm=") == 10
    assert page.count("best prompt</span>") == 1
    assert f"<li>Job {jobs[1].pk} · LoRA against Job {jobs[0].pk} · LoRA: 0 points" in page


def test_costs_of_jobs_with_other_prices_are_left_out_and_the_reason_is_said(
    client: Client, use_case: UseCase, alice: User
) -> None:
    arms = (measured_arm(Arm.ZERO_SHOT), measured_arm(Arm.LORA))
    specs = [asking_for(measured_spec(hour_rate=rate), Arm.ZERO_SHOT, Arm.LORA) for rate in (2.0, 3.0)]
    jobs = [finished_with(claimed_job(use_case, alice, spec=spec), measured_report(spec, arms)) for spec in specs]
    client.force_login(alice)
    page = client.get("/jobs/compare/", {"jobs": [job.pk for job in jobs]}).content.decode()
    assert "Time of the machine stands where costs would: an hour of it had another price in each job." in page
    assert "PLAYBOOK_GPU_HOUR_RATE" not in page


def test_jobs_without_a_report_say_so(client: Client, use_case: UseCase, alice: User) -> None:
    first, second = (make_job(use_case, alice) for _ in range(2))
    Job.objects.filter(pk=second.pk).update(test_set_sha256="0" * 64)
    client.force_login(alice)
    page = client.get(f"/jobs/compare/?jobs={first.pk}&jobs={second.pk}").content.decode()
    assert f"There are no scores to compare. Job {first.pk} has no report yet." in page
    assert f"Job {second.pk} has no report yet, and another test set than job {first.pk}." in page
    assert "None of these jobs has a curve yet." in page


def test_the_loss_of_a_job_that_diverged_leaves_that_of_another_readable(
    client: Client, use_case: UseCase, alice: User
) -> None:
    """Both lay on one axis from zero to the highest loss, the sound one as a line along the foot."""
    jobs = apart_jobs(use_case, alice)
    client.force_login(alice)
    page = client.get("/jobs/compare/", {"jobs": [job.pk for job in jobs]}).content.decode()
    assert page.count("data-log>") == page.count(">logarithmic</text>") == 1
    assert page.count(">The axis is logarithmic, so that lines far apart can all be read.</p>") == 1
    alone = client.get("/jobs/compare/", {"jobs": jobs[0].pk}).content.decode()
    assert "logarithmic" not in alone


def test_a_strangers_job_is_left_out_and_counted(client: Client, use_case: UseCase, alice: User, mallory: User) -> None:
    own = make_job(use_case, alice)
    other = create_use_case(name="Other", description="", created_by=mallory, members={})
    foreign = make_job(other, mallory)
    Job.objects.filter(pk=foreign.pk).update(title="Secret plan")
    client.force_login(alice)
    page = client.get(f"/jobs/compare/?jobs={own.pk},{foreign.pk},999").content.decode()
    assert "2 of the jobs in the address are not there, or not yours to see." in page
    assert "Secret plan" not in page


@pytest.mark.parametrize("query", ["", "?jobs=", "?jobs=x,,-1", "?jobs=" + "9" * 30, "?jobs=" + ",".join("123456789")])
def test_any_address_is_answered(client: Client, alice: User, query: str) -> None:
    client.force_login(alice)
    page = client.get(f"/jobs/compare/{query}")
    assert page.status_code == 200
    assert "No job to compare yet" in page.content.decode()


def test_an_altered_report_is_named(client: Client, use_case: UseCase, alice: User) -> None:
    job = succeeded_job(use_case, alice)
    blobs.path_of(job.artifacts.get(name="report.json").sha256).write_text("{}")
    client.force_login(alice)
    assert f"Job {job.pk}: The report was altered" in client.get(f"/jobs/compare/?jobs={job.pk}").content.decode()


@pytest.mark.parametrize("jobs", [1, 3])
def test_comparing_asks_the_same_queries_for_one_and_three_jobs(
    client: Client, use_case: UseCase, alice: User, django_assert_num_queries: DjangoAssertNumQueries, jobs: int
) -> None:
    chosen = [succeeded_job(use_case, alice) for _ in range(jobs)]
    client.force_login(alice)
    with django_assert_num_queries(6):
        client.get("/jobs/compare/", {"jobs": ",".join(str(job.pk) for job in chosen)})


def test_a_schema_is_one_setting_whatever_its_fields_are_called(client: Client, use_case: UseCase, alice: User) -> None:
    job = make_job(use_case, alice)
    schema = {"dependencies": {"inputs": ["a"]}}
    Job.objects.filter(pk=job.pk).update(
        spec={**job.spec, "evaluation": {**job.spec["evaluation"], "json_schema": schema}}
    )
    client.force_login(alice)
    page = client.get(f"/jobs/compare/?jobs={job.pk}").content.decode()
    assert "evaluation.json_schema" in page
    assert "{&quot;dependencies&quot;: {&quot;inputs&quot;: [&quot;a&quot;]}}" in page


def test_twenty_jobs_of_any_length_are_laid_over_each_other(client: Client, use_case: UseCase, alice: User) -> None:
    jobs = [make_job(use_case, alice, max_steps=10 * number) for number in range(1, 22)]
    worker, _ = actions.create_worker(name="gpu-1", created_by=None)
    for job in jobs:
        claim = actions.claim_next_job(worker, make_capabilities())
        assert claim is not None
        steps = job.run_spec.training.max_steps
        send_events(claim.attempt, *(metric(step, train_loss=2.0, grad_norm=1.0) for step in (steps // 2, steps)))
    client.force_login(alice)
    address = f"/jobs/compare/?jobs={','.join(str(job.pk) for job in jobs)}"
    page = client.get(address).content.decode()
    assert "The address names 21 jobs; the first 20 are shown." in page
    assert page.count('data-name="Job ') == 2 * 20
    assert f"Job {jobs[19].pk}: from 2 at 100 to 2 at 200." in page
    assert f"Job {jobs[20].pk}:" not in page
    page = client.get(f"{address}&by=share").content.decode()
    assert f"Job {jobs[0].pk}: from 2 at 50 to 2 at 100. Job {jobs[1].pk}: from 2 at 50 to 2 at 100." in page
    assert "by percent of the run" in page


def test_scores_of_more_jobs_than_fit_one_table_are_named(client: Client, use_case: UseCase, alice: User) -> None:
    jobs = [succeeded_job(use_case, alice) for _ in range(compare.SCORED + 1)]
    client.force_login(alice)
    page = client.get("/jobs/compare/", {"jobs": [job.pk for job in jobs]}).content.decode()
    assert f"Scores of 6 jobs stand in one table. Job {jobs[-1].pk}: compare fewer jobs." in page
    assert f"Job {jobs[-2].pk} · LoRA" in page


def test_older_jobs_are_named_by_number_beside_those_that_are_ticked(
    client: Client, use_case: UseCase, alice: User
) -> None:
    first, second, third = (make_job(use_case, alice) for _ in range(3))
    client.force_login(alice)
    page = client.get("/jobs/compare/", {"jobs": [str(first.pk), f"{second.pk}, {third.pk}"]}).content.decode()
    assert page.count(" checked>") == 3
    assert '<input id="more-jobs" name="jobs"' in page


def test_what_the_folded_plots_show_is_named_as_a_sentence(client: Client, use_case: UseCase, alice: User) -> None:
    attempt = claimed_job(use_case, alice)
    measured = {"grad_norm": 1.0, "peak_memory_bytes": 2e9}
    send_events(attempt, *(metric(step, train_loss=2.0, **measured) for step in (1, 2)))
    client.force_login(alice)
    page = client.get(f"/jobs/compare/?jobs={attempt.job_id}").content.decode()
    assert "<summary>Gradient norm, peak memory</summary>" in page
