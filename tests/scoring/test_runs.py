"""Tuned arms of several runs against each other, on the same rows."""

from playbook.contracts.metrics import Metric
from playbook.contracts.report import Score
from playbook.contracts.run_spec import Arm
from playbook.scoring.figures import p_text
from playbook.scoring.runs import run_against_run
from playbook.scoring.statistics import holm, mcnemar_exact
from playbook.scoring.table import table_across
from tests.scoring.factories import arm_of, report_of

ZERO = arm_of(Arm.ZERO_SHOT, [0] * 60)
GOOD = report_of(ZERO, arm_of(Arm.LORA, [1] * 50 + [0] * 10))
ALIKE = report_of(ZERO, arm_of(Arm.LORA, [1] * 49 + [0] * 10 + [1]))
WORSE = report_of(ZERO, arm_of(Arm.LORA, [1] * 35 + [0] * 25))


def test_two_runs_that_both_beat_the_prompt_are_compared_row_by_row() -> None:
    (said,) = run_against_run(table_across({"Job 1": GOOD, "Job 2": WORSE}))
    p = p_text(mcnemar_exact(0, 15), sign=True)
    assert said.startswith("Job 2 · LoRA against Job 1 · LoRA: −25 points (95 % interval −")
    assert said.endswith(f"), p {p}; 0 rows gained, 15 lost.")


def test_p_is_adjusted_for_the_number_of_runs_and_what_is_no_difference_is_said() -> None:
    first, second = run_against_run(table_across({"Job 1": GOOD, "Job 2": ALIKE, "Job 3": WORSE}))
    adjusted = holm([mcnemar_exact(1, 1), mcnemar_exact(0, 15)])
    assert f"p {p_text(adjusted[0], sign=True)} after Holm; 1 row gained, 1 lost. So many rows show no" in first
    assert second.startswith("Job 3 · LoRA against Job 1 · LoRA: −25 points")
    assert second.endswith(f"p {p_text(adjusted[1], sign=True)} after Holm; 0 rows gained, 15 lost.")


def test_prompts_and_other_arms_and_scores_that_are_no_shares_are_not_compared() -> None:
    rag = report_of(ZERO, arm_of(Arm.RAG_LORA, [1] * 60))
    assert run_against_run(table_across({"Job 1": GOOD, "Job 2": rag, "Job 3": report_of(ZERO)})) == ()
    evaluation = GOOD.spec.evaluation.model_copy(update={"metric": Metric.PERPLEXITY})
    spec = GOOD.spec.model_copy(update={"evaluation": evaluation})
    arms = tuple(arm.model_copy(update={"scores": (_as_perplexity(arm.scores[0]),)}) for arm in GOOD.arms)
    one = GOOD.model_copy(update={"spec": spec, "arms": arms})
    assert run_against_run(table_across({"Job 1": one, "Job 2": one})) == ()


def _as_perplexity(score: Score) -> Score:
    return score.model_copy(update={"metric": Metric.PERPLEXITY})
