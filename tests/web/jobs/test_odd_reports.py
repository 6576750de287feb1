"""Reports out of the ordinary: arms that failed, one row, one arm, no price, other rows, cut short by a person."""

import csv
import io
import json

import pytest
from django.test import Client

from playbook.contracts.dataset import Split
from playbook.contracts.metrics import Metric
from playbook.contracts.report import ArmReport
from playbook.contracts.run_spec import Arm, EvaluationSettings
from playbook.contracts.states import EndReason, JobState
from playbook.scoring.compare import scores_of
from playbook.web.accounts.models import User
from playbook.web.jobs import actions
from playbook.web.usecases.models import UseCase
from tests.web.jobs.ended import claimed_job, finished_with, hand_over, succeeded_job
from tests.web.jobs.factories import asking_for
from tests.web.jobs.measured import (
    SETTINGS,
    answered,
    measured_arm,
    measured_report,
    measured_spec,
)
from tests.web.jobs.report_text import PAGES, cells_of, finished, text_of


@pytest.fixture
def reader(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def test_without_a_price_the_table_says_how_long_the_machine_is_busy(
    reader: Client, use_case: UseCase, alice: User
) -> None:
    arms = (measured_arm(Arm.FEW_SHOT), measured_arm(Arm.LORA))
    page = text_of(reader, finished(use_case, alice, *arms, rows=60, hour_rate=0))
    assert "Time of 1,000" in page
    assert cells_of(page, "Few-shot")[-2:] == ["14 min 00 s", "none"]
    assert cells_of(page, "LoRA")[-2:] == ["4 min 50 s", "1 min 36 s"]
    assert "EUR" not in page


def test_training_that_made_answers_worse_is_not_repaid_by_cheaper_ones(
    reader: Client, use_case: UseCase, alice: User
) -> None:
    wrong = {index: {"output": "bug" if index % 4 == 0 else "account"} for index in range(60)}
    job = finished(use_case, alice, measured_arm(Arm.FEW_SHOT), measured_arm(Arm.LORA, odd=wrong), rows=60)
    page = text_of(reader, job)
    assert "LoRA answers worse than Few-shot, so cheaper requests would not repay its training (1 min 36 s)" in page
    assert "requests until LoRA" not in page


def test_an_arm_that_failed_on_every_row_is_shown_and_not_compared(
    reader: Client, use_case: UseCase, alice: User
) -> None:
    failed = {index: {"output": "", "error": "CUDA out of memory <here>"} for index in range(60)}
    arms = (measured_arm(Arm.ZERO_SHOT), measured_arm(Arm.FEW_SHOT))
    job = finished(use_case, alice, *arms, measured_arm(Arm.LORA, odd=failed), rows=60)
    page = text_of(reader, job)
    assert '<span class="badge plain bad">60 failed</span>' in page
    assert cells_of(page, "LoRA")[:4] == ["0 %", "0 – 6 %", "–", "–"]
    assert cells_of(page, "Zero-shot")[3] == "0.099"
    assert "The first reason: CUDA out of memory &lt;here&gt;" in page
    assert "requests until LoRA" not in page
    assert 'id="gained">Wrong → right <span class="small muted num">10 rows, Few-shot → Zero-shot' in page
    nothing = finished(use_case, alice, measured_arm(Arm.ZERO_SHOT, odd=failed), rows=60)
    assert "Every row failed, so there is no verdict." in text_of(reader, nothing)
    for name in PAGES:
        assert reader.get(f"/jobs/{nothing.pk}/{name}").status_code == 200


def test_rows_of_the_validation_split_are_called_so(reader: Client, use_case: UseCase, alice: User) -> None:
    settings = SETTINGS.model_copy(update={"arms": (Arm.ZERO_SHOT,), "split": Split.VALIDATION})
    job = finished(use_case, alice, measured_arm(Arm.ZERO_SHOT), rows=60, settings=settings)
    page = text_of(reader, job)
    assert "60 validation rows. p:" in page
    assert "Label accuracy on validation rows, with the 95 % interval." in page
    assert "Every answer on the validation set" in text_of(reader, job, "rows/")
    assert "<h1>Validation row 3</h1>" in text_of(reader, job, "rows/2/")
    for name in ("report/", "report/print/", "rows/", "rows/2/"):
        assert "test row" not in text_of(reader, job, name).lower()


def test_an_old_report_without_latency_price_and_retention_says_not_measured(
    reader: Client, use_case: UseCase, alice: User
) -> None:
    job = succeeded_job(use_case, alice)
    page = text_of(reader, job)
    assert cells_of(page, "Zero-shot")[5:] == ["not measured", "not measured", "50.0 s", "none"]
    assert "Time of the machine stands where costs would: an hour of it had no price" in page
    assert "PLAYBOOK_GPU_HOUR_RATE" in page
    assert "Indicative only" in page
    for name in PAGES:
        assert reader.get(f"/jobs/{job.pk}/{name}").status_code == 200


def test_a_test_set_of_one_row_is_indicative_and_shows_nothing_more(
    reader: Client, use_case: UseCase, alice: User
) -> None:
    arms = (measured_arm(Arm.ZERO_SHOT, rows=1), measured_arm(Arm.LORA, rows=1))
    job = finished(use_case, alice, *arms, rows=1)
    page = text_of(reader, job)
    assert "Indicative only, with fewer than 50 rows" in page
    assert "no difference can show at all" in page
    assert "1 test row." in page


def test_an_arm_alone_has_no_comparison_and_no_crash(reader: Client, use_case: UseCase, alice: User) -> None:
    for arm in (Arm.ZERO_SHOT, Arm.LORA):
        job = finished(use_case, alice, measured_arm(arm), rows=60)
        for name in PAGES:
            assert reader.get(f"/jobs/{job.pk}/{name}").status_code == 200
        assert cells_of(text_of(reader, job), "Zero-shot" if arm is Arm.ZERO_SHOT else "LoRA")[2:4] == ["–", "–"]


def test_a_job_that_failed_while_it_measured_keeps_what_there_was_and_says_what_to_change(
    reader: Client, use_case: UseCase, alice: User
) -> None:
    spec = measured_spec(rows=60)
    attempt = claimed_job(use_case, alice, spec=spec)
    hand_over(attempt, measured_report(spec, (measured_arm(Arm.ZERO_SHOT),), partial=True))
    said = "Memory ran out (no memory). Lower batch_size and max_new_tokens of the measurement."

    actions.finish(attempt, state=JobState.FAILED, reason=EndReason.OUT_OF_MEMORY, message=said)

    page = text_of(reader, attempt.job, "")
    for words in (said, "Partial report", "adapter.zip", ">Talk to it</a>"):
        assert words in page
    assert "Merge" not in page
    assert "Zero-shot" in text_of(reader, attempt.job, "rows/")


def test_a_cancelled_job_keeps_its_partial_report_clearly_marked(
    reader: Client, use_case: UseCase, alice: User
) -> None:
    whole, part = measured_arm(Arm.ZERO_SHOT), measured_arm(Arm.LORA, rows=20)
    arms = (whole, part.model_copy(update={"partial": True}))
    job = finished(use_case, alice, *arms, rows=60, partial=True)
    assert job.state == "cancelled"
    page = text_of(reader, job)
    assert "Partial report" in page
    assert "ended early</span>" in page
    assert "LoRA ended early, after 20 rows." in page
    assert "Not measured: the job ended before." in page
    assert cells_of(page, "LoRA")[2:4] == ["–", "–"]
    assert "Partial report" in text_of(reader, job, "")
    assert "Partial report" in text_of(reader, job, "report/print/")
    rows = text_of(reader, job, "rows/?page=6")
    assert "Zero-shot" in rows
    assert "<dt>LoRA<br>" not in rows
    lines = list(csv.DictReader(io.StringIO(reader.get(f"/jobs/{job.pk}/report.rows.csv").content.decode())))
    assert [(line["zero_shot_right"], line["lora_right"]) for line in lines[19:21]] == [("yes", "yes"), ("no", "")]


def test_two_arms_with_different_rows_are_refused_with_the_reason(
    reader: Client, use_case: UseCase, alice: User
) -> None:
    lora = measured_arm(Arm.LORA)
    strange = lora.model_copy(update={"items": lora.items[::-1]})
    spec = asking_for(measured_spec(), Arm.ZERO_SHOT, Arm.LORA)
    report = measured_report(spec, (measured_arm(Arm.ZERO_SHOT), lora)).model_copy(
        update={"arms": (measured_arm(Arm.ZERO_SHOT), strange)}
    )
    job = finished_with(claimed_job(use_case, alice, spec=spec), report)
    said = "zero_shot and lora answered different rows: their result 1 is row 1 and row 60"
    for name in ("report/", "rows/", "report.csv"):
        answer = reader.get(f"/jobs/{job.pk}/{name}")
        assert (answer.status_code, said in answer.content.decode()) == (409, True)
    assert said in text_of(reader, job, "")


def test_perplexity_is_no_share_and_may_have_no_upper_bound(reader: Client, use_case: UseCase, alice: User) -> None:
    settings = EvaluationSettings(
        arms=(Arm.ZERO_SHOT, Arm.LORA), metric=Metric.PERPLEXITY, secondary_metrics=(), pass_mark=0.5
    )

    def arm(which: Arm, nats: float) -> ArmReport:
        items = tuple(
            answered(0, output="", expected="x", settings=SETTINGS).model_copy(
                update={"index": 0, "score": 0.3, "scores": {}, "expected_nats": nats, "expected_tokens": 4}
            )
            for _ in range(1)
        )
        return ArmReport(arm=which, items=items, scores=scores_of(items, settings), seconds=1.0)

    job = finished(use_case, alice, arm(Arm.ZERO_SHOT, 9.0), arm(Arm.LORA, 3.0), rows=1, settings=settings)
    page = text_of(reader, job)
    assert cells_of(page, "LoRA")[:2] == ["2.12", "1 – ∞"]
    assert "Perplexity, lower is better, with the 95 % interval." in page
    assert json.loads(reader.get(f"/jobs/{job.pk}/report.json").content)["arms"][1]["high"] is None
