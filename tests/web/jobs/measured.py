"""Reports of several arms, as a job writes them: five arms on labelled tickets, with costs, latency and retention."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from playbook.contracts.dataset import Message
from playbook.contracts.metrics import Metric
from playbook.contracts.report import (
    ArmReport,
    Estimate,
    ItemResult,
    Report,
    RetentionItem,
    RetentionSummary,
    TrainingSummary,
)
from playbook.contracts.run_spec import Arm, CostSettings, EvaluationSettings, RunSpec
from playbook.scoring.compare import compare_all, scores_of
from playbook.scoring.metrics import Judge
from playbook.web.accounts.models import User
from playbook.web.decisions.models import Decision
from playbook.web.jobs import blind, reports
from playbook.web.jobs.models import Job
from playbook.web.usecases.models import UseCase
from tests.web.jobs.ended import claimed_job, finished_with
from tests.web.jobs.factories import asking_for, make_report, make_spec, with_rows

ROWS = 60
LABELS = ("account", "billing", "bug", "feature")
#: arm → every how-many-th row is wrong; seconds and prompt tokens a request.
ARMS = {
    Arm.ZERO_SHOT: (2, 0.31, 48),
    Arm.FEW_SHOT: (3, 0.84, 412),
    Arm.RAG: (4, 1.26, 655),
    Arm.LORA: (15, 0.29, 48),
    Arm.RAG_LORA: (20, 1.22, 655),
}
TICKETS = (
    "I cannot log in since this morning, the reset link leads nowhere.",
    "You charged my card twice for the same month.",
    "The export stops at row 1,000 with a blank page. <b>Please</b> hurry!",
    "Could the calendar show the week numbers?",
)
SETTINGS = EvaluationSettings(
    arms=(Arm.ZERO_SHOT, Arm.FEW_SHOT, Arm.LORA),
    metric=Metric.LABEL_ACCURACY,
    secondary_metrics=(Metric.CHRF,),
    labels=LABELS,
)


def measured_spec(*, rows: int = ROWS, settings: EvaluationSettings = SETTINGS, hour_rate: float = 2.0) -> RunSpec:
    """A spec whose test split has so many rows, with a price for the machine."""
    cost = CostSettings(hour_rate=hour_rate, currency="EUR") if hour_rate else None
    return with_rows(make_spec(), rows).model_copy(update={"evaluation": settings, "cost": cost})


def answered(
    index: int, *, output: str, expected: str, settings: EvaluationSettings = SETTINGS, **more: Any
) -> ItemResult:
    """A row judged as the trainer judges it."""
    judged = Judge(settings).judge(output=output, expected=expected, failed=more.get("error") is not None)
    values: dict[str, Any] = {
        "index": index,
        "prompt": (Message(role="user", content=TICKETS[index % len(TICKETS)]),),
        "expected": expected,
        "output": output,
        "correct": judged.correct,
        "json_valid": judged.json_valid,
        "prompt_tokens": 48,
        "output_tokens": 3,
        "natural_stop": True,
        "score": judged.score,
        "scores": judged.scores,
    }
    return ItemResult.model_validate(values | more)


def measured_arm(arm: Arm, *, rows: int = ROWS, odd: Mapping[int, Mapping[str, Any]] | None = None) -> ArmReport:
    """An arm of `ARMS`. `odd`: what is different in single rows."""
    every, seconds, tokens = ARMS[arm]
    items = []
    for index in range(rows):
        right, wrong = LABELS[index % 4], LABELS[(index + 1) % 4]
        given: dict[str, Any] = {"output": wrong if index % every == 0 else right}
        given |= (odd or {}).get(index, {})
        latency = None if given.get("error") else seconds * (0.8 + (index % 7) / 15)
        items.append(answered(index, expected=right, prompt_tokens=tokens, latency_seconds=latency, **given))
    scores = scores_of(items, SETTINGS)
    return ArmReport(arm=arm, items=tuple(items), scores=scores, seconds=seconds * rows, batch_size=20)


def measured_report(spec: RunSpec, arms: tuple[ArmReport, ...], **more: Any) -> Report:
    training = TrainingSummary(
        steps=40,
        seconds=96.0,
        seconds_to_first_step=5.0,
        supervised_tokens=9_000,
        tokens=28_000,
        final_train_loss=0.02,
        final_validation_loss=0.05,
        trainable_parameters=4_884_480,
        total_parameters=139_000_000,
        peak_memory_bytes=2_700_000_000,
    )
    tuned = any(arm.arm.is_tuned for arm in arms)
    values = {"arms": arms, "comparisons": compare_all(arms), "training": training if tuned else None}
    return make_report(spec).model_copy(update=values | more)


def retention(*, warning: str | None = None) -> RetentionSummary:
    items = tuple(
        RetentionItem(
            index=index,
            tokens=10,
            nats_before=9.0,
            nats_after=11.0,
            correct_before=index % 2 == 0,
            correct_after=index % 3 == 0,
        )
        for index in range(30)
    )
    return RetentionSummary(
        set_sha256="7" * 64,
        items=items,
        loss_before=0.9,
        loss_after=1.1,
        loss_change=Estimate(value=0.2, low=0.14, high=0.27),
        accuracy_before=0.5,
        accuracy_after=1 / 3,
        accuracy_change=Estimate(value=-1 / 6, low=-0.3, high=-0.02),
        loss_limit=0.2,
        accuracy_limit=0.1,
        warning=warning,
    )


def five_arm_job(use_case: UseCase, created_by: User, *, decision: Decision | None = None) -> Job:
    """A job that measured five arms on 60 tickets. LoRA wins; some rows are odd in every way that the page knows."""
    spec = asking_for(measured_spec(), *ARMS)
    warning = "Accuracy on the general set fell by 17 points (2 to 30), more than the limit of 10. Mix general rows in."
    report = _five_arms().model_copy(update={"spec": spec, "retention": retention(warning=warning)})
    return finished_with(claimed_job(use_case, created_by, decision=decision, spec=spec), report)


@cache
def _five_arms() -> Report:
    """Judged and compared once: a hundred tests look at the same answers, and none changes them."""
    odd: dict[Arm, dict[int, dict[str, Any]]] = {
        Arm.ZERO_SHOT: {1: {"output": ""}, 5: {"output": "<script>alert(1)</script>"}},
        Arm.RAG: {2: {"output": "", "error": "the prompt is longer than the model's context of 2,048 tokens"}},
        Arm.FEW_SHOT: {3: {"output": "feature " * 900, "output_tokens": 1800, "natural_stop": False, "cut": True}},
    }
    arms = tuple(measured_arm(arm, odd=odd.get(arm)) for arm in ARMS)
    return measured_report(asking_for(measured_spec(), *ARMS), arms)


def rated_job(use_case: UseCase, created_by: User, *, raters: Sequence[User]) -> Job:
    """The same job, and each rater has judged ten rows of few-shot against LoRA: mostly the right answer."""
    job = five_arm_job(use_case, created_by)
    read = reports.read_of(job)
    assert read is not None
    pair = blind.pair_of(blind.pairs_of(read.report), "few_shot,lora")
    assert pair is not None
    for rater in raters:
        seen: set[int] = set()
        while len(seen) < 10 and (question := blind.next_question(job, pair, rater, seen)):
            choice: blind.Choice = "left" if question.left == question.expected else "right"
            if question.index % 9 == 0:
                choice = "equal"
            blind.rate(job, pair, rater=rater, report_sha256=read.sha256, row_index=question.index, choice=choice)
            seen.add(question.index)
    return job
