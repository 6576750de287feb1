"""How long a job will take, before it is launched.

Work is counted in floating-point operations: a forward pass costs 2N per token, a LoRA step 4N (forward, and the
backward pass through frozen weights without their own gradients; "LoRA Without Regret", Thinking Machines, 2025).
The rate comes from finished jobs with the same base model; without any, from an assumption that the page states.
"""

from contextlib import suppress
from dataclasses import dataclass
from statistics import median

from playbook.contracts.dataset import Split
from playbook.contracts.run_spec import Arm, ExampleChoice, RunSpec
from playbook.contracts.states import JobState
from playbook.web.jobs.models import Job
from playbook.web.jobs.specs import UnreadableSpec

#: Bytes of JSONL for one token of English, message syntax included.
BYTES_PER_TOKEN = 5
#: Start of the trainer, loading, validation and upload.
FIXED_SECONDS = 20
#: Assumed rate without any finished job to learn from: two CPU cores, about what the row "trainer: ours, operations" of
#: `make bench` said on several machines.
ASSUMED_FLOPS_PER_SECOND = 186e9
#: Generating one token at a time uses the machine less well than training on whole rows.
GENERATION_COST = 4
#: Answering in float32 against bf16, batches of 20 on two CPU cores: the rows "generation" of `make bench`, README.
FLOAT32_COST = 1.7
#: Tokens of the general set, about; it is read before and after training, and nothing is generated.
GENERAL_TOKENS = 3_000
#: Tokens of one word of English, in passages.
TOKENS_PER_WORD = 1.4
HISTORY = 10


@dataclass(frozen=True)
class Estimate:
    """`basis` says in words what the figure rests on. `cost` in `currency`; None when an hour has no price here."""

    seconds: float
    cost: float | None
    currency: str
    training_tokens: int
    test_answers: int
    basis: str


def estimate(spec: RunSpec, *, parameters: int) -> Estimate:
    """Return the estimated duration of a run from launch to report. One query."""
    work = _work_seconds(spec, parameters=parameters)
    ratios = _measured_ratios(spec.base_model.id, parameters=parameters)
    test_answers = spec.measured_rows.rows * _measurements(spec)
    if ratios:
        basis = f"Scaled from {len(ratios)} finished job{'s' if len(ratios) > 1 else ''} with this base model."
    else:
        basis = "No finished job with this base model yet: assumes two CPU cores. A GPU is many times quicker."
    seconds = FIXED_SECONDS + work * (median(ratios) if ratios else 1.0)
    return Estimate(
        seconds=seconds,
        cost=spec.cost.hour_rate * seconds / 3600 if spec.cost else None,
        currency=spec.cost.currency if spec.cost else "",
        training_tokens=_training_tokens(spec),
        test_answers=test_answers,
        basis=basis,
    )


def _measurements(spec: RunSpec) -> int:
    """How often the rows are answered: once by each arm, and again for each repeat of few_shot."""
    again = spec.evaluation.repeats - 1 if Arm.FEW_SHOT in spec.evaluation.arms else 0
    return len(spec.evaluation.arms) + again


def _training_tokens(spec: RunSpec) -> int:
    if not spec.trains:
        return 0
    settings = spec.training
    rows = settings.max_steps * settings.per_device_train_batch_size * settings.gradient_accumulation_steps
    return int(rows * min(_tokens_per_row(spec, Split.TRAIN), settings.max_length))


def _tokens_per_row(spec: RunSpec, split: Split) -> float:
    file = spec.input(split)
    return file.size_bytes / file.rows / BYTES_PER_TOKEN


def _work_seconds(spec: RunSpec, *, parameters: int) -> float:
    """Seconds of computation at the assumed rate."""
    training = 4.0 * parameters * _training_tokens(spec)
    read = 0.0
    if spec.trains:
        validations = spec.training.max_steps // spec.training.eval_steps + 1
        validated = validations * spec.input(Split.VALIDATION).size_bytes / BYTES_PER_TOKEN
        training += 2 * parameters * validated
        read = 2 * GENERAL_TOKENS
    rows, evaluation = spec.measured_rows.rows, spec.evaluation
    per_row = _tokens_per_row(spec, evaluation.split)
    for arm in evaluation.arms:
        times = evaluation.repeats if arm is Arm.FEW_SHOT else 1
        read += times * rows * per_row + times * _added_tokens(spec, arm)
    generated = GENERATION_COST * rows * _measurements(spec) * evaluation.max_new_tokens
    slower = FLOAT32_COST if evaluation.evaluation_dtype == "float32" else 1.0
    return (training + slower * 2 * parameters * (read + generated)) / ASSUMED_FLOPS_PER_SECOND


def _added_tokens(spec: RunSpec, arm: Arm) -> float:
    """Tokens that an arm puts before the rows, all rows together. Examples that are the same for every row are computed
    once; passages, and the nearest examples, belong to their row."""
    rows, evaluation = spec.measured_rows.rows, spec.evaluation
    if arm.retrieves:
        return rows * spec.retrieval.top_k * spec.retrieval.passage_words * TOKENS_PER_WORD
    if arm is not Arm.FEW_SHOT:
        return 0.0
    examples = spec.prompt.examples
    if examples:
        return sum(len(one.user) + len(one.assistant) for one in examples) / BYTES_PER_TOKEN
    shown = evaluation.few_shot_examples * _tokens_per_row(spec, Split.TRAIN)
    return shown * rows if evaluation.few_shot_choice is ExampleChoice.NEAREST else shown


def _measured_ratios(base_model: str, *, parameters: int) -> list[float]:
    """Measured against assumed working time, of the last finished jobs."""
    jobs = Job.objects.runs().filter(state=JobState.SUCCEEDED, base_model=base_model)
    ratios = []
    for job in jobs.order_by("-pk")[:HISTORY]:
        if job.started_at and job.ended_at:
            measured = (job.ended_at - job.started_at).total_seconds() - FIXED_SECONDS
            # One job whose settings are another version's must not keep every other from being estimated.
            with suppress(UnreadableSpec):
                ratios.append(max(measured, 1.0) / _work_seconds(job.run_spec, parameters=parameters))
    return ratios
