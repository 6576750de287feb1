"""The report on its pages: what the table, the rows, the exports and the print say, and who may see them."""

import csv
import io
import json
import re
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from playbook.contracts.dataset import Split
from playbook.contracts.metrics import Metric
from playbook.contracts.report import ArmReport
from playbook.contracts.run_spec import Arm, EvaluationSettings
from playbook.scoring.compare import scores_of
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.jobs.models import Job
from playbook.web.jobs.report_rows import CUT_CHARACTERS, PER_PAGE
from playbook.web.usecases.models import UseCase
from tests.web.jobs.ended import claimed_job, finished_with, succeeded_job
from tests.web.jobs.measured import (
    SETTINGS,
    answered,
    five_arm_job,
    measured_arm,
    measured_report,
    measured_spec,
    rated_job,
    retention,
)

PAGES = ("report/", "report/print/", "rows/", "rows/3/", "report.csv", "report.json", "report.md", "report.rows.csv")


@pytest.fixture
def five(use_case: UseCase, alice: User) -> Job:
    return five_arm_job(use_case, alice)


@pytest.fixture
def reader(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def text_of(reader: Client, job: Job, page: str = "report/") -> str:
    answer = reader.get(f"/jobs/{job.pk}/{page}")
    assert answer.status_code == 200, answer.content.decode()
    return re.sub(r"\s+", " ", answer.content.decode())


def finished(use_case: UseCase, user: User, *arms: ArmReport, rows: int, **more: Any) -> Job:
    settings: EvaluationSettings = more.pop("settings", SETTINGS)
    spec = measured_spec(rows=rows, settings=settings, hour_rate=more.pop("hour_rate", 2.0))
    return finished_with(claimed_job(use_case, user, spec=spec), measured_report(spec, arms, **more))


def cells_of(page: str, label: str) -> list[str]:
    """The cells of an arm's line in the table, as text."""
    row = re.search(rf'<tr[^>]*> ?<th scope="row">{re.escape(label)}.*?</tr>', page)
    assert row is not None, label
    return [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<td[^>]*>(.*?)</td>", row[0])]


def test_the_verdict_stands_first_in_one_sentence_with_its_uncertainty(reader: Client, five: Job) -> None:
    page = text_of(reader, five)
    assert "On 60 held-out rows LoRA is right on 93 % (84–97), few-shot on 67 % (54–77): tune." in page
    assert page.index("tune.</p>") < page.index('aria-label="Arms compared"')


def test_the_table_has_quality_interval_p_tokens_latency_and_costs_of_five_arms(reader: Client, five: Job) -> None:
    page = text_of(reader, five)
    assert cells_of(page, "LoRA") == [
        "93.3 %",
        "84.1 – 97.4 %",
        "+27 points +17 to +40",
        "&lt; 0.001",
        "51 48 + 3",
        "290 ms",
        "348 ms",
        "0.161",
        "0.0533",
    ]
    assert cells_of(page, "Few-shot")[2:4] == ["–", "–"]
    assert cells_of(page, "Zero-shot")[-1] == "none"
    assert [label for label in re.findall(r'class="name">([^<]+)<', page) if label != "LoRA over Few-shot"] == [
        "Zero-shot",
        "Few-shot",
        "RAG",
        "LoRA",
        "RAG+LoRA",
    ]
    assert "Cost of 1,000, EUR" in page


def test_the_metric_is_explained_and_labels_stand_in_a_matrix(reader: Client, five: Job) -> None:
    page = text_of(reader, five)
    assert "A row is right when the label is the expected one." in page
    assert "Popović 2015" in page
    matrix = page[page.index('aria-label="Confusion matrix of LoRA"') :]
    assert re.findall(r'<td class="num[^"]*">(\d+)</td>', matrix)[:4] == ["14", "1", "0", "0"]


def test_changed_and_worst_rows_are_shown_and_linked(reader: Client, five: Job) -> None:
    page = text_of(reader, five)
    assert re.search(r'id="gained">Wrong → right <span[^>]*>16 rows, Few-shot → LoRA<', page)
    assert re.search(r'id="lost">Right → wrong <span[^>]*>0 rows', page)
    assert re.search(r'id="worst">Worst rows of LoRA <span[^>]*>4 rows', page)
    assert f'href="/jobs/{five.pk}/rows/?show=gained&amp;arm=lora"' in page


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("show=gained&arm=lora", "16 rows"),
        ("show=lost&arm=zero_shot", "22 rows"),
        ("show=worst&arm=lora", "4 rows"),
        ("show=wrong&arm=zero_shot", "32 rows"),
        ("show=failed&arm=rag", "1 row"),
        ("show=cut&arm=few_shot", "1 row"),
        ("show=lost&arm=few_shot", "0 rows"),
        ("show=all", "60 rows"),
        ("show=everything&arm=nobody&page=999", "60 rows"),
    ],
)
def test_rows_are_chosen_by_kind_and_arm(reader: Client, five: Job, query: str, rows: str) -> None:
    page = text_of(reader, five, f"rows/?{query}")
    assert f'<span class="muted small num">{rows}</span>' in page
    assert page.count("<article") <= PER_PAGE


def test_a_failed_row_is_shown_as_failed_and_counts_as_wrong(reader: Client, five: Job) -> None:
    page = text_of(reader, five, "rows/?show=failed&arm=rag")
    assert "It failed, and counts as wrong: the prompt is longer than the model&#x27;s context of 2,048 tokens" in page
    assert '<span class="badge plain bad">1 failed</span>' in text_of(reader, five)
    assert "RAG: 1 of 60 rows failed; it counts as wrong." in text_of(reader, five)


def test_a_long_answer_is_cut_with_a_way_to_all_of_it_and_flagged(reader: Client, five: Job) -> None:
    page = text_of(reader, five, "rows/?show=cut&arm=few_shot")
    assert "cut after 1800 tokens" in page
    assert "Show all 7200 characters" in page
    assert page.count("feature ") < CUT_CHARACTERS / len("feature ") + 50
    whole = text_of(reader, five, "rows/3/")
    assert whole.count("feature ") >= 900


def test_an_empty_answer_and_markup_are_shown_as_they_are(reader: Client, five: Job) -> None:
    assert "(empty)" in text_of(reader, five, "rows/1/")
    page = text_of(reader, five, "rows/5/")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    assert "&lt;b&gt;Please&lt;/b&gt;" in text_of(reader, five, "rows/2/")


def test_break_even_leads_into_the_calculator_with_the_inputs_filled_in(reader: Client, five: Job) -> None:
    page = text_of(reader, five)
    assert "requests until LoRA has repaid its training" in page
    assert "RAG+LoRA never repays its training (1 min 36 s) by cheaper answers" in page
    link = re.search(r'href="(/library/calculators/break-even/\?[^"]+)">Calculate with your own prices \(LoRA\)', page)
    assert link is not None
    answer = reader.get(link[1].replace("&amp;", "&"))
    assert answer.status_code == 200
    data = answer.context["form"].cleaned_data
    assert (data["long_prompt"], data["short_prompt"], data["answer"]) == (412, 48, 3)
    assert (data["one_off"], data["price_per_hour"], data["tokens_per_second"]) == (0.05333, 2.0, 175.9)


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


def test_retention_is_shown_before_and_after_with_its_interval_and_its_warning(reader: Client, five: Job) -> None:
    page = text_of(reader, five)
    assert "50 % → 33 % (−17 points, 95 % interval −30 to −2)" in page
    assert "0.9 → 1.1 nats a token (+0.2, 95 % interval +0.14 to +0.27)" in page
    assert "Something was forgotten" in page
    assert "Mix general rows in." in page


def test_retention_within_its_limits_warns_of_nothing(reader: Client, use_case: UseCase, alice: User) -> None:
    arms = (measured_arm(Arm.ZERO_SHOT), measured_arm(Arm.LORA))
    page = text_of(reader, finished(use_case, alice, *arms, rows=60, retention=retention()))
    assert "A fixed set of 30 general rows" in page
    assert "Something was forgotten" not in page


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


def test_a_cancelled_job_keeps_its_partial_report_clearly_marked(
    reader: Client, use_case: UseCase, alice: User
) -> None:
    whole, part = measured_arm(Arm.ZERO_SHOT), measured_arm(Arm.LORA, rows=20)
    arms = (whole, part.model_copy(update={"partial": True}))
    job = finished(use_case, alice, *arms, rows=60, partial=True)
    assert job.state == "cancelled"
    page = text_of(reader, job)
    assert "Partial report" in page
    assert "cancelled on the way" in page
    assert "LoRA was cancelled after 20 rows." in page
    assert "Not measured: the job was cancelled before." in page
    assert cells_of(page, "LoRA")[2:4] == ["–", "–"]
    assert "Partial report" in text_of(reader, job, "")
    assert "Partial report" in text_of(reader, job, "report/print/")
    rows = text_of(reader, job, "rows/?page=6")
    assert "Zero-shot" in rows
    assert "<dt>LoRA<br>" not in rows
    lines = list(csv.DictReader(io.StringIO(reader.get(f"/jobs/{job.pk}/report.rows.csv").content.decode())))
    assert [(line["zero_shot_right"], line["lora_right"]) for line in lines[19:21]] == [("yes", "yes"), ("no", "")]


@pytest.mark.parametrize("name", [*PAGES, "files/report.json"])
def test_a_report_altered_on_disk_is_not_shown_and_the_digests_are_named(reader: Client, five: Job, name: str) -> None:
    sha256 = five.artifacts.get(name="report.json").sha256
    blobs.path_of(sha256).write_text("{}")
    answer = reader.get(f"/jobs/{five.pk}/{name}")
    assert answer.status_code == 409
    page = answer.content.decode()
    assert "altered on disk: its digest is 44136fa355b3" in page
    assert sha256[:12] in page
    assert "93" not in re.sub(r"[0-9a-f]{12}", "", page[page.index("<main") : page.index("</main")])


def test_two_arms_with_different_rows_are_refused_with_the_reason(
    reader: Client, use_case: UseCase, alice: User
) -> None:
    lora = measured_arm(Arm.LORA)
    strange = lora.model_copy(update={"items": lora.items[::-1]})
    spec = measured_spec()
    report = measured_report(spec, (measured_arm(Arm.ZERO_SHOT),)).model_copy(
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


def test_five_thousand_rows_with_long_answers_make_a_short_page(reader: Client, use_case: UseCase, alice: User) -> None:
    long = "word " * 8_000
    arms = []
    for which in (Arm.ZERO_SHOT, Arm.LORA):
        items = [answered(index, output="bug", expected="bug") for index in range(5_000)]
        for index in range(0, 400):
            changed = {"output": long, "correct": False, "score": 0.0, "cut": True}
            items[index] = items[index].model_copy(update=changed)
        arms.append(ArmReport(arm=which, items=tuple(items), scores=scores_of(items, SETTINGS), seconds=9.0))
    job = finished(use_case, alice, *arms, rows=5_000)
    assert job.artifacts.get(name="report.json").size_bytes > 30_000_000
    sizes = {name: len(reader.get(f"/jobs/{job.pk}/{name}").content) for name in ("report/", "rows/?show=cut", "")}
    assert max(sizes.values()) < 100_000, sizes
    page = text_of(reader, job, "rows/?show=cut")
    assert "Page 1 of 40" in page
    assert "Show all 40000 characters" in page


def test_the_table_is_exported_as_csv_json_and_markdown(reader: Client, five: Job) -> None:
    answer = reader.get(f"/jobs/{five.pk}/report.csv")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="job-{five.pk}-report.csv"'
    lines = list(csv.DictReader(io.StringIO(answer.content.decode())))
    assert [line["arm"] for line in lines] == ["Zero-shot", "Few-shot", "RAG", "LoRA", "RAG+LoRA"]
    document = json.loads(reader.get(f"/jobs/{five.pk}/report.json").content)
    assert document["verdict"]["sentence"].endswith("few-shot on 67 % (54–77): tune.")
    assert document["arms"][3]["value"] == pytest.approx(56 / 60)
    markdown = reader.get(f"/jobs/{five.pk}/report.md").content.decode()
    assert "| LoRA | 93.3 % |" in markdown


def test_the_rows_are_exported_with_every_answer_and_no_formula(reader: Client, use_case: UseCase, alice: User) -> None:
    odd = {0: {"output": '=HYPERLINK("http://evil.example")'}, 1: {"output": "-2+3"}}
    job = finished(use_case, alice, measured_arm(Arm.ZERO_SHOT, odd=odd), measured_arm(Arm.LORA), rows=60)
    lines = list(csv.DictReader(io.StringIO(reader.get(f"/jobs/{job.pk}/report.rows.csv").content.decode())))
    assert len(lines) == 60
    assert lines[0]["zero_shot_answer"] == '\'=HYPERLINK("http://evil.example")'
    assert lines[1]["zero_shot_answer"] == "'-2+3"
    assert lines[2]["lora_answer"] == "bug"


def test_another_format_is_not_found(reader: Client, five: Job) -> None:
    assert reader.get(f"/jobs/{five.pk}/report.xlsx").status_code == 404
    assert reader.get(f"/jobs/{five.pk}/rows/60/").status_code == 404


def test_the_page_for_printing_holds_all_of_it_and_where_it_comes_from(reader: Client, five: Job) -> None:
    page = text_of(reader, five, "report/print/")
    main = page[page.index("<main") : page.index("</main")]
    assert five.artifacts.get(name="report.json").sha256 in main
    assert five.test_set_sha256 in main
    assert "Base model tiny" in main
    assert "<button" not in main
    assert "<details" not in main
    assert cells_of(main, "LoRA")[0] == "93.3 %"


@pytest.mark.parametrize("name", PAGES)
def test_strangers_get_nothing_and_visitors_log_in(client: Client, five: Job, mallory: User, name: str) -> None:
    assert client.get(f"/jobs/{five.pk}/{name}").status_code == 302
    client.force_login(mallory)
    assert client.get(f"/jobs/{five.pk}/{name}").status_code == 404


@pytest.mark.parametrize("name", PAGES)
def test_reports_are_only_read(reader: Client, five: Job, name: str) -> None:
    assert reader.post(f"/jobs/{five.pk}/{name}").status_code == 405


@pytest.mark.parametrize("raters", [1, 3])
def test_the_page_asks_the_same_queries_however_much_there_is(
    reader: Client,
    use_case: UseCase,
    alice: User,
    bob: User,
    charlie: User,
    django_assert_num_queries: DjangoAssertNumQueries,
    raters: int,
) -> None:
    job = rated_job(use_case, alice, raters=[alice, bob, charlie][:raters])
    for _ in range(raters):
        five_arm_job(use_case, alice)
    with django_assert_num_queries(8):
        reader.get(f"/jobs/{job.pk}/report/")
