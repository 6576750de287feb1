"""Exports: every figure in each of them, and nothing in them that a spreadsheet or a renderer runs."""

import csv
import io
import json

import pytest

from playbook.contracts.dataset import Message
from playbook.contracts.metrics import Metric, MetricSettings
from playbook.contracts.run_spec import Arm
from playbook.scoring.compare import DifferentRows
from playbook.scoring.export import record_of, rows_csv, table_csv, table_json, table_markdown
from playbook.scoring.table import Table, table_across, table_of
from playbook.scoring.verdict import verdict_of
from tests.scoring.factories import arm_of, item, report_of

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", " =1", "＝1"]


@pytest.fixture(scope="module")
def table() -> Table:
    few, lora = arm_of(Arm.FEW_SHOT, [1] * 20 + [0] * 40), arm_of(Arm.LORA, [1] * 50 + [0] * 10)
    return table_of(report_of(few.model_copy(update={"seconds": 120.0}), lora, hour_rate=7.2, training_seconds=500))


def test_csv_holds_every_column_in_one_line_an_arm(table: Table) -> None:
    lines = list(csv.DictReader(io.StringIO(table_csv(table), newline="")))

    assert [(line["arm"], float(line["value"]), line["rows"]) for line in lines] == [
        ("Few-shot", 20 / 60, "60"),
        ("LoRA", 50 / 60, "60"),
    ]
    assert list(lines[1]) == [*record_of(table.lines[1]), "currency"]
    assert [(line["currency"], line["machine_seconds_per_1000_requests"]) for line in lines] == [
        ("EUR", "2000.0"),
        ("EUR", "1000.0"),
    ]
    assert (lines[0]["p_holm"], lines[0]["training_cost"]) == ("", "")
    assert [float(lines[1][name]) for name in ("difference", "cost_per_1000_requests", "break_even_requests")] == [
        pytest.approx(0.5),
        pytest.approx(2.0),
        pytest.approx(500),
    ]
    assert table_csv(table).count("\r\n") == 3


def test_a_label_that_looks_like_a_formula_is_text_in_csv() -> None:
    crossed = table_across({"=HYPERLINK(1)": report_of(arm_of(Arm.LORA, [1] * 50))})

    assert table_csv(crossed).splitlines()[1].startswith("'=HYPERLINK(1) · LoRA,")


@pytest.mark.parametrize("text", FORMULAS)
def test_an_answer_that_looks_like_a_formula_is_text_in_csv(text: str) -> None:
    arm = arm_of(Arm.LORA, [0]).model_copy(update={"items": (item(0, 0, output=text, expected=text),)})

    row = next(csv.DictReader(io.StringIO(rows_csv([arm]), newline="")))

    assert (row["lora_answer"], row["expected"]) == (f"'{text}", f"'{text}")


def test_rows_of_all_arms_stand_side_by_side() -> None:
    few = arm_of(Arm.FEW_SHOT, [0, 1])
    failed = (item(0, 1, output='a "quoted", \n answer'), item(1, 0, error="too long", output=""))
    lora = few.model_copy(update={"arm": Arm.LORA, "items": failed})

    rows = list(csv.DictReader(io.StringIO(rows_csv([few, lora]), newline="")))

    assert [(row["row"], row["few_shot_score"], row["lora_failed"]) for row in rows] == [
        ("1", "0.0", ""),
        ("2", "1.0", "too long"),
    ]
    assert rows[0]["lora_answer"] == 'a "quoted", \n answer'
    assert rows_csv([]) == ""
    with pytest.raises(DifferentRows):
        rows_csv([few, arm_of(Arm.LORA, [1])])


def test_rows_that_a_cancelled_arm_never_reached_have_empty_cells() -> None:
    few = arm_of(Arm.FEW_SHOT, [0, 1, 1])
    part = arm_of(Arm.LORA, [1, 1]).model_copy(update={"partial": True, "items": (item(2, 1), item(0, 1))})

    rows = list(csv.DictReader(io.StringIO(rows_csv([part, few]), newline="")))

    assert [(row["row"], row["few_shot_right"], row["lora_right"], row["lora_answer"]) for row in rows] == [
        ("1", "no", "yes", "1"),
        ("2", "yes", "", ""),
        ("3", "yes", "yes", "1"),
    ]


def test_the_question_stands_without_the_passages_of_one_arm() -> None:
    asked = (Message(role="user", content="Who?"),)
    found = (Message(role="user", content="Passage: a, b.\n\nWho?"),)
    rag = arm_of(Arm.RAG, [1]).model_copy(update={"items": (item(0, 1, prompt=found),)})
    lora = arm_of(Arm.LORA, [1]).model_copy(update={"items": (item(0, 1, prompt=asked),)})

    for arms in ([rag, lora], [lora, rag]):
        row = next(csv.DictReader(io.StringIO(rows_csv(arms), newline="")))
        assert (row["question"], row["rag_answer"], row["lora_latency_seconds"]) == ("Who?", "1", "")


def test_json_is_the_table_with_its_verdict(table: Table) -> None:
    verdict = verdict_of(table)

    document = json.loads(table_json(table, verdict))

    assert document["verdict"] == {"advice": "tune", "sentence": verdict.sentence, "notes": list(verdict.notes)}
    assert (document["rows"], document["baseline"], document["currency"]) == (60, "Few-shot", "EUR")
    assert document["arms"][1] == record_of(table.lines[1]) | {"secondary": document["arms"][1]["secondary"]}
    assert document["arms"][1]["secondary"]["json_valid"]["right"] == 50


def test_an_unbounded_interval_is_null_in_json() -> None:
    settings = MetricSettings(metric=Metric.PERPLEXITY, secondary_metrics=())
    arm = arm_of(Arm.LORA, [0], settings=settings)
    table = table_of(report_of(arm, settings={"metric": "perplexity", "secondary_metrics": ()}))

    arms = json.loads(table_json(table, verdict_of(table)))["arms"]

    assert (arms[0]["value"], arms[0]["low"], arms[0]["high"]) == (None, 1.0, None)
    assert "inf" in table_csv(table)


def test_markdown_is_a_table_with_the_verdict_above(table: Table) -> None:
    lines = table_markdown(table, verdict_of(table)).splitlines()

    assert lines[0] == "On 60 held-out rows LoRA is right on 83 % (72–91), few-shot on 33 % (23–46): tune."
    assert lines[2].startswith("| Arm | Exact match | 95 % interval | p (Holm) |")
    assert lines[5] == ("| LoRA | 83.3 % | 72.0 % – 90.7 % | \\< 0.001 | 40 | – | – | 2 | 1 | 500 |")
    assert {line.count("|") for line in lines[2:6]} == {11}


def test_a_label_ends_no_cell_of_markdown() -> None:
    crossed = table_across({"a|b <script>\n[x](y)": report_of(arm_of(Arm.LORA, [1] * 50))})

    row = table_markdown(crossed, verdict_of(crossed)).splitlines()[4]

    assert row.startswith(r"| a\|b \<script\> \[x\](y) · LoRA | 100.0 %")
