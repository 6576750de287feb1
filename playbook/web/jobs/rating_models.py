"""Blind ratings: which of two arms' answers to a test row a person liked better, not knowing which arm was which."""

from django.conf import settings
from django.db import models
from django.db.models import F, Q

from playbook.contracts.run_spec import Arm

_ARMS = [arm.value for arm in Arm]


class Preferred(models.TextChoices):
    FIRST = "first", "first"
    SECOND = "second", "second"
    EQUAL = "equal", "equal"


class Rating(models.Model):
    """One person's judgement of one row. Appended, never edited: whoever rated a row does not rate it again.

    `first_arm` stands before `second_arm` in the report; which of them was shown on the left is `first_on_left`.
    `report_sha256`: the report that the answers were read from.
    """

    job = models.ForeignKey("jobs.Job", on_delete=models.PROTECT, related_name="ratings")
    rater = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    report_sha256 = models.CharField(max_length=64)
    first_arm = models.CharField(max_length=20)
    second_arm = models.CharField(max_length=20)
    row_index = models.PositiveIntegerField()
    first_on_left = models.BooleanField()
    preferred = models.CharField(max_length=10, choices=Preferred.choices)
    rated_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["job", "first_arm", "second_arm", "row_index", "rater"], name="rating_once_a_person_and_row"
            ),
            models.CheckConstraint(condition=Q(preferred__in=Preferred.values), name="rating_known_preference"),
            models.CheckConstraint(
                condition=Q(first_arm__in=_ARMS, second_arm__in=_ARMS) & ~Q(first_arm=F("second_arm")),
                name="rating_two_known_arms",
            ),
        ]

    def __str__(self) -> str:
        return f"row {self.row_index} of job {self.job_id}, {self.first_arm} against {self.second_arm}"
