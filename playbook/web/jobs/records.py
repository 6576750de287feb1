"""What ingest reads out of an attempt's events, so that pages need not parse them: curves, log lines, announcements.

The event bytes stay the truth (`models.EventChunk`); these rows repeat a part of them in a form that can be asked for
in bounded time. Imported by `models`, which is where other modules take them from.
"""

from django.db import models

from playbook.contracts.events import LogLevel


class Curve(models.Model):
    """One metric of one attempt: how far it goes, and how it comes in. Its points are `MetricPoint`s.

    `name` of telemetry has a dot (`gpu0.memory_used_bytes`), which no metric of a trainer can have; its steps are
    seconds since the claim.
    """

    attempt = models.ForeignKey("jobs.Attempt", on_delete=models.CASCADE, related_name="curves")
    name = models.CharField(max_length=60)
    points = models.BigIntegerField(default=0)
    first_step = models.BigIntegerField()
    last_step = models.BigIntegerField()
    last_value = models.FloatField()
    first_at = models.DateTimeField(help_text="when the site received the first point")
    last_at = models.DateTimeField(help_text="when the site received the last point")

    class Meta:
        ordering = ["attempt", "name"]
        constraints = [models.UniqueConstraint(fields=["attempt", "name"], name="curve_once")]

    def __str__(self) -> str:
        return f"{self.name} of {self.attempt}"


class CurveBucket(models.Model):
    """The lowest and the highest point of a stretch of a curve (`levels.Bucket`)."""

    curve = models.ForeignKey(Curve, on_delete=models.CASCADE, related_name="buckets")
    level = models.PositiveSmallIntegerField()
    bucket = models.BigIntegerField()
    low_step = models.BigIntegerField()
    low_value = models.FloatField()
    high_step = models.BigIntegerField()
    high_value = models.FloatField()

    class Meta:
        ordering = ["curve", "level", "bucket"]
        constraints = [models.UniqueConstraint(fields=["curve", "level", "bucket"], name="curve_bucket_once")]

    def __str__(self) -> str:
        return f"bucket {self.bucket} at level {self.level} of {self.curve}"


class LogEntry(models.Model):
    """One line of the log as people read it; stages, checkpoints and the end have one too."""

    attempt = models.ForeignKey("jobs.Attempt", on_delete=models.CASCADE, related_name="log_entries")
    at = models.DateTimeField()
    level = models.CharField(max_length=10, choices=[(level.value, level.value) for level in LogLevel])
    text = models.TextField()

    class Meta:
        ordering = ["attempt", "id"]
        indexes = [models.Index(fields=["attempt", "id"], name="log_entry_tail")]

    def __str__(self) -> str:
        return self.text


class Announcement(models.Model):
    """The last event of one kind that an attempt sent, as JSON text: `configured`, `preflight`, `predicted`.

    Text rather than a JSON column: PostgreSQL's refuses the NUL character, which a token may hold.
    """

    attempt = models.ForeignKey("jobs.Attempt", on_delete=models.CASCADE, related_name="announcements")
    kind = models.CharField(max_length=20)
    data = models.TextField()

    class Meta:
        ordering = ["attempt", "kind"]
        constraints = [models.UniqueConstraint(fields=["attempt", "kind"], name="announcement_once")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.attempt}"


class Prediction(models.Model):
    """What the probe steps of an attempt foretold, and what it came to. The job's own is that of its last attempt.

    `hour_rate` and `currency` are the settings of the site at that time, so that a later change rewrites no cost.
    """

    attempt = models.OneToOneField("jobs.Attempt", on_delete=models.CASCADE, related_name="prediction")
    after_steps = models.BigIntegerField()
    seconds = models.FloatField()
    seconds_per_step = models.FloatField()
    peak_memory_bytes = models.BigIntegerField()
    hour_rate = models.DecimalField(max_digits=12, decimal_places=4, help_text="per GPU hour; 0: none was set")
    currency = models.CharField(max_length=10)
    actual_seconds = models.FloatField(null=True)
    actual_peak_memory_bytes = models.BigIntegerField(null=True)
    stopped_early = models.BooleanField(
        default=False, help_text="ended before the steps that were foretold, as told to"
    )

    class Meta:
        ordering = ["-attempt"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(actual_seconds__isnull=False) | models.Q(actual_peak_memory_bytes__isnull=True),
                name="prediction_memory_only_with_time",
            )
        ]

    def __str__(self) -> str:
        return f"prediction of {self.attempt}"
