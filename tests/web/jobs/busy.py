"""Jobs that have something to show: one that runs and has sent everything, one whose prediction is settled."""

import math
from datetime import timedelta

from django.utils import timezone

from playbook.contracts.protocol import GpuTelemetry, Telemetry
from playbook.contracts.report import TrainingSummary
from playbook.contracts.states import EndReason, JobState
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.jobs import actions, curves
from playbook.web.jobs.models import Artifact, Job
from playbook.web.usecases.models import UseCase
from tests.web.jobs.announced import ENDLESS, GB, SAMPLE, configured, metric, predicted, preflight, tokens_of
from tests.web.jobs.ended import claimed_job, send_events
from tests.web.jobs.factories import make_report

STEPS = 24


def busy_job(use_case: UseCase, person: User) -> Job:
    """A job in training with a preflight that lost rows, a prediction, curves that overfit, telemetry and a log."""
    attempt = claimed_job(use_case, person)
    words = ("The printer on floor three says paper jam", "but there is none", ", please help .")
    long = tokens_of(*((f"{word} ", number >= 560) for number, word in enumerate(words * 200)))
    send_events(
        attempt,
        {"kind": "stage_started", "stage": "data"},
        {"kind": "log", "message": "Loaded smollm2-135m-instruct in 0.5 s on cpu."},
        preflight(
            samples=[SAMPLE, {**SAMPLE, "line": 8, "tokens": long}, ENDLESS],
            dropped_rows=2,
            truncated_rows=3,
            lost_lines=[4, 9, 17, 23, 31],
            lost_tokens=1234,
        ),
        configured(max_length=256, learning_rate=5e-4, r=16, optimizer="adamw (fused)", device="cpu"),
        {"kind": "log", "level": "warning", "message": "2 rows are longer than 256 tokens and were dropped."},
        {"kind": "stage_finished", "stage": "data", "seconds": 3.5},
        {"kind": "stage_started", "stage": "training"},
        *(
            metric(
                step,
                train_loss=2.5 * math.exp(-step / 8) + 0.05 * (step % 3),
                learning_rate=5e-4 * (1 - step / 30),
                grad_norm=1.5 + math.sin(step),
                tokens_per_second=800.0 + 10 * (step % 5),
                peak_memory_bytes=1.9e9,
            )
            for step in range(1, STEPS + 1)
        ),
        *(metric(step, validation_loss=0.8 + abs(step - 10) / 40) for step in (5, 10, 15, 20)),
        predicted(),
        {"kind": "log", "message": "Step 24 of 30."},
        {"kind": "progress", "stage": "training", "done": 24, "total": 30, "unit": "steps", "remaining_seconds": 42},
    )
    gpu = GpuTelemetry(index=0, memory_used_bytes=20 * GB, utilisation_percent=91, temperature_celsius=64)
    for second in range(0, 60, 5):
        seen = gpu.model_copy(update={"utilisation_percent": 60.0 + second % 20})
        read = Telemetry(memory_used_bytes=6 * GB + second * 10**7, cpu_percent=50.0 + second % 15, gpus=(seen,))
        curves.keep(attempt, ((name, second, value) for name, value in read.values().items()), at=timezone.now())
    return attempt.job


def apart_jobs(use_case: UseCase, person: User) -> list[Job]:
    """Two jobs that train: the loss of one falls, that of the other was thrown up and stays so."""
    falling = [2 * math.exp(-step / 8) + 0.3 for step in range(1, STEPS + 1)]
    thrown_up = [2.3, 2.3, *(40 / step + 8 for step in range(3, STEPS + 1))]
    jobs = []
    for losses in (falling, thrown_up):
        attempt = claimed_job(use_case, person)
        points = (metric(step, train_loss=loss) for step, loss in enumerate(losses, start=1))
        send_events(attempt, {"kind": "stage_started", "stage": "training"}, *points)
        jobs.append(attempt.job)
    return jobs


def predicted_job(
    use_case: UseCase,
    person: User,
    *,
    seconds: float = 110.0,
    memory: int | None = 3 * GB,
    stopped_early: bool = False,
) -> Job:
    """A job that foretold 100 s and 2 GB, and took `seconds` and `memory`; None: it measured without training."""
    attempt = claimed_job(use_case, person)
    send_events(attempt, predicted())
    report = make_report(attempt.job.run_spec)
    training = memory and TrainingSummary(
        steps=1,
        seconds=1,
        seconds_to_first_step=1,
        supervised_tokens=1,
        tokens=1,
        final_train_loss=1,
        final_validation_loss=None,
        trainable_parameters=1,
        total_parameters=1,
        peak_memory_bytes=memory,
        stopped_early=stopped_early,
    )
    report = report.model_copy(
        update={"finished_at": report.started_at + timedelta(seconds=seconds), "training": training or None}
    )
    blob = blobs.store([report.model_dump_json().encode()])
    Artifact.objects.create(
        job=attempt.job, attempt=attempt, name="report.json", sha256=blob.sha256, size_bytes=blob.size_bytes
    )
    actions.finish(attempt, state=JobState.SUCCEEDED, reason=EndReason.COMPLETED, message="")
    return attempt.job
