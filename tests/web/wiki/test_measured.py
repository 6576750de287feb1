"""An article shows what we measured, as the shipped report has it."""

import html
import re
from pathlib import Path

import pytest
from django.test import Client

from playbook.contracts.run_spec import Arm
from playbook.scoring.statistics import wilson_interval
from tests.library.reports import TEST_SHA256, make_report
from tests.web.wiki.shelf import article_text

_SPLIT = '{rows: 4, size_bytes: 9, sha256: "%s"}'
CARD = f"""---
slug: tickets
title: Tickets & more
summary: Short ones.
licence: CC0-1.0
owner: Us
source: Written by hand.
consent: Not needed.
splits:
  train: {_SPLIT % ("0" * 64)}
  validation: {_SPLIT % ("0" * 64)}
  test: {_SPLIT % TEST_SHA256}
---
The card.
"""


@pytest.fixture
def report(content: Path) -> Path:
    (content / "articles/train/third.md").write_text(article_text("Third", "/// measured | first\n///\n"))
    file = content / "reports/first/report.json"
    file.parent.mkdir(parents=True)
    file.write_text(make_report({Arm.ZERO_SHOT: 10, Arm.LORA: 38}, rows=40).model_dump_json())
    return file


def _shown(reader: Client) -> str:
    page = reader.get("/library/train/third/").content.decode().partition('<div class="prose">')[2]
    text = re.sub(r"<title>.*?</title>", "", page.partition("</section>")[0])
    return html.unescape(" ".join(re.sub(r"<[^>]+>", " ", text).split()))


def test_every_arm_stands_with_its_interval_hardware_date_and_data(reader: Client, report: Path) -> None:
    shown = _shown(reader)

    low, high = wilson_interval(38, 40)
    assert f"LoRA 95 % {low * 100:.1f} % – {high * 100:.1f} % 38 of 40" in shown
    assert "Zero-shot 25 %" in shown
    assert "tiny <model>, tuned on 40 rows where an arm is tuned, measured on 40 test rows" in shown
    assert "8 <cores>, 25 November 2026" in shown
    assert f"Test split {TEST_SHA256[:12]}" in shown


def test_the_data_is_named_when_it_is_a_shipped_sample(reader: Client, content: Path, report: Path) -> None:
    for split in ("train", "validation", "test"):
        file = content / f"datasets/tickets/{split}.jsonl"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("{}\n")
    (content / "datasets/tickets/card.md").write_text(CARD)

    assert "40 test rows of Tickets & more" in _shown(reader)


def test_what_the_report_says_is_drawn_for_the_eye_and_said_in_words(reader: Client, report: Path) -> None:
    page = reader.get("/library/train/third/").content.decode()

    assert re.search(
        r'<div class="bars" role="img" aria-label="Zero-shot: 25 % \(14–40\)\. LoRA: 95 % \(83–99\)\."', page
    )


def test_a_new_report_is_shown_without_a_restart(reader: Client, report: Path) -> None:
    before = _shown(reader)
    report.write_text(make_report({Arm.LORA: 40}, rows=40).model_dump_json())

    assert ("Zero-shot" in before, "Zero-shot" in _shown(reader)) == (True, False)


def test_a_broken_report_leaves_the_article_up(reader: Client, report: Path) -> None:
    report.write_text("{")

    response = reader.get("/library/train/third/")

    assert (response.status_code, b"no shipped report" in response.content) == (200, True)
