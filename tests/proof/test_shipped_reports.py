"""The shipped reports are what they say: whole, of what is shipped today, and as the experiments expect.

That a new run gives the same is shown by `make proof`, which runs all, and the first of them also as the job of the
walk through the product (`tests/e2e`).
"""

import hashlib
import json

import pytest
import yaml

from playbook.contracts.report import Report
from playbook.contracts.run_spec import Arm
from tests.proof.outcome import Line, enough, lines
from tests.shipped import CONTENT, REPORTS, experiments, make_spec

EXPERIMENTS = experiments()
EACH = pytest.mark.parametrize("slug", EXPERIMENTS)


def report_of(slug: str) -> Report:
    return Report.model_validate_json((REPORTS / slug / "report.json").read_bytes())


def test_the_three_experiments_end_differently() -> None:
    assert {slug: str(one.enough) for slug, one in EXPERIMENTS.items()} == {
        "support-tickets": "lora",
        "company-facts": "rag",
        "order-numbers": "few_shot",
    }
    claims = yaml.safe_load((CONTENT / "claims.yaml").read_text(encoding="utf-8"))["claims"]
    assert {one.claim for one in EXPERIMENTS.values()} <= {claim["id"] for claim in claims}


@EACH
def test_each_report_came_out_as_the_experiment_expects(slug: str) -> None:
    assert enough(report_of(slug)) is EXPERIMENTS[slug].enough


@EACH
def test_each_report_is_of_the_data_and_the_recipe_that_are_shipped(slug: str) -> None:
    report, experiment = report_of(slug), EXPERIMENTS[slug]
    assert report.spec == make_spec(dataset=experiment.dataset, recipe=experiment.recipe)
    assert not report.partial
    assert [len(arm.items) for arm in report.arms] == [60 if slug != "support-tickets" else 80] * len(report.arms)


@EACH
def test_each_manifest_names_its_report_by_digest(slug: str) -> None:
    folder, report = REPORTS / slug, report_of(slug)
    content = (folder / "report.json").read_bytes()
    manifest = json.loads((folder / "manifest.json").read_bytes())
    assert manifest["report_sha256"] == hashlib.sha256(content).hexdigest()
    assert manifest["inputs"] == {str(file.split): file.sha256 for file in report.spec.inputs}
    assert manifest["scores"] == {
        str(arm.arm): arm.scores[0].model_dump(mode="json", include={"metric", "successes", "n", "low", "high"})
        for arm in report.arms
    }
    assert len(content) < 1_000_000


@EACH
def test_no_report_holds_an_arm_twice_or_an_answer_that_was_not_judged(slug: str) -> None:
    report = report_of(slug)
    assert [arm.arm for arm in report.arms] == list(report.spec.evaluation.arms)
    assert [sum(item.correct for item in arm.items) for arm in report.arms] == [
        arm.scores[0].successes for arm in report.arms
    ]


def test_a_new_run_is_held_against_the_shipped_interval() -> None:
    shipped = report_of("support-tickets")
    same = lines(shipped, shipped)
    assert [line.holds for line in same] == [True, True]
    tuned = shipped.arm(Arm.LORA)
    assert tuned is not None
    worse = tuned.model_copy(update={"scores": (tuned.scores[0].model_copy(update={"value": 0.3}),)})
    assert not Line(tuned, worse).holds
    assert "OUTSIDE" in str(Line(tuned, worse))
    other = shipped.model_copy(update={"spec": shipped.spec.model_copy(update={"seed": 8})})
    assert [line.shipped for line in lines(shipped, other)] == [None, None]
