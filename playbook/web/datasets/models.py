"""Datasets: validated examples in three splits, named by their content. Versions are added, never edited.

Above use cases, below assessments and jobs. A job takes `DatasetVersion.inputs()` into its run spec.
"""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.urls import reverse

from playbook.contracts.dataset import Split
from playbook.contracts.run_spec import InputFile
from playbook.web.accounts.models import User
from playbook.web.usecases.models import Membership, UseCase

SPLIT_CHOICES = [(split.value, split.value.capitalize()) for split in Split]


class DatasetQuerySet(models.QuerySet["Dataset"]):
    def visible_to(self, user: User) -> Self:
        """Samples, and the datasets of the use cases that the user belongs to."""
        member = Membership.objects.filter(use_case=OuterRef("use_case"), user=user)
        return self.filter(Q(is_sample=True) | Exists(member))

    def for_use_case(self, use_case: UseCase) -> Self:
        """What a job of this use case may take: its own datasets and the shipped samples."""
        return self.filter(Q(is_sample=True) | Q(use_case=use_case))


class Dataset(models.Model):
    """A data card and its versions. `use_case` and `created_by` are null for the samples shipped with the site."""

    use_case = models.ForeignKey(UseCase, null=True, blank=True, on_delete=models.PROTECT, related_name="datasets")
    name = models.CharField(max_length=300)
    slug = models.SlugField(max_length=120)
    description = models.TextField(max_length=5000, blank=True)
    source = models.TextField(max_length=5000, blank=True)
    licence = models.CharField(max_length=300, blank=True)
    data_owner = models.CharField("owner", max_length=300, blank=True)
    consent = models.TextField(max_length=5000, blank=True)
    is_sample = models.BooleanField(default=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DatasetQuerySet.as_manager()

    class Meta:
        ordering = ["-is_sample", "name", "id"]
        constraints = [
            models.UniqueConstraint(fields=["slug"], condition=Q(is_sample=True), name="dataset_sample_slug_once"),
            models.UniqueConstraint(fields=["use_case", "slug"], name="dataset_slug_once_per_use_case"),
            models.CheckConstraint(
                condition=Q(is_sample=True, use_case__isnull=True)
                | Q(is_sample=False, use_case__isnull=False, created_by__isnull=False),
                name="dataset_belongs_to_use_case_or_is_sample",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("datasets:detail", args=[self.pk])

    @property
    def latest(self) -> "DatasetVersion | None":
        """The newest version. Uses prefetched `versions` where there are any."""
        return max(self.versions.all(), key=lambda version: version.number, default=None)


class DatasetVersion(models.Model):
    """Three split files that belong together. `made_from` says how the splits came about, for the reader."""

    dataset = models.ForeignKey(Dataset, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    made_from = models.CharField(max_length=300)
    #: Templates (metadata.template) that train and test share, and that test has; null when rows name none.
    shared_templates = models.PositiveIntegerField(null=True)
    test_templates = models.PositiveIntegerField(null=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-number"]
        constraints = [models.UniqueConstraint(fields=["dataset", "number"], name="dataset_version_number_once")]

    def __str__(self) -> str:
        return f"{self.dataset} v{self.number}"

    def get_absolute_url(self) -> str:
        return f"{self.dataset.get_absolute_url()}?version={self.number}"

    def inputs(self) -> tuple[InputFile, ...]:
        """Return the splits as a run spec names them, in the order train, validation, test."""
        files = {file.split: file for file in self.files.all()}
        return tuple(files[split].as_input() for split in Split)

    @property
    def test_set_sha256(self) -> str:
        """The hash that locks the test set: jobs with the same one may be compared."""
        return next(file.sha256 for file in self.files.all() if file.split == Split.TEST)


class SplitFile(models.Model):
    """One split; its bytes lie in `common.blobs` under the digest."""

    version = models.ForeignKey(DatasetVersion, on_delete=models.PROTECT, related_name="files")
    split = models.CharField(max_length=10, choices=SPLIT_CHOICES)
    sha256 = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    rows = models.PositiveIntegerField()

    class Meta:
        ordering = ["version", "id"]
        constraints = [
            models.UniqueConstraint(fields=["version", "split"], name="split_file_once_per_version"),
            models.CheckConstraint(
                condition=Q(split__in=[split.value for split in Split]), name="split_file_known_split"
            ),
            models.CheckConstraint(condition=Q(rows__gte=1), name="split_file_has_rows"),
        ]

    def __str__(self) -> str:
        return f"{self.version} {self.split}"

    def as_input(self) -> InputFile:
        return InputFile(split=Split(self.split), sha256=self.sha256, size_bytes=self.size_bytes, rows=self.rows)
