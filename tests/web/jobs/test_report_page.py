"""The report on its pages: what the table, the rows, the exports and the print say, and who may see them."""

import csv
import io
import json
import re

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from playbook.contracts.report import ArmReport
from playbook.contracts.run_spec import Arm
from playbook.scoring.compare import scores_of
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.jobs.models import Job
from playbook.web.jobs.report_rows import CUT_CHARACTERS, PER_PAGE
from playbook.web.usecases.models import UseCase
from tests.web.jobs.measured import (
    SETTINGS,
    answered,
    five_arm_job,
    measured_arm,
    rated_job,
    retention,
)
from tests.web.jobs.report_text import PAGES, cells_of, finished, text_of


@pytest.fixture
def five(use_case: UseCase, alice: User) -> Job:
    return five_arm_job(use_case, alice)


@pytest.fixture
def reader(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


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
