"""Writes on datasets: import a sample, create one for a use case, add a version."""

from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path

from django.db import transaction
from django.db.models import Max
from django.utils.text import slugify

from playbook.contracts.dataset import Split
from playbook.scoring.overlap import measure_overlap
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.models import record
from playbook.web.datasets.models import Dataset, DatasetVersion, SplitFile
from playbook.web.datasets.reading import Splits, read_three_files
from playbook.web.datasets.sample_card import read_sample
from playbook.web.usecases.models import UseCase


@dataclass(frozen=True)
class Card:
    """The data card: what a reader must know before they trust the rows."""

    name: str
    description: str = ""
    source: str = ""
    licence: str = ""
    data_owner: str = ""
    consent: str = ""


def import_sample_dataset(folder: Path) -> Dataset:
    """Bring `content/datasets/<slug>/` into the site. Idempotent: a new version only when the files changed.

    Raises BadDataset when a split has problems, ContentError when `card.md` has or does not describe these files,
    FileNotFoundError when a file is missing.
    """
    card, contents = read_sample(folder)
    splits = read_three_files(contents)
    with transaction.atomic():
        dataset, _ = Dataset.objects.update_or_create(
            slug=card.slug,
            is_sample=True,
            defaults={
                "name": card.title,
                "description": card.summary,
                "source": card.source,
                "licence": card.licence,
                "data_owner": card.owner,
                "consent": card.consent,
            },
        )
        latest = dataset.latest
        held = {file.split: file.sha256 for file in latest.files.all()} if latest else {}
        if held != {split.value: sha256(content).hexdigest() for split, content in splits.content.items()}:
            add_version(dataset, splits=splits, created_by=None)
    return dataset


@transaction.atomic
def create_dataset(*, use_case: UseCase, card: Card, splits: Splits, created_by: User) -> Dataset:
    """Create a dataset of a use case with its first version."""
    slug = _free_slug(use_case, card.name)
    dataset = Dataset.objects.create(use_case=use_case, slug=slug, created_by=created_by, **asdict(card))
    record("created", dataset, actor=created_by)
    add_version(dataset, splits=splits, created_by=created_by)
    return dataset


@transaction.atomic
def add_version(dataset: Dataset, *, splits: Splits, created_by: User | None) -> DatasetVersion:
    """Store the splits as the next version. Files first, rows after: a crash between leaves a blob, never a gap."""
    blob_of = {split: blobs.store([content]) for split, content in splits.content.items()}
    # Lock the dataset, so that two uploads at once get two numbers.
    Dataset.objects.select_for_update().get(pk=dataset.pk)
    last = dataset.versions.aggregate(last=Max("number"))["last"] or 0
    overlap = measure_overlap(
        [row.example for row in splits.rows[Split.TRAIN]], [row.example for row in splits.rows[Split.TEST]]
    )
    version = DatasetVersion.objects.create(
        dataset=dataset,
        number=last + 1,
        made_from=splits.made_from,
        shared_templates=overlap.shared_templates,
        test_templates=overlap.test_templates,
        created_by=created_by,
    )
    SplitFile.objects.bulk_create(
        SplitFile(
            version=version,
            split=split,
            sha256=blob_of[split].sha256,
            size_bytes=blob_of[split].size_bytes,
            rows=len(splits.rows[split]),
        )
        for split in Split
    )
    record(
        "added version",
        dataset,
        actor=created_by,
        number=version.number,
        sha256={split.value: blob.sha256 for split, blob in blob_of.items()},
    )
    return version


def _free_slug(use_case: UseCase, name: str) -> str:
    base = slugify(name)[:100] or "dataset"
    taken = set(use_case.datasets.filter(slug__startswith=base).values_list("slug", flat=True))
    return next(slug for slug in (base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))) if slug not in taken)
