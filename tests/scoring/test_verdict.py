"""The verdict in one sentence: what it says when something helps, when nothing does, and when nobody can tell."""

from math import exp

import pytest

from playbook.contracts.metrics import Metric, MetricSettings
from playbook.contracts.report import ArmReport, Estimate, ItemResult, Repeat, RetentionItem, RetentionSummary
from playbook.contracts.run_spec import Arm
from playbook.scoring.compare import scores_of
from playbook.scoring.table import table_of
from playbook.scoring.verdict import Advice, Verdict, verdict_of
from tests.scoring.factories import answered_by, arm_of, item, report_of


def right(count: int, rows: int) -> list[int]:
    return [1] * count + [0] * (rows - count)


def verdict(*arms: object, noun: str = "held-out rows", **more: object) -> Verdict:
    report = report_of(*arms, **more)  # type: ignore[arg-type]
    return verdict_of(table_of(report), report=report, noun=noun)


def test_tuning_that_helps() -> None:
    found = verdict(
        arm_of(Arm.ZERO_SHOT, right(0, 200)),
        arm_of(Arm.FEW_SHOT, right(10, 200)),
        arm_of(Arm.LORA, right(186, 200)),
        noun="tickets",
    )

    assert (found.advice, found.sentence) == (
        Advice.TUNE,
        "On 200 tickets LoRA is right on 93 % (89–96), few-shot on 5 % (3–9): tune.",
    )
    assert found.notes[1] == (
        "LoRA against few-shot: +88 points (95 % interval +83 to +92), p < 0.001 after Holm; 176 rows gained, 0 lost."
    )


def test_retrieval_that_helps_as_much_as_tuning_is_preferred() -> None:
    arms = [
        arm_of(Arm.ZERO_SHOT, right(20, 100)),
        arm_of(Arm.RAG, right(88, 100)),
        arm_of(Arm.LORA, right(90, 100)),
        arm_of(Arm.RAG_LORA, right(91, 100)),
    ]

    assert (
        verdict(*arms).sentence
        == "On 100 held-out rows RAG is right on 88 % (80–93), zero-shot on 20 % (13–29): retrieve."
    )
    assert verdict(*arms[:3], arm_of(Arm.RAG_LORA, right(100, 100))).advice is Advice.TUNE_AND_RETRIEVE


def test_where_the_prompt_is_as_good_it_stays() -> None:
    few = arm_of(Arm.FEW_SHOT, right(170, 200))
    found = verdict(arm_of(Arm.ZERO_SHOT, right(100, 200)), few, arm_of(Arm.LORA, right(172, 200)))

    assert found.advice is Advice.PROMPT
    assert found.sentence == (
        "On 200 held-out rows LoRA is right on 86 % (81–90), few-shot on 85 % (79–89), and no difference shows "
        "(p = 0.5): keep the prompt."
    )


def test_overlapping_intervals_are_told_where_the_rows_still_differ() -> None:
    found = verdict(arm_of(Arm.ZERO_SHOT, right(100, 200)), arm_of(Arm.LORA, right(112, 200)))

    assert (found.advice, found.sentence) == (
        Advice.TUNE,
        "On 200 held-out rows LoRA is right on 56 % (49–63), zero-shot on 50 % (43–57); the intervals overlap, but row "
        "by row the difference shows (p < 0.001): tune.",
    )


def test_where_tuning_is_worse_the_prompt_stays() -> None:
    found = verdict(arm_of(Arm.ZERO_SHOT, right(90, 100)), arm_of(Arm.LORA, right(50, 100)))

    assert found.advice is Advice.PROMPT
    assert found.sentence.endswith("zero-shot on 90 % (83–94): keep the prompt, LoRA is worse.")

    both = verdict(
        arm_of(Arm.ZERO_SHOT, right(90, 100)), arm_of(Arm.RAG, right(60, 100)), arm_of(Arm.LORA, right(50, 100))
    )
    assert both.sentence == (
        "On 100 held-out rows RAG is right on 60 % (50–69), zero-shot on 90 % (83–94): keep the prompt, even the best "
        "of the other approaches is worse."
    )


def test_where_nothing_helps_it_says_so() -> None:
    found = verdict(arm_of(Arm.ZERO_SHOT, right(5, 100)), arm_of(Arm.LORA, right(8, 100)))

    assert found.advice is Advice.NOTHING
    assert found.sentence.endswith("and no difference shows (p = 0.25): nothing measured here helps enough.")

    worse = verdict(arm_of(Arm.ZERO_SHOT, right(15, 100)), arm_of(Arm.LORA, right(2, 100)))
    assert (worse.advice, worse.sentence) == (
        Advice.NOTHING,
        "On 100 held-out rows LoRA is right on 2 % (1–7), zero-shot on 15 % (9–23): nothing measured here helps "
        "enough.",
    )


def test_an_arm_that_wins_on_few_rows_may_not_be_good_enough() -> None:
    found = verdict(arm_of(Arm.ZERO_SHOT, right(1, 100)), arm_of(Arm.LORA, right(20, 100)))

    assert found.sentence.endswith("LoRA is right on 20 % (13–29), zero-shot on 1 % (0.2–5): tune.")
    assert found.notes[0] == "LoRA is better than the prompts, and below 50 %: that may not be enough."


def test_half_says_nothing_of_free_text() -> None:
    chrf = MetricSettings(metric=Metric.CHRF)
    arms = [arm_of(Arm.FEW_SHOT, [0.3, 0.4] * 50, settings=chrf), arm_of(Arm.LORA, [0.4, 0.3] * 50, settings=chrf)]
    found = verdict(*arms, settings={"metric": "chrf"})

    assert found.sentence == (
        "On 100 held-out rows LoRA reaches 35 % (34–36) chrF, few-shot 35 % (34–36), and no difference shows (p = 1): "
        "keep the prompt."
    )


@pytest.mark.parametrize(
    ("zero", "lora", "advice", "ending"),
    [
        (0, 38, Advice.TUNE, "This points to: tune."),
        (38, 5, Advice.PROMPT, "This points to: keep the prompt."),
        (20, 22, Advice.MEASURE_MORE, "and no difference shows. Measure on more rows before you decide."),
    ],
)
def test_few_rows_only_indicate(zero: int, lora: int, advice: Advice, ending: str) -> None:
    found = verdict(arm_of(Arm.ZERO_SHOT, right(zero, 40)), arm_of(Arm.LORA, right(lora, 40)))

    assert found.advice is advice
    assert found.sentence.startswith("Indicative only, with fewer than 50 rows: on 40 held-out rows LoRA is right on ")
    assert found.sentence.endswith(ending)


def test_one_row_decides_nothing() -> None:
    found = verdict(arm_of(Arm.ZERO_SHOT, [0]), arm_of(Arm.LORA, [1]))

    assert found.advice is Advice.MEASURE_MORE
    assert "on 1 held-out row LoRA is right on 100 % (21–100), zero-shot on 0 % (0–79)" in found.sentence
    assert "With fewer than 6 rows, or groups of rows, no difference can show at all." in found.notes


def test_a_difference_within_run_to_run_noise_is_none() -> None:
    lora = arm_of(Arm.LORA, right(60, 100), repeats=(Repeat(seed=1, scores=(0.0,) * 60 + (1.0,) * 40, seconds=1),))
    found = verdict(arm_of(Arm.ZERO_SHOT, right(50, 100)), lora)

    assert found.advice is Advice.PROMPT
    assert "that is no more than the same arm moves from run to run" in found.sentence
    assert (
        "LoRA was measured 2 times: between two runs its score moves by up to 39 points, and 100 rows changed."
        in found.notes
    )


def test_the_noise_of_the_best_prompt_counts_too() -> None:
    few = arm_of(
        Arm.FEW_SHOT, right(70, 100), repeats=(Repeat(seed=1, scores=tuple([1.0] * 60 + [0.0] * 40), seconds=1),)
    )
    found = verdict(few, arm_of(Arm.LORA, right(80, 100)))

    assert found.advice is Advice.PROMPT
    assert found.sentence.endswith("and that is no more than the same arm moves from run to run: keep the prompt.")
    assert verdict(few, arm_of(Arm.LORA, right(100, 100))).advice is Advice.TUNE


def test_rows_are_counted_in_words_that_fit() -> None:
    found = verdict(arm_of(Arm.ZERO_SHOT, right(50, 100)), arm_of(Arm.LORA, right(51, 100)))

    assert found.notes[0].endswith("p = 1 after Holm; 1 row gained, 0 lost.")


def test_a_score_of_parts_of_a_point_reads_as_one() -> None:
    f1 = MetricSettings(metric=Metric.FIELD_F1)
    arms = [arm_of(Arm.FEW_SHOT, [0.2, 0.4] * 50, settings=f1), arm_of(Arm.LORA, [0.9, 0.7] * 50, settings=f1)]

    assert verdict(*arms, settings={"metric": "field_f1"}).sentence == (
        "On 100 held-out rows LoRA reaches 80 % (78–82) field F1, few-shot 30 % (28–32): tune."
    )


def test_lower_perplexity_is_better() -> None:
    settings = MetricSettings(metric=Metric.PERPLEXITY, secondary_metrics=())

    def arm(name: Arm, nats: float) -> object:
        each = [nats + at / 100 for at in range(60)]
        items = tuple(item(at, exp(-one), expected_nats=10 * one, expected_tokens=10) for at, one in enumerate(each))
        return arm_of(name, [1] * 60).model_copy(update={"items": items, "scores": scores_of(items, settings)})

    found = verdict(arm(Arm.ZERO_SHOT, 3), arm(Arm.LORA, 1), settings={"metric": "perplexity", "secondary_metrics": ()})

    assert found.advice is Advice.TUNE
    assert found.sentence.startswith("On 60 held-out rows LoRA has a perplexity of 3.65 (3.4")
    assert not [note for note in found.notes if "points" in note]


def test_a_row_without_a_likelihood_is_left_out_of_the_perplexity_and_the_note_says_so() -> None:
    settings = MetricSettings(metric=Metric.PERPLEXITY, secondary_metrics=())
    known = [item(at, exp(-1 - at / 100), expected_nats=10 + at / 10, expected_tokens=10) for at in range(59)]
    items = (*known, item(59, 0, error="the prompt is longer than the context"))
    arm = arm_of(Arm.ZERO_SHOT, [1] * 60).model_copy(update={"items": items, "scores": scores_of(items, settings)})

    found = verdict(arm, settings={"metric": "perplexity", "secondary_metrics": ()})

    assert (
        "Zero-shot: 1 of 60 rows failed; it counts as wrong, and the perplexity is that of the others." in found.notes
    )


def test_without_a_prompt_nobody_knows_whether_more_was_needed() -> None:
    found = verdict(arm_of(Arm.LORA, right(90, 100)))

    assert found.advice is Advice.MEASURE_MORE
    assert "but no prompt was measured beside it: measure zero-shot and few-shot" in found.sentence


def long_prompts(count: int) -> tuple[ItemResult, ...]:
    return tuple(item(at, score, prompt_tokens=900) for at, score in enumerate(right(count, 100)))


def test_prompts_alone_are_compared_with_each_other() -> None:
    zero = arm_of(Arm.ZERO_SHOT, right(20, 100))

    better = verdict(zero, arm_of(Arm.FEW_SHOT, right(80, 100)))
    good = arm_of(Arm.ZERO_SHOT, right(80, 100))
    same = verdict(good, arm_of(Arm.FEW_SHOT, right(82, 100)).model_copy(update={"items": long_prompts(82)}))
    poor = verdict(zero, arm_of(Arm.FEW_SHOT, right(21, 100)))
    assert better.sentence.endswith(
        "few-shot is right on 80 % (71–87), zero-shot on 20 % (13–29): the better prompt is few-shot."
    )
    assert same.sentence == (
        "On 100 held-out rows few-shot is right on 82 % (73–88), zero-shot on 80 % (71–87), and no difference shows "
        "(p = 0.5): zero-shot is the shorter prompt, and loses 7 points at most."
    )
    short = verdict(arm_of(Arm.ZERO_SHOT, right(82, 100)), arm_of(Arm.FEW_SHOT, right(80, 100)))
    assert short.sentence.endswith("and no difference shows (p = 0.5): take zero-shot, the shortest prompt.")
    assert (poor.advice, poor.sentence) == (
        Advice.NOTHING,
        "On 100 held-out rows few-shot is right on 21 % (14–30), zero-shot on 20 % (13–29): no prompt measured here "
        "helps enough.",
    )
    assert verdict(zero).sentence.endswith("zero-shot is right on 20 % (13–29); nothing was measured beside it.")


def test_a_job_that_ended_early_says_what_is_missing() -> None:
    zero, part = arm_of(Arm.ZERO_SHOT, right(20, 100)), arm_of(Arm.FEW_SHOT, [1] * 30, partial=True)
    found = verdict(zero, part, partial=True, settings={"arms": [Arm.ZERO_SHOT, Arm.FEW_SHOT, Arm.LORA]})

    assert found.notes[:2] == (
        "The job ended before its evaluation was over; 1 arm was not begun.",
        "Few-shot ended early, after 30 rows. Long rows come first, so these are no fair sample: its figures are shown "
        "and not compared.",
    )
    none = verdict(part, partial=True)
    assert none.sentence == "No arm has answered all rows, so there is no verdict."
    assert none.advice is Advice.MEASURE_MORE


def test_failed_and_cut_rows_are_told() -> None:
    zero = arm_of(Arm.ZERO_SHOT, right(20, 100))
    items = (item(0, 0, error="too long"), item(1, 0, cut=True), *zero.items[2:])
    found = verdict(answered_by(Arm.ZERO_SHOT, items))

    assert found.notes == (
        "Zero-shot: 1 of 100 rows failed; it counts as wrong.",
        "Zero-shot: 1 of 100 answers was cut at the longest length allowed.",
    )
    more = (*(item(at, 0, error="too long") for at in range(2)), *(item(at, 0, cut=True) for at in (2, 3)))
    assert verdict(answered_by(Arm.ZERO_SHOT, (*more, *zero.items[4:]))).notes == (
        "Zero-shot: 2 of 100 rows failed; they count as wrong.",
        "Zero-shot: 2 of 100 answers were cut at the longest length allowed.",
    )


def failed(arm: Arm, rows: int = 100) -> ArmReport:
    return answered_by(arm, [item(at, 0, error="out of memory") for at in range(rows)])


def test_an_arm_that_failed_on_every_row_neither_wins_nor_is_beaten() -> None:
    zero, few = arm_of(Arm.ZERO_SHOT, right(60, 100)), arm_of(Arm.FEW_SHOT, right(90, 100))
    lora = arm_of(Arm.LORA, right(90, 100))

    found = verdict(zero, few, failed(Arm.LORA))
    assert found.sentence.endswith(
        "few-shot is right on 90 % (83–94), zero-shot on 60 % (50–69): the better prompt is few-shot."
    )
    assert found.notes[-2] == (
        "LoRA failed on every row, so its figures say that it did not run, and not how good it is. The first reason: "
        "out of memory"
    )
    alone = verdict(zero, few)
    assert found.sentence == alone.sentence
    assert found.notes[0] == alone.notes[0]
    assert verdict(failed(Arm.ZERO_SHOT), lora).sentence.endswith(
        "LoRA is right on 90 % (83–94), but no prompt ran through beside it: measure zero-shot and few-shot, or "
        "nobody can tell whether more was needed."
    )
    assert verdict(zero, failed(Arm.LORA)).sentence.endswith("60 % (50–69); no other arm ran through.")


def test_where_everything_failed_there_is_no_verdict() -> None:
    found = verdict(failed(Arm.ZERO_SHOT), failed(Arm.LORA))

    assert (found.advice, found.sentence) == (Advice.MEASURE_MORE, "Every row failed, so there is no verdict.")


def test_a_loss_of_general_ability_is_told_first() -> None:
    row = RetentionItem(index=0, tokens=5, nats_before=1, nats_after=5, correct_before=True, correct_after=False)
    change = Estimate(value=0.8, low=0.5, high=1)
    retention = RetentionSummary(
        set_sha256="e" * 64,
        items=(row,),
        loss_before=0.2,
        loss_after=1,
        loss_change=change,
        accuracy_before=1,
        accuracy_after=0,
        accuracy_change=Estimate(value=-1, low=-1, high=0),
        loss_limit=0.1,
        accuracy_limit=0.05,
        warning="Tuning cost general ability.",
    )
    found = verdict(arm_of(Arm.ZERO_SHOT, right(2, 100)), arm_of(Arm.LORA, right(90, 100)), retention=retention)

    assert found.notes[0] == "Tuning cost general ability."
    assert found.advice is Advice.TUNE


def test_what_would_stay_hidden_is_told() -> None:
    found = verdict(arm_of(Arm.ZERO_SHOT, right(40, 100)), arm_of(Arm.LORA, [0] * 20 + [1] * 40 + [0] * 40))

    assert found.notes[-1] == (
        "Between arms that differ on as many rows as these, 100 rows show a difference of 17 points or more (4 times "
        "in 5); a smaller one would stay hidden."
    )


def test_what_would_stay_hidden_is_of_the_arms_whose_difference_does_not_show() -> None:
    arms = [arm_of(Arm.ZERO_SHOT, right(0, 60)), arm_of(Arm.RAG, right(59, 60)), arm_of(Arm.LORA, right(2, 60))]

    assert "60 rows show a difference of 10 points or more" in verdict(*arms).notes[-1]
    assert "60 rows show a difference of 34 points or more" in verdict(*arms[:2]).notes[-1]
