"""Workers, jobs, their attempts, and what an attempt sends: event bytes, metric points, artifacts.

Rows change through `actions`, `ingest` and `uploads` alone. The states and their transitions are `contracts.states`.
What ingest reads out of the events is kept in the models of `records`.
"""

from collections import Counter
from datetime import datetime, timedelta
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Count, IntegerField, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.urls import reverse
from django.utils import timezone

from playbook.contracts.merging import MergeSpec
from playbook.contracts.playground import PlaygroundSpec
from playbook.contracts.run_spec import RunSpec
from playbook.contracts.states import ACTIVE_STATES, ENDED_STATES, EndReason, JobState, Stage
from playbook.web.accounts.models import User
from playbook.web.jobs import specs
from playbook.web.jobs.merge_models import Merge
from playbook.web.jobs.playground_models import PlaygroundAnswer, PlaygroundSession, PlaygroundTurn
from playbook.web.jobs.rating_models import Rating
from playbook.web.jobs.records import Announcement, Curve, CurveBucket, LogEntry, Prediction
from playbook.web.usecases.models import Membership, UseCase

__all__ = [
    "Announcement",
    "Artifact",
    "Attempt",
    "AttemptEnd",
    "Curve",
    "CurveBucket",
    "EventChunk",
    "Job",
    "LogEntry",
    "Merge",
    "MetricPoint",
    "PlaygroundAnswer",
    "PlaygroundSession",
    "PlaygroundTurn",
    "Prediction",
    "Rating",
    "Worker",
]

#: A worker polls each second and beats every few; after this silence it is shown as away.
ONLINE_SECONDS = 30
#: What a launcher may give. Higher runs first; everybody's jobs wait in one queue, so the range is small.
MIN_PRIORITY, MAX_PRIORITY = -10, 10
# Plain values, so that migrations need not import the contracts.
_STATES = [state.value for state in JobState]
_ENDED = sorted(state.value for state in ENDED_STATES)
_REASONS = [reason.value for reason in EndReason]


class WorkerQuerySet(models.QuerySet["Worker"]):
    def online(self) -> Self:
        """Workers that called within the last `ONLINE_SECONDS` and are not disabled."""
        since = timezone.now() - timedelta(seconds=ONLINE_SECONDS)
        return self.filter(disabled_at=None, last_seen_at__gte=since)


class Worker(models.Model):
    """A machine that may claim jobs. Its token is kept as a sha256 alone, so a stolen database opens nothing."""

    name = models.CharField(max_length=100, unique=True)
    token_hash = models.CharField(max_length=64, unique=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    capabilities = models.JSONField(default=dict)
    last_seen_at = models.DateTimeField(null=True)
    disabled_at = models.DateTimeField(null=True)

    objects = WorkerQuerySet.as_manager()

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_online(self) -> bool:
        """As `WorkerQuerySet.online`, for one that is loaded already."""
        since = timezone.now() - timedelta(seconds=ONLINE_SECONDS)
        return self.disabled_at is None and self.last_seen_at is not None and self.last_seen_at >= since

    @property
    def has_gpu(self) -> bool:
        """True when the worker reported a GPU; all are NVIDIA, since only their driver is asked."""
        return bool(self.capabilities.get("gpus"))

    @property
    def base_models(self) -> list[str]:
        """Ids of the base models that the worker offered when it last called."""
        return list(self.capabilities.get("base_models", []))


class JobQuerySet(models.QuerySet["Job"]):
    def for_member(self, user: User) -> Self:
        """Jobs of the use cases that the user belongs to."""
        return self.filter(models.Exists(Membership.objects.filter(use_case=OuterRef("use_case_id"), user=user)))

    def for_use_case(self, use_case: UseCase) -> Self:
        return self.filter(use_case=use_case)

    def measured_on(self, test_set_sha256: str) -> Self:
        """Jobs with a report on this test set, the first to look at it first."""
        reported = Artifact.objects.filter(job=OuterRef("pk"), name="report.json")
        return self.filter(models.Exists(reported), test_set_sha256=test_set_sha256).order_by("pk")

    def runs(self) -> Self:
        """Jobs that measure; playground sessions and merges left out."""
        return self.filter(kind=JobKind.RUN)

    def queued(self) -> Self:
        """Waiting jobs in the order in which they are claimed: higher priority first, then the older."""
        return self.filter(state=JobState.QUEUED).order_by("-priority", "pk")

    def active(self) -> Self:
        """Jobs that a worker holds."""
        return self.filter(state__in=ACTIVE_STATES).order_by("-pk")

    def ended(self) -> Self:
        """Ended jobs, the last to end first: those with an end, which the database holds (`job_ended_iff_reason`)."""
        return self.filter(ended_at__isnull=False).order_by("-ended_at", "-pk")

    def counted(self) -> Counter[JobState]:
        """Return how many jobs there are in each state. One query."""
        counts = self.order_by().values_list("state").annotate(count=Count("pk"))
        return Counter({JobState(state): count for state, count in counts})

    def with_position(self) -> Self:
        """Annotate `position`: 1 for the next queued job to be claimed. Counts the whole queue, not this selection."""
        ahead = (
            Job.objects.filter(state=JobState.QUEUED)
            .filter(Q(priority__gt=OuterRef("priority")) | Q(priority=OuterRef("priority"), pk__lt=OuterRef("pk")))
            .order_by()
            .values("state")
            .annotate(count=Count("pk"))
            .values("count")
        )
        return self.annotate(position=Coalesce(Subquery(ahead, output_field=IntegerField()), 0) + 1)

    def with_attempts(self) -> Self:
        """Prefetch the attempts and their workers, so that `latest_attempt` asks nothing."""
        return self.prefetch_related("attempts__worker")


class JobKind(models.TextChoices):
    """What a worker is to do: run a spec to its report, answer turns in the playground, or merge an adapter."""

    RUN = "run", "run"
    PLAYGROUND = "playground", "playground session"
    MERGE = "merge", "merged model"


#: The page of each kind of job.
_PAGES = {JobKind.RUN: "jobs:detail", JobKind.PLAYGROUND: "jobs:playground", JobKind.MERGE: "jobs:merged"}


class Job(models.Model):
    """A unit of work for a worker. `spec` is a validated `RunSpec`, `PlaygroundSpec` or `MergeSpec`, as `kind` says;
    `base_model` repeats its id for the claim."""

    kind = models.CharField(max_length=20, default=JobKind.RUN, choices=JobKind.choices)
    use_case = models.ForeignKey(UseCase, on_delete=models.PROTECT, related_name="jobs")
    decision = models.ForeignKey("decisions.Decision", null=True, on_delete=models.PROTECT, related_name="jobs")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    title = models.CharField(max_length=200)
    spec = models.JSONField()
    base_model = models.CharField(max_length=200)
    recipe = models.SlugField(max_length=100, blank=True)
    test_set_sha256 = models.CharField(
        max_length=64, blank=True, help_text="the locked rows that the job measures on; empty when it leaves them alone"
    )
    state = models.CharField(
        max_length=20,
        default=JobState.QUEUED.value,
        choices=[(state.value, state.replace("_", " ")) for state in JobState],
    )
    priority = models.SmallIntegerField(default=0, help_text="higher runs first")
    end_reason = models.CharField(
        max_length=30, blank=True, choices=[(reason.value, reason.replace("_", " ")) for reason in EndReason]
    )
    end_message = models.TextField(blank=True)
    cancel_requested_at = models.DateTimeField(null=True)
    cancel_requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, help_text="first claim")
    first_step_at = models.DateTimeField(null=True, help_text="first training step of the first attempt")
    ended_at = models.DateTimeField(null=True)
    estimated_seconds = models.PositiveIntegerField(null=True)
    cloned_from = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="clones")
    max_attempts = models.PositiveSmallIntegerField(default=3, help_text="lost leases after which the job fails")

    objects = JobQuerySet.as_manager()
    position: int  # set by `with_position()`

    class Meta:
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["state", "-priority", "id"], name="job_queue"),
            models.Index(fields=["test_set_sha256"], name="job_test_set"),
            models.Index(fields=["use_case", "state"], name="job_states"),
            models.Index(fields=["-ended_at", "-id"], condition=Q(ended_at__isnull=False), name="job_ended"),
            models.Index(fields=["state", "-ended_at", "-id"], name="job_state_ended"),
        ]
        constraints = [
            models.CheckConstraint(condition=Q(state__in=_STATES), name="job_known_state"),
            models.CheckConstraint(condition=Q(kind__in=JobKind.values), name="job_known_kind"),
            models.CheckConstraint(
                condition=Q(priority__gte=MIN_PRIORITY, priority__lte=MAX_PRIORITY), name="job_priority_in_bounds"
            ),
            models.CheckConstraint(
                condition=Q(state__in=_ENDED, ended_at__isnull=False, end_reason__in=_REASONS)
                | (~Q(state__in=_ENDED) & Q(ended_at__isnull=True, end_reason="")),
                name="job_ended_iff_reason",
            ),
        ]

    def __str__(self) -> str:
        return self.title

    def get_absolute_url(self) -> str:
        return reverse(_PAGES[JobKind(self.kind)], args=[self.pk])

    @property
    def is_run(self) -> bool:
        """Whether it measures and leaves a report."""
        return self.kind == JobKind.RUN

    @property
    def playground_spec(self) -> PlaygroundSpec:
        return specs.read(self, PlaygroundSpec)

    @property
    def merge_spec(self) -> MergeSpec:
        return specs.read(self, MergeSpec)

    @property
    def run_spec(self) -> RunSpec:
        return specs.read(self, RunSpec)

    @property
    def is_ended(self) -> bool:
        return JobState(self.state) in ENDED_STATES

    @property
    def is_active(self) -> bool:
        return JobState(self.state) in ACTIVE_STATES

    @property
    def may_be_cancelled(self) -> bool:
        return not self.is_ended and self.state != JobState.CANCELLING

    @property
    def latest_attempt(self) -> "Attempt | None":
        """The attempt with the highest number; no query after `with_attempts()`."""
        return max(self.attempts.all(), key=lambda attempt: attempt.number, default=None)

    @property
    def seconds_to_first_step(self) -> float | None:
        """Seconds from the first claim to the first training step; None before it."""
        return (
            (self.first_step_at - self.started_at).total_seconds() if self.first_step_at and self.started_at else None
        )

    @property
    def waited_seconds(self) -> float:
        """Seconds from launch to the first claim; without one until the end, or until now."""
        return ((self.started_at or self.ended_at or timezone.now()) - self.created_at).total_seconds()

    @property
    def duration_seconds(self) -> float:
        """Seconds from the first claim to the end, or until now: the queue does not count. 0 without a claim."""
        return ((self.ended_at or timezone.now()) - self.started_at).total_seconds() if self.started_at else 0.0


class AttemptEnd(models.TextChoices):
    """How a lease ended; the job's own reason says how the work ended."""

    FINISHED = "finished", "finished"
    LEASE_LOST = "lease_lost", "lease lost"
    RELEASED = "released", "given back by the worker"


class AttemptQuerySet(models.QuerySet["Attempt"]):
    def live(self) -> Self:
        return self.filter(ended_at=None)

    def expired(self, now: datetime) -> Self:
        """Live attempts whose worker has been silent for longer than its lease."""
        return self.live().filter(lease_expires_at__lt=now)


class Attempt(models.Model):
    """One lease of a job by one worker. The number fences: a call that carries another number is refused.

    `stage` to `remaining_seconds` repeat the last progress event, so that lists need not read the events.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="attempts")
    number = models.PositiveIntegerField()
    worker = models.ForeignKey(Worker, on_delete=models.PROTECT, related_name="attempts")
    job_token_hash = models.CharField(max_length=64, unique=True)
    claimed_at = models.DateTimeField()
    lease_expires_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)
    end = models.CharField(max_length=20, blank=True, choices=AttemptEnd.choices)
    event_bytes = models.BigIntegerField(default=0, help_text="acknowledged length of events.jsonl")
    stage = models.CharField(max_length=20, blank=True, choices=[(stage.value, stage.value) for stage in Stage])
    progress_done = models.BigIntegerField(null=True)
    progress_total = models.BigIntegerField(null=True)
    progress_unit = models.CharField(max_length=30, blank=True)
    remaining_seconds = models.FloatField(null=True, help_text="of the whole job, at `progress_at`")
    progress_at = models.DateTimeField(null=True)
    not_finite_step = models.BigIntegerField(null=True, help_text="first step with a metric that was NaN or infinite")

    objects = AttemptQuerySet.as_manager()

    class Meta:
        ordering = ["job", "number"]
        constraints = [
            models.UniqueConstraint(fields=["job", "number"], name="attempt_number_once"),
            models.UniqueConstraint(fields=["job"], condition=Q(ended_at__isnull=True), name="attempt_one_live"),
            models.CheckConstraint(
                condition=Q(ended_at__isnull=True, end="") | Q(ended_at__isnull=False, end__in=AttemptEnd.values),
                name="attempt_ended_iff_end",
            ),
        ]
        indexes = [
            models.Index(fields=["lease_expires_at"], condition=Q(ended_at__isnull=True), name="attempt_lease"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of job {self.job_id}"

    @property
    def progress_percent(self) -> int | None:
        """Share of the current stage that is done, 0 to 100."""
        if self.progress_done is None or not self.progress_total:
            return None
        return min(100, 100 * self.progress_done // self.progress_total)


class EventChunk(models.Model):
    """Whole lines of an attempt's events.jsonl, as they arrived. Together, by offset, they are the file."""

    attempt = models.ForeignKey(Attempt, on_delete=models.CASCADE, related_name="event_chunks")
    offset = models.BigIntegerField()
    data = models.BinaryField()

    class Meta:
        ordering = ["attempt", "offset"]
        constraints = [models.UniqueConstraint(fields=["attempt", "offset"], name="event_chunk_once")]

    def __str__(self) -> str:
        return f"{len(self.data)} bytes at {self.offset} of {self.attempt}"


class MetricPoint(models.Model):
    """One finite value of one metric at one optimizer step."""

    attempt = models.ForeignKey(Attempt, on_delete=models.CASCADE, related_name="metric_points")
    name = models.CharField(max_length=60)
    step = models.BigIntegerField()
    value = models.FloatField()

    class Meta:
        ordering = ["attempt", "name", "step"]
        constraints = [models.UniqueConstraint(fields=["attempt", "name", "step"], name="metric_point_once")]

    def __str__(self) -> str:
        return f"{self.name}={self.value} at step {self.step}"


class Artifact(models.Model):
    """A file that an attempt handed over; the bytes lie in `common.blobs` under `sha256`."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="artifacts")
    attempt = models.ForeignKey(Attempt, on_delete=models.CASCADE, related_name="artifacts")
    name = models.CharField(max_length=60)
    sha256 = models.CharField(max_length=64)
    size_bytes = models.BigIntegerField()
    stored_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["job", "attempt", "name"]
        constraints = [models.UniqueConstraint(fields=["attempt", "name"], name="artifact_once")]
        indexes = [models.Index(fields=["sha256"], name="artifact_sha256")]

    def __str__(self) -> str:
        return f"{self.name} of {self.attempt}"
