"""Playground sessions: what people asked and what came back. Imported by `models`."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from playbook.contracts.playground import Side


class PlaygroundSession(models.Model):
    """A job that answers turns. `tuned_job`: whose adapter answers beside the base; None: the base alone."""

    job = models.OneToOneField("jobs.Job", on_delete=models.CASCADE, related_name="session")
    tuned_job = models.ForeignKey("jobs.Job", null=True, on_delete=models.PROTECT, related_name="+")
    closed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"playground session {self.job_id}"


class PlaygroundTurn(models.Model):
    """One question, numbered from 1. `stopped_at`: when somebody ended its answers."""

    session = models.ForeignKey(PlaygroundSession, on_delete=models.CASCADE, related_name="turns")
    number = models.PositiveIntegerField()
    question = models.TextField()
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    asked_at = models.DateTimeField(auto_now_add=True)
    stopped_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["session", "number"]
        constraints = [models.UniqueConstraint(fields=["session", "number"], name="playground_turn_number_once")]

    def __str__(self) -> str:
        return f"turn {self.number} of {self.session}"


class PlaygroundAnswer(models.Model):
    """What one side said so far. `seconds`: how long the model computed for it; `is_cut`: at the limit of tokens;
    `is_stopped`: by a person."""

    turn = models.ForeignKey(PlaygroundTurn, on_delete=models.CASCADE, related_name="answers")
    side = models.CharField(max_length=10)
    text = models.TextField(blank=True)
    tokens = models.PositiveIntegerField(default=0)
    is_done = models.BooleanField(default=False)
    is_cut = models.BooleanField(default=False)
    is_stopped = models.BooleanField(default=False)
    seconds = models.FloatField(null=True)
    error = models.TextField(blank=True)

    class Meta:
        ordering = ["turn", "side"]
        constraints = [
            models.UniqueConstraint(fields=["turn", "side"], name="playground_answer_once"),
            models.CheckConstraint(condition=Q(side__in=[side.value for side in Side]), name="playground_known_side"),
        ]

    def __str__(self) -> str:
        return f"{self.side} on {self.turn}"

    @property
    def tokens_per_second(self) -> float | None:
        return self.tokens / self.seconds if self.seconds else None
