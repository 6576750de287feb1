"""Datasets: validated examples in three splits, named by their content. Versions are added, never edited: the database
refuses that (`apps`).

Above use cases, below assessments and jobs. Rows come in through a `DatasetImport`; a job takes
`DatasetVersion.inputs()` into its run spec.
"""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Exists, OuterRef, Q
from django.urls import reverse

from playbook.contracts.dataset import Split
from playbook.contracts.metrics import MetricSettings
from playbook.contracts.prompting import DocumentsFile
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
    #: What makes an answer right (`contracts.metrics.MetricSettings`); {} leaves it to the recipe of a job.
    metric = models.JSONField(default=dict, blank=True)
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
    def metric_settings(self) -> MetricSettings | None:
        """How answers are judged; None while nobody has chosen."""
        return MetricSettings.model_validate(self.metric) if self.metric else None

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
    #: What the import found (a `datasets.spec.Report` among the blobs); "" for versions made before it was kept.
    report_sha256 = models.CharField(max_length=64, blank=True)
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


class DatasetImport(models.Model):
    """Files that somebody brought, until they become a version. How it stands is told by its folder (`imports`).

    `dataset` null: the rows of a new dataset, whose `card` waits here. `order`: `datasets.spec.Order`; its files are
    blobs.
    """

    use_case = models.ForeignKey(UseCase, on_delete=models.PROTECT, related_name="+")
    dataset = models.ForeignKey(Dataset, null=True, blank=True, on_delete=models.PROTECT, related_name="imports")
    card = models.JSONField(default=dict)
    order = models.JSONField()
    version = models.OneToOneField(DatasetVersion, null=True, blank=True, on_delete=models.PROTECT)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.CheckConstraint(
                condition=Q(version__isnull=True) | Q(ended_at__isnull=False), name="dataset_import_stored_is_ended"
            )
        ]

    def __str__(self) -> str:
        return str(self.dataset or self.card.get("name", ""))

    def get_absolute_url(self) -> str:
        return reverse("datasets:import", args=[self.pk])


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


class DocumentSetQuerySet(models.QuerySet["DocumentSet"]):
    def visible_to(self, user: User) -> Self:
        """Samples, and the documents of the use cases that the user belongs to."""
        member = Membership.objects.filter(use_case=OuterRef("use_case"), user=user)
        return self.filter(Q(is_sample=True) | Exists(member))

    def for_use_case(self, use_case: UseCase) -> Self:
        """What a job of this use case may search: its own documents and the shipped samples."""
        return self.filter(Q(is_sample=True) | Q(use_case=use_case))


class DocumentSet(models.Model):
    """Documents that the arms rag and rag_lora search, one JSONL file among the blobs. Never edited: what changed is
    brought as a new set, so that a report can always be traced to what was searched."""

    use_case = models.ForeignKey(UseCase, null=True, blank=True, on_delete=models.PROTECT, related_name="document_sets")
    name = models.CharField(max_length=120)
    sha256 = models.CharField(max_length=64)
    size_bytes = models.PositiveBigIntegerField()
    documents = models.PositiveIntegerField()
    is_sample = models.BooleanField(default=False)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.PROTECT, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    objects = DocumentSetQuerySet.as_manager()

    class Meta:
        ordering = ["-is_sample", "-id"]
        constraints = [
            models.UniqueConstraint(
                fields=["name", "sha256"], condition=Q(is_sample=True), name="document_set_sample_once"
            ),
            models.CheckConstraint(
                condition=Q(is_sample=True, use_case__isnull=True)
                | Q(is_sample=False, use_case__isnull=False, created_by__isnull=False),
                name="document_set_belongs_to_use_case_or_is_sample",
            ),
            models.CheckConstraint(condition=Q(documents__gte=1), name="document_set_has_documents"),
        ]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("datasets:documents", args=[self.pk])

    def as_input(self) -> DocumentsFile:
        """Return the set as a run spec names it."""
        return DocumentsFile(sha256=self.sha256, size_bytes=self.size_bytes, documents=self.documents)
