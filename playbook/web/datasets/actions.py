"""Writes on datasets: import a sample, bring files, store what came of them, add a version."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType

from django.db import transaction
from django.db.models import Max
from django.utils import timezone
from django.utils.text import slugify

from playbook.contracts.dataset import Split
from playbook.contracts.metrics import MetricSettings
from playbook.datasets.spec import Mapping as FieldMapping
from playbook.datasets.spec import Order, Report, Source, SplitPlan
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.models import record
from playbook.web.common.permissions import Conflict
from playbook.web.datasets import imports
from playbook.web.datasets.models import Dataset, DatasetImport, DatasetVersion, SplitFile
from playbook.web.datasets.reading import Splits, read_three_files, splits_in
from playbook.web.datasets.sample_card import read_sample
from playbook.web.usecases.models import UseCase

#: Folders of imports that nobody stored are removed after this time; the uploaded files stay.
_KEPT_FOR = timedelta(days=14)


@dataclass(frozen=True)
class Card:
    """The data card: what a reader must know before they trust the rows."""

    name: str
    description: str = ""
    source: str = ""
    licence: str = ""
    data_owner: str = ""
    consent: str = ""


@dataclass(frozen=True)
class Upload:
    """A file that somebody brought: its name, its bytes in chunks, and the split that it is, if it is one."""

    name: str
    chunks: Iterable[bytes]
    split: Split | None = None


def import_sample_dataset(folder: Path) -> Dataset:
    """Bring `content/datasets/<slug>/` into the site. Idempotent: a new version only when the files changed.

    Raises BadDataset when a split has problems, ContentError when `card.md` has or does not describe these files,
    FileNotFoundError when a file is missing.
    """
    card, contents = read_sample(folder)
    splits = read_three_files(contents)
    with transaction.atomic():
        dataset, created = Dataset.objects.update_or_create(
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
        if created:
            record("created", dataset, actor=None)
        latest = dataset.latest
        held = {file.split: file.sha256 for file in latest.files.all()} if latest else {}
        is_same = held == {result.split.value: result.sha256 for result in splits.report.splits}
        if not is_same:
            add_version(dataset, splits=splits, created_by=None)
    return dataset


def start_import(
    *,
    use_case: UseCase,
    uploads: Sequence[Upload],
    created_by: User,
    card: Card | None = None,
    dataset: Dataset | None = None,
    before: Order | None = None,
) -> DatasetImport:
    """Store the files and start reading them. `card`: of the new dataset; `dataset`: the one that gets a version;
    `before`: how the files of its last one were read and split.

    Raises OSError when the disk is full.
    """
    _tidy()
    sources = []
    names = [upload.name for upload in uploads]
    for upload in uploads:
        blob = blobs.store(upload.chunks)
        path = str(blobs.path_of(blob.sha256))
        # Three files may be called the same; a problem has to say which one it is in.
        name = upload.name if names.count(upload.name) == 1 else f"{upload.split}: {upload.name}"
        sources.append(
            Source(
                name=name[:200],
                path=path,
                sha256=blob.sha256,
                size_bytes=blob.size_bytes,
                split=upload.split,
                earlier=_chosen_mappings(before, upload.split) if before else (),
            )
        )
    order = Order(sources=tuple(sources), plan=before.plan if before else SplitPlan())
    with transaction.atomic():
        made = DatasetImport.objects.create(
            use_case=use_case,
            dataset=dataset,
            card=asdict(card) if card else {},
            order=order.model_dump(mode="json"),
            created_by=created_by,
        )
        files = {source.name: source.sha256 for source in sources}
        record("brought files", made, actor=created_by, files=files)
    imports.start(made.pk, order)
    return made


def _chosen_mappings(before: Order, split: Split | None) -> tuple[FieldMapping, ...]:
    """Return what people chose fields to mean, first in the file of this split, then in others; the newest first."""
    sources = sorted(before.sources, key=lambda source: source.split != split)
    chosen = (mapping for source in sources for mapping in (source.mapping, *source.earlier))
    return tuple(dict.fromkeys(mapping for mapping in chosen if mapping is not None))


def change_import(
    made: DatasetImport,
    *,
    actor: User,
    mappings: Mapping[str, FieldMapping] = MappingProxyType({}),
    plan: SplitPlan | None = None,
    leave_out_bad_rows: bool | None = None,
) -> None:
    """Start the import again, with what is given changed. `mappings`: what the fields mean, by the name of the file.

    Raises Conflict while it runs, or when it was stored.
    """
    _require_open(made)
    order = Order.model_validate(made.order)
    changes = {"plan": plan, "leave_out_bad_rows": leave_out_bad_rows}
    given = {name: value for name, value in changes.items() if value is not None}
    sources = [
        # The path is that of today: the data folder may have moved since the files were brought.
        source.model_copy(
            update={"path": str(blobs.path_of(source.sha256)), "mapping": mappings.get(source.name, source.mapping)}
        )
        for source in order.sources
    ]
    order = order.model_copy(update={**given, "sources": tuple(sources)})
    imports.start(made.pk, order)
    with transaction.atomic():
        DatasetImport.objects.filter(pk=made.pk).update(order=order.model_dump(mode="json"))
        record("changed import", made, actor=actor, changed=sorted([*given, *(["mapping"] if mappings else [])]))


def store_import(made: DatasetImport, *, actor: User) -> DatasetVersion:
    """Make the version that the import prepared. Raises Conflict when it is not ready, or was stored or discarded."""
    report = imports.state_of(made.pk).report
    if report is None or report.refused:
        raise Conflict("This import has no rows to store yet; mend what it names, then start it again.")
    splits = splits_in(imports.folder_of(made.pk), report)
    with transaction.atomic():
        _end(made)
        if made.dataset is None:
            card = Card(**made.card)
            made.dataset = create_dataset(use_case=made.use_case, card=card, splits=splits, created_by=actor)
            version = made.dataset.versions.get()
        else:
            version = add_version(made.dataset, splits=splits, created_by=actor)
        DatasetImport.objects.filter(pk=made.pk).update(dataset=made.dataset, version=version)
    imports.remove(made.pk)
    return version


def discard_import(made: DatasetImport, *, actor: User) -> None:
    """Give the import up, also while it runs. Raises Conflict when it was stored or discarded."""
    _require_open(made)
    imports.remove(made.pk)
    with transaction.atomic():
        _end(made)
        record("discarded import", made, actor=actor)


@transaction.atomic
def create_dataset(*, use_case: UseCase, card: Card, splits: Splits, created_by: User) -> Dataset:
    """Create a dataset of a use case with its first version."""
    slug = _free_slug(use_case, card.name)
    dataset = Dataset.objects.create(use_case=use_case, slug=slug, created_by=created_by, **asdict(card))
    record("created", dataset, actor=created_by)
    add_version(dataset, splits=splits, created_by=created_by)
    return dataset


@transaction.atomic
def choose_metric(dataset: Dataset, settings: MetricSettings, *, actor: User) -> None:
    """Fix how answers are judged in the jobs that are launched from now on; those before keep their own."""
    metric = settings.model_dump(mode="json")
    Dataset.objects.filter(pk=dataset.pk).update(metric=metric)
    dataset.metric = metric
    record("chose metric", dataset, actor=actor, metric=metric)


class NewerVersion(Conflict):
    """The dataset got a version that the one to store was not made from."""


@transaction.atomic
def add_version(
    dataset: Dataset, *, splits: Splits, created_by: User | None, follows: DatasetVersion | None = None
) -> DatasetVersion:
    """Store the splits as the next version. Files first, rows after: a crash between leaves a blob, never a gap.

    Raises NewerVersion when `follows` is given and is the newest no more: what came between would be lost.
    """
    report = splits.report
    blob_of = {split: blobs.store(content) for split, content in splits.content.items()}
    _require_same(blob_of, report)
    report_blob = blobs.store([report.model_dump_json().encode()])
    # Lock the dataset, so that two uploads at once get two numbers.
    Dataset.objects.select_for_update().get(pk=dataset.pk)
    last = dataset.versions.aggregate(last=Max("number"))["last"] or 0
    if follows is not None and follows.number != last:
        raise NewerVersion(f"“{dataset}” has got version {last} meanwhile; start from that one.")
    version = DatasetVersion.objects.create(
        dataset=dataset,
        number=last + 1,
        made_from=splits.made_from,
        shared_templates=report.shared_templates,
        test_templates=report.test_templates,
        report_sha256=report_blob.sha256,
        created_by=created_by,
    )
    SplitFile.objects.bulk_create(
        SplitFile(
            version=version,
            split=result.split,
            sha256=result.sha256,
            size_bytes=result.size_bytes,
            rows=result.rows,
        )
        for result in report.splits
    )
    record(
        "added version",
        dataset,
        actor=created_by,
        number=version.number,
        sha256={result.split.value: result.sha256 for result in report.splits},
    )
    return version


def _require_same(blob_of: dict[Split, blobs.Blob], report: Report) -> None:
    """The report was written with the split files; a file that changed since must not pass as the checked one."""
    if {split: blob.sha256 for split, blob in blob_of.items()} != {
        found.split: found.sha256 for found in report.splits
    }:
        raise Conflict("The split files are not those that were checked; start the import again.")


def _require_open(made: DatasetImport) -> None:
    if not DatasetImport.objects.filter(pk=made.pk, ended_at__isnull=True).exists():
        raise Conflict("This import was stored or discarded; bring the files again.")


def _end(made: DatasetImport) -> None:
    if not DatasetImport.objects.filter(pk=made.pk, ended_at__isnull=True).update(ended_at=timezone.now()):
        raise Conflict("This import was stored or discarded; bring the files again.")


def _tidy() -> None:
    """Remove the folders of imports that were forgotten."""
    old = DatasetImport.objects.filter(ended_at__isnull=True, created_at__lt=timezone.now() - _KEPT_FOR)
    for made in old[:20]:
        if not imports.state_of(made.pk).is_running:
            imports.remove(made.pk)
            with transaction.atomic():
                _end(made)
                record("dropped forgotten import", made, actor=None)


def _free_slug(use_case: UseCase, name: str) -> str:
    base = slugify(name)[:100] or "dataset"
    taken = set(use_case.datasets.filter(slug__startswith=base).values_list("slug", flat=True))
    return next(slug for slug in (base, *(f"{base}-{n}" for n in range(2, len(taken) + 3))) if slug not in taken)
